"""What the storage promises, on a real S3; not there: a file that is no folder, times finer than a second."""

from tests.cluster.test_storage import (
    test_a_table_is_read_back_by_many_threads_and_never_written_again,
    test_files_by_odd_names,
    test_what_is_deleted_is_gone_with_all_below,
    test_what_is_not_there,
)

__all__ = [
    "test_a_table_is_read_back_by_many_threads_and_never_written_again",
    "test_files_by_odd_names",
    "test_what_is_deleted_is_gone_with_all_below",
    "test_what_is_not_there",
]

"""librdkafka's mock cluster: brokers within this process that answer with errors on request.

The library is the one that confluent-kafka brings; the functions are those of its header `rdkafka_mock.h`.
"""

import ctypes
from pathlib import Path
from types import TracebackType
from typing import Self

import confluent_kafka

from conf.connections import KafkaConnection

PRODUCE = 0
"""Key of the request that carries records, in Kafka's protocol."""


class MockCluster:
    """So many brokers that share the partitions of their topics; use as a context manager."""

    def __init__(self, brokers: int) -> None:
        self._brokers = brokers

    def __enter__(self) -> Self:
        self._library = _library()
        reason = ctypes.create_string_buffer(512)
        self._client = self._library.rd_kafka_new(0, None, reason, len(reason))
        assert self._client, reason.value
        self._cluster = self._library.rd_kafka_mock_cluster_new(self._client, self._brokers)
        assert self._cluster
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._library.rd_kafka_mock_cluster_destroy(self._cluster)
        self._library.rd_kafka_destroy(self._client)

    @property
    def kafka(self) -> KafkaConnection:
        """The way to its brokers."""
        return KafkaConnection(servers=self._library.rd_kafka_mock_cluster_bootstraps(self._cluster).decode())

    def create_topic(self, name: str, partitions: int) -> None:
        """A topic with one copy of each partition."""
        assert self._library.rd_kafka_mock_topic_create(self._cluster, name.encode(), partitions, 1) == 0

    def fail(self, request: int, *codes: int) -> None:
        """Answer the next requests of this kind, to whichever broker, with these errors, one after the other."""
        errors = (ctypes.c_int * len(codes))(*codes)
        self._library.rd_kafka_mock_push_request_errors_array(self._cluster, request, len(codes), errors)

    def move_leader(self, topic: str, partition: int, broker: int) -> None:
        """Another broker leads the partition from now on."""
        moved = self._library.rd_kafka_mock_partition_set_leader(self._cluster, topic.encode(), partition, broker)
        assert moved == 0

    def stop_broker(self, broker: int) -> None:
        """The broker answers nobody any more."""
        assert self._library.rd_kafka_mock_broker_set_down(self._cluster, broker) == 0

    def start_broker(self, broker: int) -> None:
        """It is back, with what it had."""
        assert self._library.rd_kafka_mock_broker_set_up(self._cluster, broker) == 0


def _library() -> ctypes.CDLL:
    """librdkafka as the package loaded it, wherever its wheel keeps it."""
    package = Path(confluent_kafka.__file__).parent
    (path,) = (*package.parent.glob("confluent_kafka.libs/librdkafka*"), *package.glob("librdkafka*.so*"))
    library = ctypes.CDLL(str(path))
    pointer, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
    library.rd_kafka_new.restype = pointer
    library.rd_kafka_new.argtypes = [number, pointer, text, ctypes.c_size_t]
    library.rd_kafka_destroy.argtypes = [pointer]
    library.rd_kafka_mock_cluster_new.restype = pointer
    library.rd_kafka_mock_cluster_new.argtypes = [pointer, number]
    library.rd_kafka_mock_cluster_destroy.argtypes = [pointer]
    library.rd_kafka_mock_cluster_bootstraps.restype = text
    library.rd_kafka_mock_cluster_bootstraps.argtypes = [pointer]
    library.rd_kafka_mock_topic_create.argtypes = [pointer, text, number, number]
    library.rd_kafka_mock_push_request_errors_array.argtypes = [pointer, ctypes.c_int16, ctypes.c_size_t, pointer]
    library.rd_kafka_mock_partition_set_leader.argtypes = [pointer, text, ctypes.c_int32, ctypes.c_int32]
    library.rd_kafka_mock_broker_set_down.argtypes = [pointer, ctypes.c_int32]
    library.rd_kafka_mock_broker_set_up.argtypes = [pointer, ctypes.c_int32]
    return library

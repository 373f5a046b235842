"""SHA-256 of the files of a table in a folder."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from conf.digest import sha256_of, sha256_of_chunks
from jobs.storage.store import Storage

Listing = Sequence[tuple[str, int, int | None]]
"""Name, bytes and modification time (ns) of each file of a table, by name."""

_READERS = 8  # object stores answer slowly
_CHUNK = 2**22


def listing_of(folder: Storage, table: str) -> Listing:
    """Returns the files that readers of a table see: no part of their path begins with _ or a dot."""
    return [
        (name, info.size, info.mtime_ns)
        for name, info in folder.tree(table)
        if not any(part.startswith(("_", ".")) for part in name.split("/"))
    ]


def digest_of_files(folder: Storage, table: str, listing: Listing) -> str:
    """Returns the SHA-256 over the names of a table's files and the SHA-256 of each."""
    with ThreadPoolExecutor(_READERS) as pool:
        found = pool.map(lambda file: sha256_of_chunks(chunks_of(folder, f"{table}/{file[0]}")), listing)
        lines = [f"{sha256}  {name}\n" for (name, _, _), sha256 in zip(listing, found, strict=True)]
    return sha256_of("".join(lines))


def chunks_of(folder: Storage, path: str) -> Iterator[bytes]:
    """Yields the content of a file, a few MiB at a time. Raises FileNotFoundError."""
    with folder.open(path) as file:
        while chunk := file.read(_CHUNK):
            yield chunk

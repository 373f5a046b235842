"""The load generator counts every request that failed, and none that did not."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.serve.load import Load, load, paths_of

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n%s\r\nok"


@contextmanager
def answering(*replies: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """A server that gives these replies in turn, closes where one is empty or says so, and then says OK for ever.

    Its port, and what it has replied so far.
    """
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.1)
        over, left, said = threading.Event(), list(replies), list[bytes]()

        def talk() -> None:
            while not over.is_set():
                try:
                    connection, _ = listening.accept()
                except TimeoutError:
                    continue
                with connection:
                    while connection.recv(65_536):
                        reply = left.pop(0) if left else OK % b""
                        connection.sendall(reply)
                        said.append(reply)
                        if not reply or b"close" in reply:
                            break

        thread = threading.Thread(target=talk)
        thread.start()
        yield listening.getsockname()[1], said
        over.set()
        thread.join()


def loaded(port: int, said: list[bytes]) -> Load:
    """One connection, for a few replies."""
    return load(port, paths_of(b"/", [1, 2]), connections=1, seconds=0.0, until=lambda: len(said) > 20)


def test_answers_are_counted_and_a_connection_is_kept() -> None:
    with answering() as server:
        found = loaded(*server)
    assert (found.failures, found.connections) == ([], 1)
    assert len(found.times) > 10
    assert 0 < found.milliseconds(50) <= found.milliseconds(99)


def test_a_connection_that_is_closed_with_notice_is_no_failure() -> None:
    with answering(OK % b"connection: close\r\n", OK % b"connection: close\r\n") as server:
        found = loaded(*server)
    assert (found.failures, found.connections) == ([], 3)


def test_refusals_and_lost_requests_are_failures() -> None:
    refused = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n"
    with answering(refused, b"", OK % b"") as server:
        found = loaded(*server)
    assert found.failures[0] == "503"
    assert found.failures[1].startswith("lost")
    assert len(found.failures) == 2

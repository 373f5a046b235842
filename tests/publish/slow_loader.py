"""A loader as a process, slow enough to be ended in the middle: `python -m … BOOTSTRAP REDIS_URL PRODUCT`."""

import sys

from conf.connections import KafkaConnection, RedisConnection
from publish import load_partition
from publish.clients import redis_client
from publish.loader import Loader, stop_on_signals


def main(servers: str, url: str, product: str) -> None:
    """Load until told to stop, a few records at a time."""
    load_partition.MAX_BATCH = 3
    Loader(KafkaConnection(servers=servers), redis_client(RedisConnection.of(url)), product).run(stop_on_signals())


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Measures other tools on the same servers: Kafka's producer performance tool and redis-benchmark."""

import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from typing import NamedTuple

from conf.errors import DiscoveryError
from deploy.servers.java import find_java
from deploy.servers.kafka_jars import cache_folder, ensure_jars

_TOOLS_LOCK = Path(__file__).with_name("kafka-tools.lock")  # the tool is no part of the broker's own jars
_CLIENTS, _PIPELINE = 50, 500
_SENT = re.compile(r"^(\d+) records sent, ([0-9.]+) records/sec", re.MULTILINE)


class YardstickFailed(DiscoveryError):
    """A tool that we compare with failed."""


class Produced(NamedTuple):
    """Records per second as the tool reports them; wall and CPU seconds include the start of its JVM."""

    per_second: float
    wall_seconds: float
    cpu_seconds: float


def producer_performance(bootstrap: str, topic: str, records: int, record_bytes: int) -> Produced:
    """Runs Kafka's ProducerPerformance, idempotent and with acks=all, otherwise with its defaults."""
    java = find_java()
    jars = [*ensure_jars(java, cache_folder()), *ensure_jars(java, cache_folder(), lock_file=_TOOLS_LOCK)]
    properties = [f"bootstrap.servers={bootstrap}", "acks=all", "enable.idempotence=true"]
    tool = ["org.apache.kafka.tools.ProducerPerformance", "--topic", topic, "--num-records", str(records)]
    size = ["--record-size", str(record_bytes), "--throughput", "-1", "--producer-props", *properties]
    environment = {**os.environ, "CLASSPATH": os.pathsep.join(map(str, jars))}
    start, before = time.perf_counter(), getrusage(RUSAGE_CHILDREN)
    output = _run([str(java.program), "-Xmx512m", "-Dlog4j2.level=ERROR", *tool, *size], environment)
    wall, after = time.perf_counter() - start, getrusage(RUSAGE_CHILDREN)
    report = produced_rate(output)
    if report is None or report[0] != records:
        raise YardstickFailed(f"ProducerPerformance did not send {records} records:\n{output[-2_000:]}")
    return Produced(report[1], wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def produced_rate(output: str) -> tuple[int, float] | None:
    """Returns (records, records per second) of the last report in the output; None if there is none."""
    reports = _SENT.findall(output)
    return (int(reports[-1][0]), float(reports[-1][1])) if reports else None


def redis_benchmark(port: int, records: int, hashes: int, value_bytes: int) -> float | None:
    """Returns pipelined HSETs per second of `records` values in about `hashes` hashes; None without the tool.

    redis-benchmark draws its random numbers from one range: there are as many field names as hashes, of 12 digits each.
    """
    program = shutil.which("redis-benchmark")
    if program is None:
        return None
    how = ["-p", str(port), "-n", str(records), "-r", str(hashes), "-P", str(_PIPELINE), "-c", str(_CLIENTS), "--csv"]
    output = _run([program, *how, "HSET", "{yardstick}:b:__rand_int__", "__rand_int__", "x" * value_bytes])
    rate = hset_rate(output)
    if rate is None:
        raise YardstickFailed(f"redis-benchmark's answer is not understood:\n{output[-2_000:]}")
    return rate


def hset_rate(output: str) -> float | None:
    """Returns the requests per second in the tool's CSV; None if there is no such line."""
    found = re.search(r'^"HSET .*?","([0-9.]+)"', output, re.MULTILINE)
    return float(found[1]) if found else None


def _run(command: list[str], environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=1_800, check=False)
    if done.returncode != 0:
        raise YardstickFailed(f"{command[0]} ended with {done.returncode}:\n{(done.stdout + done.stderr)[-2_000:]}")
    return done.stdout

"""Passwords that are planted in the environment are in nothing that a command says or leaves behind."""

import logging
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import redis

from deploy.chain import REPO
from publish.connect.rights import Role
from publish.connect.topics import ensure_topics
from publish.wire.keys import ProductKeys
from tests.e2e.conftest import Literal, write_days
from tests.e2e.product import Product, Servers
from tests.e2e.refusals import FIRST
from tests.e2e.submit import submitted, variables_of
from tests.publish.support import acl_users, secure_broker
from tests.publish.support.pushing import loading
from tests.publish.support.samples import closed_port

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from tests.publish.support.secure_broker import SecureBroker

WRONG = "planted-and-wrong"
SECRETS = (WRONG, *(of(role) for role in Role for of in (acl_users.password_of, secure_broker.password_of)))


@dataclass(frozen=True)
class Guarded:
    """A product on servers that want passwords."""

    product: Product
    broker: "SecureBroker"

    def as_role(self, role: Role, **changes: str) -> Product:
        """The product for a process with the passwords of a role."""
        kafka = self.broker.connection(role)
        variables = {
            "KAFKA_BOOTSTRAP_SERVERS": kafka.servers,
            "KAFKA_SECURITY_PROTOCOL": kafka.protocol,
            "KAFKA_SASL_MECHANISM": "PLAIN",
            "KAFKA_SASL_USERNAME": role.value,
            "KAFKA_SASL_PASSWORD": secure_broker.password_of(role),
            "KAFKA_SSL_CA_LOCATION": str(kafka.ca_file),
            "REDIS_USERNAME": f"{self.product.name}-{role}",
            "REDIS_PASSWORD": acl_users.password_of(role),
        }
        return replace(self.product, variables={**variables, **changes})


@pytest.fixture(scope="module")
def guarded(
    servers: Servers, secure_broker: "SecureBroker", tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Guarded]:
    home = tmp_path_factory.mktemp("guarded")
    product = Product.create(servers, home, write_days(home / "data", Literal.crowd(), product="guarded"))
    secure_broker.grant(product.name)
    with redis.Redis.from_url(servers.redis) as admin:
        acl_users.make_users(admin, product.name)
        yield Guarded(product, secure_broker)
        acl_users.drop_users(admin, product.name)


def test_a_push_by_users_with_passwords(
    guarded: Guarded, caplog: pytest.LogCaptureFixture, shared_spark: "SparkSession"
) -> None:
    publisher, keys = guarded.as_role(Role.PUBLISHER), ProductKeys(guarded.product.name)
    kafka = guarded.broker.connection(Role.LOADER)
    client = acl_users.client_as(guarded.product.servers.redis, keys.product, Role.LOADER)
    caplog.set_level(logging.DEBUG)
    ensure_topics(kafka, keys, guarded.product.settings.publish)
    with loading(kafka, client, keys.product):
        ended = publisher.run(*FIRST)
    assert ended.code == 0, ended.log
    (run,) = publisher.run_ids
    written = [path.read_bytes().decode(errors="replace") for path in publisher.home.rglob("*") if path.is_file()]
    assert any("started_by" in text for text in written)
    _no_secret(ended.log, ended.out, caplog.text, *written)

    for words in (["status"], ["status", "--json"], ["runs", "--json"], ["lookup", "1"], ["wait", run], ["hold"]):
        done = guarded.as_role(Role.OPERATOR).discovery(*words)
        assert done.code == 0, done.log
        _no_secret(done.log, done.out)


REFUSED = {
    "redis password": (Role.OPERATOR, {"REDIS_PASSWORD": WRONG}, "status", "REDIS_USERNAME and REDIS_PASSWORD"),
    "redis url": (Role.OPERATOR, {"REDIS_URL": f"redis://eva:{WRONG}@127.0.0.1:{{port}}/0"}, "status", "start it"),
    "no address": (Role.OPERATOR, {"REDIS_URL": f"redis:/{WRONG}@127.0.0.1"}, "status", "REDIS_URL"),
    "kafka password": (Role.LOADER, {"KAFKA_SASL_PASSWORD": WRONG}, "load", "KAFKA_SASL_PASSWORD"),
    "kafka protocol": (Role.LOADER, {"KAFKA_SECURITY_PROTOCOL": WRONG}, "load", "KAFKA_SECURITY_PROTOCOL"),
    "kafka key": (
        Role.LOADER,
        {"KAFKA_SSL_KEY_LOCATION": "{key}", "KAFKA_SSL_CERTIFICATE_LOCATION": "{crt}", "KAFKA_SSL_KEY_PASSWORD": WRONG},
        "load",
        "KAFKA_SSL_KEY_PASSWORD",
    ),
    "rights in redis": (Role.READER, {}, "load", "deploy/redis.acl"),
}  # fmt: skip


@pytest.mark.parametrize("fault", REFUSED)
def test_a_command_that_is_refused(guarded: Guarded, fault: str, tmp_path: Path) -> None:
    role, changes, command, said = REFUSED[fault]
    client = guarded.broker.authority.sign("client", password="another password")
    places = {"port": closed_port(), "key": client.key, "crt": client.certificate}
    filled = {name: text.format(**places) for name, text in changes.items()}
    done = guarded.as_role(role, **filled).discovery(command)
    assert done.code in (1, 2), done.log
    assert said in done.log
    assert "Traceback" not in done.log
    _no_secret(done.log, done.out)


def test_a_traceback_of_what_nobody_expected(guarded: Guarded) -> None:
    broken = "from jobs.cli import app, context; "
    broken += "context.ProductContext.control = property(lambda product: product.no_such); app.main()"
    product = guarded.as_role(Role.OPERATOR)
    argv, variables = _argv(product, "status", code=broken), variables_of(product)
    done = subprocess.run(argv, cwd=REPO, env=variables, capture_output=True, text=True, timeout=900, check=False)
    assert "AttributeError" in done.stderr
    _no_secret(done.stdout, done.stderr)


def test_a_loader_from_start_to_stop(guarded: Guarded) -> None:
    product = guarded.as_role(Role.LOADER)
    log = product.home / "loader.log"
    with log.open("wb") as out:
        loader = subprocess.Popen(_argv(product, "load"), cwd=REPO, env=variables_of(product), stdout=out, stderr=out)
        try:
            deadline = time.monotonic() + 300
            while "partitions [" not in log.read_text():
                assert loader.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.2)
            loader.send_signal(signal.SIGTERM)
            assert loader.wait(300) == 0
        finally:
            loader.kill()
            loader.wait()
    _no_secret(log.read_text())


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("REDIS_PASSWORD", WRONG, "REDIS_USERNAME and REDIS_PASSWORD"),
        ("KAFKA_SASL_PASSWORD", WRONG, "KAFKA_SASL_PASSWORD"),
        ("MLFLOW_TRACKING_URI", f"http://eva:{WRONG}@127.0.0.1:{{port}}", "MLflow at"),
    ],
)
def test_a_job_that_is_refused_at_its_start(guarded: Guarded, variable: str, value: str, said: str) -> None:
    product = guarded.as_role(Role.PUBLISHER, **{variable: value.format(port=closed_port())})
    ended = product.run(*FIRST)
    assert ended.code == 1, ended.log
    assert said in ended.log
    _no_secret(ended.log, ended.out)


def test_the_log_of_a_driver(guarded: Guarded) -> None:
    with submitted(guarded.as_role(Role.PUBLISHER, REDIS_PASSWORD=WRONG), *FIRST) as (job, path):
        assert job.wait(900) == 1
    assert "REDIS_USERNAME and REDIS_PASSWORD" in path.read_text()
    _no_secret(path.read_text())


def _argv(product: Product, command: str, *, code: str | None = None) -> list[str]:
    """An operator's command in a process of its own, as talkative as Python can be made."""
    start = ["-m", "jobs.cli"] if code is None else ["-c", code]
    return [sys.executable, "-X", "dev", "-W", "ignore", *start, command, *product.flags()]


def _no_secret(*texts: str) -> None:
    told = [secret for secret in SECRETS for text in texts if secret in text]
    assert told == []

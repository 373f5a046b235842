"""The whole job with its data and work folder on S3: the same lists, byte for byte, as on a local folder."""

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from conf.connections import KafkaConnection
from deploy.chain import REPO
from deploy.servers.s3_server import SECRET, S3Server
from jobs.storage.store import Storage
from tests.cluster.days import upload_day
from tests.cluster.object_store.conftest import BUCKET
from tests.cluster.yarn import tables_of
from tests.e2e.conftest import Literal, settings_of
from tests.e2e.product import Product, Servers
from tests.e2e.submit import variables_of
from tests.features.world import AS_OF, ago


@dataclass(frozen=True)
class Ran:
    """A product after its job."""

    product: Product
    code: int
    log: str

    @property
    def home(self) -> Storage:
        return Storage(self.product.environment["DISCOVERY_HOME"])

    @property
    def folder(self) -> Storage:
        (run,) = self.product.published().runs
        return self.home.child(f"runs/{self.product.name}/{run.name}")


@pytest.fixture(scope="module")
def local(
    kafka: KafkaConnection, redis_url: str, s3: S3Server, s3a_jars: str, tmp_path_factory: pytest.TempPathFactory
) -> Ran:
    """The job with everything on this machine."""
    mine = tmp_path_factory.mktemp("local")
    return _run(kafka, redis_url, mine, Storage(str(mine)), "on_disk", {}, s3a_jars)


@pytest.fixture(scope="module")
def remote(
    kafka: KafkaConnection, redis_url: str, s3: S3Server, s3a_jars: str, tmp_path_factory: pytest.TempPathFactory
) -> Ran:
    """The job with its data and work folder on S3; its YAML and MLflow's store are on this machine."""
    mine = tmp_path_factory.mktemp("remote")
    return _run(kafka, redis_url, mine, Storage(f"s3a://{BUCKET}/discovery"), "on_s3", s3.environment, s3a_jars)


def _run(
    kafka: KafkaConnection, redis_url: str, mine: Path, at: Storage, name: str, more: Mapping[str, str], jars: str
) -> Ran:
    for number, rows in Literal.crowd().items():
        upload_day(at.child("data/clicks"), ago(number), rows)
    settings = settings_of(mine, product=name) | {"data_root": f"{at.uri}/data"}
    servers = Servers(kafka.servers, redis_url, f"sqlite:///{mine}/mlflow.db")
    product = replace(Product.create(servers, mine, settings), variables={"DISCOVERY_HOME": f"{at.uri}/home"})
    variables = {**variables_of(product), **more}
    argv = ["spark-submit", "--master", "local[2]", "--jars", jars, "jobs/prod_discovery.py"]
    log = mine / "job.log"
    with product.loading(), log.open("wb") as file:
        flags = product.flags("--as-of", str(AS_OF), "--first")
        done = subprocess.run([*argv, *flags], cwd=REPO, env=variables, stdout=file, stderr=file, check=False)
    return Ran(product, done.returncode, log.read_text())


def test_the_lists_are_those_of_a_local_folder(local: Ran, remote: Ran) -> None:
    assert local.code == 0, local.log
    assert remote.code == 0, remote.log
    made = tables_of(remote.folder)
    for name, rows in tables_of(local.folder).items():
        assert made[name].equals(rows), name
    assert made["lists"].num_rows == 40
    for row in made["lists"].to_pylist():
        answer = remote.product.reader.lookup(row["user_id"])
        assert (answer.kind, list(answer.source_ids)) == ("list", row["source_ids"])


def test_nothing_was_copied(remote: Ran, s3: S3Server) -> None:
    assert remote.code == 0, remote.log
    asked = s3.requests()
    assert any("/discovery/home/" in line for line in asked)
    assert [line for line in asked if line.startswith("copy")] == []


def test_the_key_is_nowhere(remote: Ran) -> None:
    assert SECRET not in remote.log
    assert [name for name, _ in remote.home.tree("") if SECRET.encode() in remote.home.read_bytes(name)] == []
    for file in remote.product.home.rglob("*"):
        assert not file.is_file() or SECRET.encode() not in file.read_bytes(), file

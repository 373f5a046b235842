"""spark-submit starts from the archive of Spark's classes where it can, and as without one where it cannot."""

import os
import subprocess
from pathlib import Path

import pytest

from deploy.chain import REPO

_SHOW = f'. "{REPO}/conf/spark-env.sh"; printf %s "$SPARK_SUBMIT_OPTS"'


def options(archive: Path, *flags: str, **environment: str) -> str:
    """Returns the options for Java that conf/spark-env.sh makes for a spark-submit with these flags."""
    known = {"SPARK_HOME": "/spark", "SPARK_CONF_DIR": f"{REPO}/conf", "DISCOVERY_CLASS_ARCHIVE": str(archive)}
    clean = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        ["bash", "-euc", _SHOW, "bash", *flags],
        env={**clean, **known, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A file where the archive is expected, in a folder with a space in its name."""
    path = tmp_path / "my home" / "classes.jsa"
    path.parent.mkdir()
    path.write_bytes(b"no archive at all")
    return path


def test_java_starts_from_the_archive_with_the_jars_before_the_folder(archive: Path) -> None:
    made = options(archive, "jobs/prod_discovery.py", SPARK_SUBMIT_OPTS="-Dmine=1")
    assert f'-XX:SharedArchiveFile="{archive}"' in made
    assert f':/spark/jars/*:{REPO}/conf/" ' in made
    assert made.endswith(" -Dmine=1")


def test_without_an_archive_nothing_is_changed(tmp_path: Path) -> None:
    assert options(tmp_path / "none.jsa", SPARK_SUBMIT_OPTS="-Dmine=1") == "-Dmine=1"


@pytest.mark.parametrize(
    ("flags", "environment"),
    [
        (("--driver-class-path", "mine.jar"), {}),
        (("--conf", "spark.driver.extraClassPath=mine.jar"), {}),
        (("--properties-file", "mine.conf"), {}),
        ((), {"HADOOP_CONF_DIR": "/etc/hadoop"}),
        ((), {"SPARK_DIST_CLASSPATH": "/opt/hadoop/*"}),
    ],
)
def test_a_class_path_of_ones_own_is_left_as_it_is(
    archive: Path, flags: tuple[str, ...], environment: dict[str, str]
) -> None:
    assert options(archive, *flags, **environment) == ""


def test_java_ignores_a_broken_archive_without_a_word(archive: Path, tmp_path: Path) -> None:
    job = tmp_path / "job.py"
    job.write_text("print('the job ran')\n", encoding="utf-8")
    environment = {**os.environ, "SPARK_CONF_DIR": f"{REPO}/conf", "DISCOVERY_CLASS_ARCHIVE": str(archive)}
    done = subprocess.run(["spark-submit", job], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "the job ran\n"), done.stderr
    assert [line for line in done.stderr.splitlines() if "incubator modules" not in line] == []

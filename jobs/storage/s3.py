"""S3 for pyarrow and for Spark alike, as the environment variables of the AWS tools say.

Spark has its own names for an endpoint and a region; they are derived here, so that each is given once. Keys stay in
the environment: both sides read them there themselves.
"""

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from pyarrow import fs

from conf.errors import ConfigError
from conf.location import Location
from jobs.runtime.log import log

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_CONNECT_SECONDS = 5.0
_REGION = "us-east-1"
"""Region of a store that is not Amazon's, where none is named: the signature of a request needs one."""
_CLOUD = "org.apache.spark.internal.io.cloud"
COMMITTER = {
    "spark.sql.sources.commitProtocolClass": f"{_CLOUD}.PathOutputCommitProtocol",
    "spark.sql.parquet.output.committer.class": f"{_CLOUD}.BindingParquetOutputCommitter",
}
"""Settings of a session by which Spark writes through the committer that Hadoop names for a storage."""
_MAGIC = {
    "mapreduce.outputcommitter.factory.scheme.s3a": "org.apache.hadoop.fs.s3a.commit.S3ACommitterFactory",
    "fs.s3a.committer.name": "magic",
    "fs.s3a.committer.magic.enabled": "true",
}
"""Files are uploaded to their final name, and appear when the job commits: nothing is renamed, that is, copied."""
_DEFAULTS = "core-default.xml"


def open_s3(bucket: str) -> fs.FileSystem:
    """Returns the file system of all buckets of the store; `bucket` tells the region where none is named."""
    endpoint, region = _endpoint(os.environ), _region(os.environ)
    if region is None and endpoint is None:
        region = fs.resolve_s3_region(bucket)
    return fs.S3FileSystem(  # type: ignore[call-arg]  # the stubs are of an older pyarrow
        region=region or _REGION,
        endpoint_override=endpoint,
        allow_delayed_open=True,  # a small file is one request, which makes it as a whole
        connect_timeout=_CONNECT_SECONDS,
    )


def refuse_no_bucket(filesystem: fs.FileSystem, location: Location) -> None:
    """Raises ConfigError if there is no such bucket; else what is in it would only be missing."""
    try:
        found = filesystem.get_file_info(location.authority)
    except OSError:  # who may list a part of a bucket only is not told whether there is one
        return
    if found.type == fs.FileType.NotFound:
        raise ConfigError(
            f"{location}: there is no bucket {location.authority!r}; make it, or correct the address (a store that is "
            "not Amazon's: AWS_ENDPOINT_URL)"
        )


def prepare_spark(spark: "SparkSession", locations: Iterable[Location]) -> None:
    """Sets what Spark needs for those of the locations that are on S3, unless spark-submit or a site file set it.

    Raises ConfigError if Spark cannot open one.
    """
    buckets = sorted({location.authority for location in locations if location.scheme == "s3"})
    if not buckets:
        return
    jvm: Any = spark.sparkContext._jvm
    hadoop = spark.sparkContext._jsc.hadoopConfiguration()
    for name, value in {**s3a_settings(os.environ), **_MAGIC}.items():
        if {*(hadoop.getPropertySources(name) or ())} <= {_DEFAULTS}:
            hadoop.set(name, value)
    for bucket in buckets:
        _open(jvm, hadoop, f"s3a://{bucket}/")
    _use_committer(spark, jvm)


def s3a_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """Returns the settings of Hadoop's connector that say what the environment variables say; no keys."""
    endpoint, region, settings = _endpoint(environ), _region(environ), dict[str, str]()
    if endpoint is not None:
        settings |= {"fs.s3a.endpoint": endpoint, "fs.s3a.path.style.access": "true"}
    if endpoint is not None or region is not None:
        settings["fs.s3a.endpoint.region"] = region or _REGION
    return settings


def _open(jvm: Any, hadoop: Any, uri: str) -> None:
    """Raises ConfigError unless Spark's connector starts; it sends nothing yet."""
    from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]  # here: `discovery` works without Spark

    try:
        jvm.org.apache.hadoop.fs.Path(uri).getFileSystem(hadoop)
    except Py4JJavaError as error:
        text = str(error.java_exception).partition("\n")[0]
        raise ConfigError(
            f"Spark cannot open {uri} ({text}); start it with hadoop-aws of the version of its own Hadoop and with the "
            "bundle of the AWS SDK that it names (spark-submit --packages or --jars), and check fs.s3a.… settings"
        ) from None


def _use_committer(spark: "SparkSession", jvm: Any) -> None:
    from py4j.protocol import Py4JJavaError

    submitted = spark.sparkContext.getConf()
    if any(submitted.contains(name) for name in COMMITTER):
        return
    try:
        jvm.org.apache.spark.util.Utils.classForName(COMMITTER["spark.sql.sources.commitProtocolClass"], True, False)  # noqa: FBT003 - Java's
    except Py4JJavaError:
        log.warning(
            "warning   Spark has no committer for s3a:// and copies every file of a table once more; start it with "
            "spark-hadoop-cloud (docs/storage.md)"
        )
        return
    for name, value in COMMITTER.items():
        spark.conf.set(name, value)


def _endpoint(environ: Mapping[str, str]) -> str | None:
    return environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL") or None


def _region(environ: Mapping[str, str]) -> str | None:
    return environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or None

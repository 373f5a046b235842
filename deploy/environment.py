"""The variables that spark-submit, `discovery` and the loader need on one machine."""

import os
import sys
from pathlib import Path

from deploy.chain import REPO
from deploy.servers.java import find_java


def shell_variables(home: Path, servers: dict[str, str], config: Path) -> dict[str, str]:
    """Returns the variables, with the addresses in `servers`; `home` is the work folder, `config` the product."""
    python = str(Path(sys.executable).absolute())
    java = find_java().program.resolve()
    return {
        **servers,
        "MLFLOW_TRACKING_URI": f"sqlite:///{home}/mlflow.db",
        "DISCOVERY_HOME": str(home),
        "DISCOVERY_CONFIG": str(config.absolute()),
        "PATH": f"{Path(python).parent}:{os.environ['PATH']}",
        "PYSPARK_PYTHON": python,
        "PYSPARK_DRIVER_PYTHON": python,
        "SPARK_CONF_DIR": str(REPO / "conf"),
        "JAVA_HOME": str(java.parent.parent),
        "OPENBLAS_NUM_THREADS": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "GX_ANALYTICS_ENABLED": "false",
    }

"""The process that Spark forks its Python workers from, on one machine: it imports what they need, once for all.

Named by `spark.python.daemon.module` in `conf/spark-defaults.conf`; without it, each worker takes seconds to import.
"""

from importlib import import_module

from pyspark.daemon import manager

_NEEDED = (
    "models.judge.bootstrap",
    "models.judge.knn_lists",
    "models.judge.users",
    "models.lists.topn",
    "pandas",  # pyarrow imports it at the first array
    "publish.send.producer",
)

if __name__ == "__main__":
    for name in _NEEDED:
        import_module(name)
    manager()

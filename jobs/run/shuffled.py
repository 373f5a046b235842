"""What Spark has shuffled so far, by its own status store, which it keeps without its pages, too."""

from py4j.protocol import Py4JError  # type: ignore[import-untyped]
from pyspark import SparkContext

_DETAILS = _SUMMARIES = False


def shuffled_bytes() -> int | None:
    """Returns the bytes that all executors wrote for shuffles since the session began.

    None without a session, and while another thread still opens it: a context is known before it is there.
    Compressed, as on their disks; the newest thousand of Spark's stages are counted.
    """
    context = SparkContext._active_spark_context
    java = getattr(context, "_jsc", None)
    if context is None or java is None or context._gateway is None or context._jvm is None:
        return None
    try:
        no_quantiles = context._gateway.new_array(context._jvm.double, 0)
        no_states = context._jvm.java.util.ArrayList()
        store = java.sc().statusStore()
        stages = store.stageList(None, _DETAILS, _SUMMARIES, no_quantiles, no_states)
        return sum(int(stages.apply(place).shuffleWriteBytes()) for place in range(stages.size()))
    except Py4JError:  # no stage fails because it cannot be measured
        return None

"""`discovery hold`, `unhold` and `share`: what an operator allows."""

from conf.share import Share
from jobs.cli.options import Cli, Reason, product_command
from jobs.cli.views import runs as view


@product_command
def hold(cli: Cli, reason: Reason = "held by hand") -> None:
    """Keep every run from being promoted by itself."""
    cli.show(view.pointer(cli.open().control.hold(reason)))


@product_command
def unhold(cli: Cli, reason: Reason = "hold lifted by hand") -> None:
    """Lift the hold; promotes nothing by itself."""
    cli.show(view.pointer(cli.open().control.unhold(reason=reason)))


@product_command
def share(cli: Cli, percent: float, reason: Reason = "share set by hand") -> None:
    """Serve at most this percentage of the audience, also after the next batch; 0 is the kill switch."""
    report = cli.open().control.share(Share.percent(percent), reason=reason)
    cli.show(view.share(report))

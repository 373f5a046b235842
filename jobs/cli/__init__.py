"""`discovery`: the operator's commands."""


def main() -> None:
    """Runs the console script; Ctrl-C ends it with a line at any moment, also while the commands are imported."""
    from jobs.runtime.interrupts import end_at_once

    end_at_once()
    from jobs.cli.app import main as run

    run()

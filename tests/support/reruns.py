"""Shows how tests failed that passed when they were run again, which `--reruns` else only counts."""

from _pytest.terminal import TerminalReporter


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """Writes each failure that was tried again, so that a race is seen and mended although nothing failed."""
    for report in terminalreporter.stats.get("rerun", []):
        terminalreporter.section(f"failed at first, run again: {report.nodeid} ({report.when})", red=True)
        terminalreporter.line(report.longreprtext)

"""Prints the results as text."""

from collections.abc import Sequence
from typing import Any

_WORDS = {
    "ours": "ours",
    "portable": "ours, portable form",
    "implicit": "implicit topk",
    "faiss": "faiss.knn",
    "sgemm": "blocked sgemm alone",
    "spark": "Spark ML",
}
_MISSING = {"faiss": "missing: pip install faiss-cpu", "spark": "left out"}
_SCALE = 1e6


def as_text(row: dict[str, Any]) -> str:
    """Returns one row as text: every arm, the goals, and the work of ours."""
    lines = [
        f"{row['set']}: {row['users']:,} users × {row['sources']:,} sources, d = {row['dimensions']}, N = {row['n']}, "
        f"{row['rounds']} rounds",
        f"  {'':<22}{'users':>9}{'µs/user':>11}{'users/s':>11}{'÷ sgemm':>9}{'peak MB':>9}{'first s':>9}",
    ]
    lines += [_arm(name, figures) for name, figures in row["arms"].items()]
    lines += [_goal(goal) for goal in row["goals"]]
    build, checks = row["build"], row["check"]
    lines.append(
        f"  index built in {build['seconds']:.2f} s, {build['peak_bytes'] / _SCALE:,.0f} MB; pairs screened ÷ all "
        f"pairs {row['pairs_share']:.3f}; {row['candidates_per_user']:.0f} pairs scored per user"
    )
    compared = " and ".join(f"{check['users']:,} lists ({_WORDS[name]})" for name, check in checks.items())
    worst = max(check["worst"] for check in checks.values())
    lines.append(f"  {compared} are those of brute force in float64; scores differ by at most {worst:.1e}")
    return "\n".join(lines)


def footnote(first: int) -> str:
    """Returns how to read the rows."""
    return (
        "Two single-threaded processes at once, each with half of the users; wall time. Arms whose `users` are fewer "
        "than all\nranked a sample, always the first of the same order: figures are per user. faiss knows no "
        "exclusions and made its lists\nwithout. Spark ML (local[2], warm, factors cached) was timed once per N on a "
        "sample, scaled linearly. first s: from the\nstart of the processes to the lists of their first "
        f"{first} users, compiled code cached. MB are of one process, mapped\nindex included; Spark's of its JVM."
    )


def scaling_text(rows: Sequence[dict[str, Any]]) -> str:
    """Returns the scaling table as text; it shows ours only."""
    lines = [f"scaling at N = {rows[0]['n']}, resampled from {rows[0]['base']}"]
    lines.append(f"  {'users':>12}{'sources':>12}{'users/s':>12}{'÷ sgemm':>9}{'peak MB':>9}")
    for row in rows:
        ours = row["arms"]["ours"]
        lines.append(
            f"  {row['users']:>12,}{row['sources']:>12,}{ours['users_per_second']:>12,.0f}{ours['to_sgemm']:>9.3f}"
            f"{ours['peak_bytes'] / _SCALE:>9,.0f}"
        )
    return "\n".join(lines)


def _arm(name: str, figures: dict[str, Any] | None) -> str:
    if figures is None:
        return f"  {_WORDS[name]:<22}{_MISSING[name]}"
    first = figures.get("first_s")
    return (
        f"  {_WORDS[name]:<22}{figures['users']:>9,}{figures['us_per_user']:>11,.1f}"
        f"{figures['users_per_second']:>11,.0f}{figures['to_sgemm']:>9.3f}{figures['peak_bytes'] / _SCALE:>9,.0f}"
        + (f"{first:>9.2f}" if first and name != "sgemm" else "")
    )


def _goal(goal: dict[str, Any]) -> str:
    if goal["ratio"] is None:
        return f"  {goal['what']:<22}not measured"
    if goal["goal"] is None:
        return f"  {goal['what']:<22}{goal['ratio']:>9.2f}"
    sign = "≥" if goal["at_least"] else "≤"
    return f"  {goal['what']:<22}{goal['ratio']:>9.2f}   {sign} {goal['goal']:g}{'' if goal['met'] else '   missed'}"

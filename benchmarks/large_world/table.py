"""The figures of a large world, and how they are printed."""

from dataclasses import asdict
from statistics import median
from typing import Any

from benchmarks.large_world.pieces import Record, read_json
from benchmarks.large_world.world import LargeWorld
from conf.base import format_bytes


def figures_of(world: LargeWorld) -> Record:
    """Returns what the pieces that are done took; of a piece on a machine that others use, only CPU seconds count."""
    pieces, snapshot, sent = (kind.records() for kind in (world.lists, world.snapshot, world.sent))
    ranked = [record for record in pieces if record["ranked"]]
    rates = sorted(record["users"] / record["cpu_s"] for record in ranked)
    figures: Record = {"size": asdict(world.size), "candidates": read_json(world.home / "candidates.json")}
    figures["ranked"] = {
        "pieces": len(ranked),
        "users": sum(record["users"] for record in ranked),
        "resampled": sum(record["users"] for record in pieces if not record["ranked"]),
        "excluded": sum(record["excluded"] for record in ranked),
        "cpu_s": sum(record["cpu_s"] for record in ranked),
        "users_per_core_second": median(rates) if rates else None,
        "slowest_and_quickest_piece": (rates[0], rates[-1]) if rates else None,
        "peak_bytes": max((record["peak_bytes"] for record in ranked), default=0),
    }
    figures["snapshot"] = _sums(snapshot, "write_cpu_s", "measure_cpu_s")
    figures["sent"] = _sums(sent, "cpu_s", "wall_s")
    return figures


def as_text(result: Record) -> str:
    """Returns the figures as text."""
    size, candidates, ranked = result["size"], result["candidates"], result["ranked"]
    lines = [
        f"{size['users']:,} users × {size['sources']:,} sources, lists of {size['n']}, {size['partitions']} partitions",
        f"  candidates: {format_bytes(candidates['bytes'])} on each machine, made in {candidates['cpu_s']:.0f} "
        f"processor seconds with {format_bytes(candidates['peak_bytes'])}",
        f"  ranked: {ranked['users']:,} users in {ranked['pieces']} pieces, {ranked['cpu_s']:,.0f} processor seconds, "
        f"{ranked['excluded']:,} excluded pairs, peak of a process {format_bytes(ranked['peak_bytes'])}",
    ]
    if ranked["users"]:
        slowest, quickest = ranked["slowest_and_quickest_piece"]
        rate = ranked["users_per_core_second"]
        lines.append(f"  users per core and second: {rate:,.0f} (by the piece {slowest:,.0f} … {quickest:,.0f})")
    if ranked["resampled"]:
        lines.append(f"  resampled: {ranked['resampled']:,} users were not ranked and got lists of users who were")
    if "push" in result:
        lines += _published(result)
    return "\n".join(lines)


def _sums(records: list[Record], *names: str) -> Record:
    sums: Record = {name: sum(record[name] for record in records) for name in names}
    sums["bytes"] = sum(record["slice"]["bytes"] for record in records)
    return sums | {"peak_bytes": max((record["peak_bytes"] for record in records), default=0)}


def _published(result: dict[str, Any]) -> list[str]:
    users, push, sent, served = result["size"]["users"], result["push"], result["sent"], result["served"]
    checked, snapshot = result["ranking_check"], result["snapshot"]
    peaks = ", ".join(f"{name} {format_bytes(size)}" for name, size in push["peak_bytes"].items())
    cpu = ", ".join(f"{name} {seconds:,.0f}" for name, seconds in push["cpu_s"].items())
    disks = ", ".join(f"{name} {format_bytes(size)}" for name, size in push["disk_bytes"].items())
    counts = ", ".join(f"{name} {count:,}" for name, count in served["counts"].items())
    return [
        f"  {checked['lists']} lists compared with brute force in float64: {checked['wrong']} differ",
        f"  measured before the announcement: {snapshot['measure_cpu_s']:,.0f} processor seconds",
        f"  sent: {sent['bytes'] / users:,.0f} bytes a list, {sent['cpu_s']:,.0f} processor seconds, peak of a sender "
        f"{format_bytes(sent['peak_bytes'])}",
        f"  announced → served: {push['announced_to_served_s']:,.0f} s; processor seconds: {cpu}",
        f"  Redis: {push['redis_bytes'] / users:,.1f} bytes a list, {format_bytes(push['redis_bytes'])} in all",
        f"  peak memory: {peaks}; on disk: {disks}",
        f"  counts: {counts}; dead letters {served['dead_letters']}",
        f"  {served['looked_up']:,} users looked up: {served['different']} answers differ from what was ranked",
    ]

"""Numbers and verdicts in words: the same sentences in text and on the page."""

from __future__ import annotations

from typing import Any


def size(count: float) -> str:
    """Bytes for people: 1023 B, 208.0 KiB, 897.0 MiB."""
    if abs(count) < 1024:
        return f"{int(count)} B"
    for unit in ("KiB", "MiB", "GiB"):
        count /= 1024
        if abs(count) < 1024 or unit == "GiB":
            return f"{count:,.1f} {unit}"
    raise AssertionError("unreachable")


def duration(seconds: float) -> str:
    """Time for people: 812 ns, 41.3 us, 2.70 ms, 1.24 s."""
    for factor, unit in ((1.0, "s"), (1e3, "ms"), (1e6, "us")):
        if seconds * factor >= 1:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e9:.0f} ns" if seconds else "0 s"


def share(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "0.0 %"


def machine(target: Any) -> str:
    """One line about the machine."""
    chips = f"{target.num_ipus} x " if target.num_ipus > 1 else ""
    return (
        f"{chips}{target.name}, {target.num_tiles:,} tiles of {size(target.bytes_per_tile)}"
        f" at {target.tile_clock_hz / 1e9:.3g} GHz"
    )


def memory_verdict(report: Any) -> str:
    """Fits or not, by how much, and where."""
    memory = report.memory
    used, capacity = int(memory.max_tile_bytes), int(memory.capacity_bytes)
    if report.fits:
        return (
            f"fits: the fullest tile ({report.worst_tile}) uses {size(used)} of {size(capacity)},"
            f" {share(capacity - used, capacity)} to spare"
        )
    over = int((memory.tile_bytes > capacity).sum())
    return (
        f"does not fit: tile {report.worst_tile} needs {size(used)} of {size(capacity)},"
        f" {size(used - capacity)} too much; {over} tile{'s' if over > 1 else ''} over"
    )


_ADVICE = {
    "compute": "the tiles are mostly busy computing",
    "exchange": "most time goes into moving data between tiles",
    "sync": "most time goes into waiting for tiles to meet; fewer, larger supersteps would help",
    "host": "most time goes into host transfers; larger transfers or more work per transfer would help",
}


def sentence(report: Any) -> str:
    """One plain sentence on what the run was like."""
    phases = report.cycles_by_phase
    total = report.cycles
    if not total:
        return "Nothing has run yet, so there is memory to read here but no time."
    largest = max(phases, key=lambda name: phases[name])
    if 2 * phases[largest] < total:
        parts = [
            f"{name} {share(phases[name], total)}" for name in sorted(phases, key=lambda n: -phases[n]) if phases[name]
        ]
        text = f"No part takes half of the time: {', '.join(parts)}"
    else:
        text = f"{share(phases[largest], total)} of the time is {largest}: {_ADVICE[largest]}"
    if phases["compute"] and report.tile_balance < 0.5:
        text += f"; compute is uneven (balance {report.tile_balance:.2f}), so most tiles wait for a few"
    return text + "."

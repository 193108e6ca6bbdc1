"""Figures of an op graph's memory: what is counted, in bytes, as data and as text. See docs/memory.md."""

from __future__ import annotations

from typing import Any

from ..opgraph.graph import OpGraph
from ..opgraph.liveness import Liveness
from ..opgraph.order import ordered
from ..opgraph.recompute import recompute

SETTINGS = ("standard", "sqrt", "optimal")


def sharing(g: OpGraph) -> dict[str, int]:
    """Bytes, beyond what is always alive, by what may be shared: `none`, `in_place` only, `reuse` only, `both`, and
    `ordered`: both, in the order that frees memory early."""
    apart, together = Liveness(g, in_place=False), Liveness(g)
    return {
        "none": apart.total,
        "in_place": together.total,
        "reuse": apart.peak,
        "both": together.peak,
        "ordered": Liveness(ordered(g)).peak,
    }


def recomputed(g: OpGraph, setting: str) -> dict[str, Any]:
    """What a recompute setting gives: peak bytes, repeated ops, extra work in forward phases and in all phases."""
    from ..opgraph.segments import work

    h = recompute(g, setting)
    done = h.info.get("recompute", {"ops": {}, "extra_work": 0.0, "forward_work": 1.0})
    whole = sum(work(op) for op in g.ops)
    return {
        "bytes": Liveness(h).peak,
        "ops": len(done["ops"]),
        "extra_forward": done["extra_work"] / max(done["forward_work"], 1.0),
        "extra_step": done["extra_work"] / max(whole, 1.0),
    }


def at_peak(g: OpGraph, count: int = 8) -> dict[str, Any]:
    """The op at the peak, what is alive there by category, and the largest of it."""
    alive = Liveness(g)
    step = alive.peak_step
    return {
        "op": alive.peak_op.name if alive.peak_op else None,
        "step": step,
        "steps": len(g.ops),
        "bytes": alive.peak,
        "placed_bytes": alive.placed(),
        "categories": alive.by_category(step),
        "largest": [
            {
                "name": s.name,
                "bytes": s.bytes,
                "dtype": s.values[0].dtype.name,
                "shape": list(s.values[0].shape),
                "category": s.category,
                "first": s.first,
                "last": s.last,
                "first_op": g.ops[s.first].name,
                "last_op": g.ops[s.last].name,
                "shared_by": len(s.values),
            }
            for s in alive.largest(step, count)
        ],
    }


def figures(g: OpGraph, chosen: OpGraph, settings: tuple[str, ...] = SETTINGS, count: int = 8) -> dict[str, Any]:
    """Everything `poplar-py memory` prints: `g` as built, and `chosen`, the graph whose peak is looked at."""
    training = any(op.phase == "backward" for op in g.ops)
    return {
        "name": g.name,
        "training": training,
        "ops": len(g.ops),
        "always": Liveness(g).always,
        "sharing": sharing(g),
        "recompute": {s: recomputed(g, s) for s in settings} if training else {},
        "peak": at_peak(chosen, count),
    }


def text(data: dict[str, Any]) -> str:
    """The figures for people."""
    from .words import size

    always, shared, peak = data["always"], data["sharing"], data["peak"]
    lines = [f"{data['name']}, {'training' if data['training'] else 'inference'}, {data['ops']:,} ops"]
    lines.append("  always alive: " + ", ".join(f"{k} {size(v)}" for k, v in always.items() if v))
    lines.append("  all else, in bytes at the fullest step:")
    names = {
        "none": "nothing shared",
        "in_place": "in place only",
        "reuse": "reuse only",
        "both": "in place and reuse",
        "ordered": "and ordered",
    }
    lines += [f"    {names[k]:<24}{v:>16,}   {size(v)}" for k, v in shared.items()]
    for setting, r in data["recompute"].items():
        note = f"{r['ops']:,} ops repeated, {r['extra_forward']:.1%} of the forward phase"
        lines.append(f"    {'recompute ' + setting:<24}{r['bytes']:>16,}   {size(r['bytes'])}, {note}")
    lines.append(f"  fullest at step {peak['step']:,} of {peak['steps']:,}, op {peak['op']}: {size(peak['bytes'])}")
    lines.append("    " + ", ".join(f"{k} {size(v)}" for k, v in peak["categories"].items() if v))
    for s in peak["largest"]:
        shape = "x".join(map(str, s["shape"]))
        lines.append(
            f"    {s['bytes']:>14,}  {s['name']} {s['dtype'].lower()} {shape} ({s['category']}), {s['first_op']}"
            f" to {s['last_op']}" + (f", {s['shared_by']} values share it" if s["shared_by"] > 1 else "")
        )
    return "\n".join(lines)

"""The report as one page that needs nothing but itself: health card first, then time, memory and graph."""

from __future__ import annotations

from html import escape
from typing import Any

import numpy as np

from . import memory as books
from . import phases, plots, words
from .style import SCRIPT, STYLE

STRIP_STEPS = 240  # supersteps shown one by one on the strip


def page(report: Any) -> str:
    """The whole page as text."""
    name = escape(report.executable.name or "graph")
    parts = [_health(report), _time(report), _memory(report), _graph(report)]
    return (
        "<!doctype html>\n"
        f'<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{name} - poplar_py report</title><style>{STYLE}</style></head><body><main>"
        f"<header><h1>{name}</h1><p>{escape(words.machine(report.target))}</p><button>light / dark</button></header>"
        + "".join(parts)
        + f"<footer>Written by poplar_py. {_provenance(report)}</footer></main><script>{SCRIPT}</script></body></html>\n"
    )


def _provenance(report: Any) -> str:
    if report.measured:
        return "Cycles were counted while the program ran on the simulated device."
    guess = " Where it branches on data the dearer way is assumed." if report.guessed else ""
    return "Cycles are those of one run of the first program, read off the program without running it." + guess


def _health(report: Any) -> str:
    memory = report.memory
    used, capacity = int(memory.max_tile_bytes), int(memory.capacity_bytes)
    verdict = ("good", "Fits") if report.fits else ("over", "Does not fit")
    margin = words.share(abs(capacity - used), capacity)
    split = report.cycles_by_phase
    rows = "".join(
        f'<tr><td><code>{escape(step.name or step.kind)}</code></td><td class="n">{words.share(cycles, report.cycles)}</td></tr>'
        for step, _, cycles in report.top_steps(5)
    )
    costs = f"<table>{rows}</table>" if rows else '<p class="note">Nothing has run.</p>'
    return (
        '<section class="health"><div>'
        f'<p class="verdict {verdict[0]}">{verdict[1]}</p>'
        f'<p class="note">{escape(words.memory_verdict(report))}</p>'
        + plots.proportion([("m0" if report.fits else "bad", min(used, capacity)), ("line", max(capacity - used, 0))])
        + '<div class="figures">'
        + _figure(f"tile {report.worst_tile}", "fullest tile")
        + _figure(margin, "margin" if report.fits else "over")
        + _figure(f"{report.cycles:,}", "cycles")
        + _figure(words.duration(report.seconds), "on the chip")
        + f'</div><p class="plain">{escape(words.sentence(report))}</p></div><div><h2>Where the time goes</h2>'
        + plots.proportion([(name, split[name]) for name in phases.PHASES])
        + _legend([(name, f"{name} {words.share(split[name], report.cycles)}") for name in phases.PHASES])
        + f"<h2>Dearest supersteps</h2>{costs}</div></section>"
    )


def _figure(value: str, label: str) -> str:
    return f"<div><b>{escape(value)}</b><span>{escape(label)}</span></div>"


def _legend(entries: list[tuple[str, str]]) -> str:
    items = "".join(f'<li><i style="background:var(--{name})"></i>{escape(text)}</li>' for name, text in entries)
    return f'<ul class="legend">{items}</ul>'


def _time(report: Any) -> str:
    body = ["<section><h2>Time</h2>"]
    first, shown = one_turn(report.trace)
    if shown:
        body.append(
            f'<p class="note">{shown:,} of {report.num_supersteps:,} supersteps, from number {first:,}'
            " on, by the chip's clock. Point at a band for its name.</p>"
        )
        body.append(plots.strip(report, first, shown) + _legend([(name, name) for name in phases.PHASES]))
    scopes = report.cycles_by_scope()
    if len(scopes) > 1:
        body.append("<h2>By part of the model</h2>" + _scope_table(report, scopes))
    body.append("<h2>By superstep</h2>" + _step_table(report, 25) + "</section>")
    return "".join(body)


def one_turn(trace: np.ndarray, limit: int = STRIP_STEPS) -> tuple[int, int]:
    """Which executed supersteps to show one by one: (first, how many). One turn of the loop in the middle of the run,
    where there is one of at most `limit`, else that many from the middle."""
    middle, count = len(trace) // 2, len(trace)
    if count > 1:
        window = trace[max(0, middle - limit) : middle + limit]
        again, times = np.unique(window, return_counts=True)
        repeated = again[times > 1]
        if len(repeated):
            turns = np.flatnonzero(trace == repeated.min())
            at = int(np.searchsorted(turns, middle, side="right")) - 1
            if 0 <= at < len(turns) - 1 and 4 <= turns[at + 1] - turns[at] <= limit:
                return int(turns[at]), int(turns[at + 1] - turns[at])
    shown = min(count, limit)
    return (count - shown) // 2, shown


def _scope_table(report: Any, scopes: dict[str, Any], top: int = 15) -> str:
    rows = []
    for name, cycles in list(scopes.items())[:top]:
        total = int(cycles.sum())
        bar = plots.proportion([*zip(phases.PHASES, cycles.tolist(), strict=True)])
        rows.append(
            f'<tr><td><code>{escape(name)}</code></td><td class="w">{bar}</td>'
            f'<td class="n">{total:,}</td><td class="n">{words.share(total, report.cycles)}</td></tr>'
        )
    head = (
        '<tr><th>part</th><th>compute, exchange, sync, host</th><th class="n">cycles</th><th class="n">share</th></tr>'
    )
    return f'<div class="scroll"><table>{head}{"".join(rows)}</table></div>'


def _step_table(report: Any, top: int) -> str:
    rows = []
    for step, count, cycles in report.top_steps(top):
        split = zip(phases.PHASES, report.phases[step.index].tolist(), strict=True)
        active = int((step.compute_cycles > 0).sum())
        rows.append(
            f'<tr><td><code>{escape(step.name or step.kind)}</code></td><td class="w">{plots.proportion([*split])}</td>'
            f'<td class="n">{count:,}</td><td class="n">{int(step.cycles):,}</td>'
            f'<td class="n">{words.share(cycles, report.cycles)}</td><td class="n">{active:,}</td>'
            f'<td class="n">{phases.balance(step):.2f}</td>'
            f'<td class="n">{words.size(int(step.bytes_received.sum()))}</td></tr>'
        )
    head = (
        '<tr><th>superstep</th><th>compute, exchange, sync, host</th><th class="n">times</th><th class="n">cycles each</th>'
        '<th class="n">share</th><th class="n">active tiles</th><th class="n">balance</th><th class="n">exchanged</th></tr>'
    )
    return (
        f'<div class="scroll"><table>{head}{"".join(rows)}</table></div>'
        if rows
        else '<p class="note">Nothing ran.</p>'
    )


def _memory(report: Any) -> str:
    memory = report.memory
    kinds = list(memory.by_category)[:10]
    total = int(memory.tile_bytes.sum())
    labels = []
    for i, name in enumerate(kinds):
        count = int(memory.by_category[name].sum())
        if count:
            labels.append((f"m{i}", f"{name.replace('_', ' ')} {words.size(count)}"))
    return (
        f'<section><h2>Memory by tile</h2><p class="note">{words.size(total)} over all tiles at each tile\'s peak;'
        f" gaps included.</p>{plots.memory_by_tile(memory, kinds)}{_legend(labels)}"
        '<h2>Bytes alive</h2><p class="note">All tiles together, by static superstep.</p>'
        + plots.liveness(report)
        + _legend([("m1", "always live"), ("m0", "live for a while")])
        + books.page(report)
        + "</section>"
    )


def _graph(report: Any) -> str:
    executable = report.executable
    rows = "".join(
        f'<tr><td><code>{escape(name)}</code></td><td class="n">{vertices:,}</td><td class="n">{edges:,}</td></tr>'
        for name, (vertices, edges) in report.vertices_by_codelet().items()
    )
    return (
        '<section><h2>Graph</h2><div class="figures">'
        + _figure(f"{executable.num_vertices:,}", "vertices")
        + _figure(f"{executable.num_edges:,}", "edges")
        + _figure(f"{len(executable.graph.variables):,}", "variables")
        + _figure(f"{len(executable.graph.compute_sets):,}", "compute sets")
        + _figure(f"{len(executable.steps):,}", "static supersteps")
        + '</div><div class="scroll" style="margin-top:16px"><table><tr><th>codelet</th><th class="n">vertices</th>'
        f'<th class="n">edges</th></tr>{rows}</table></div></section>'
    )

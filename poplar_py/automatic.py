"""Memory settings chosen automatically, where a model does not fit as it stands: `recompute="auto"`.

What costs nothing is tried first, then what repeats least: another order of the ops, then the recompute settings by the
work they repeat. A setting is tried where the op graph promises enough of what is missing on the fullest tile; how many
are tried does not depend on time, so that a model compiles to the same everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .errors import GraphMemoryAllocationError

PROMISING = 2.0  # times the room there is: what is expected to need more is not tried (code and exchange shrink too)


def settings_to_try(error: GraphMemoryAllocationError, g: Any) -> Iterator[dict[str, str]]:
    """Options that may make the op graph `g` fit, cheapest first.

    error: of the plan that did not fit. What is live for a while on its fullest tile is expected to shrink as the peak of
    the op graph does; a promise is believed where it leaves at most `PROMISING` times the room.
    """
    from .opgraph.liveness import Liveness
    from .opgraph.order import ordered
    from .opgraph.recompute import SETTINGS, recompute

    plan = error.plan
    always = int(plan.always_live_tile_bytes[error.tile])
    passing, room = int(plan.tile_bytes[error.tile]) - always, plan.capacity_bytes - always
    now = Liveness(g).peak
    lowest = now

    def promises(peak: int) -> bool:
        return peak < lowest and passing * peak <= PROMISING * room * now

    order = Liveness(ordered(g)).peak
    if promises(order):
        lowest = order
        yield {"recompute": "none", "optimise": "memory"}
    if not any(op.phase == "backward" for op in g.ops):
        return
    repeated = [(name, recompute(g, name)) for name in SETTINGS if name not in ("none", "budget:BYTES")]
    repeated.sort(key=lambda pair: pair[1].info.get("recompute", {}).get("extra_work", 0.0))
    for name, h in repeated:
        peak = Liveness(h).peak
        if promises(peak):
            lowest = peak
            yield {"recompute": name}

"""What would make a model fit that does not: each remedy is tried, and its text says what the fullest tile then takes.

Trying is planning memory of the changed model again, without pricing or checks. How many trials are made depends on the
size of the graph alone, so that the same model gives the same error everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .errors import GraphMemoryAllocationError, PoplarError, Remedy

WANTED = 3
MOST_TRIALS = 10
HOPELESS = 1.5  # times the room that is left: what is expected to need more is not tried
FEW_EDGES = 1_000_000  # of a graph whose remedies are all tried; larger ones get fewer trials, at least two
BATCH_TRIALS = 4

Attempt = Callable[[Mapping[str, Any]], Any]  # changes -> memory plan


class Remedies:
    """Looks for remedies of an error.

    attempt: plans memory with changed arguments ("batch", "target") or options; model: the op graph; options: as given;
    num_edges: of the graph that does not fit.
    """

    def __init__(
        self,
        error: GraphMemoryAllocationError,
        attempt: Attempt,
        model: Any,
        target: Any,
        options: Mapping[str, Any],
        num_edges: int,
    ):
        self.error = error
        self.attempt = attempt
        self.model = model
        self.target = target
        self.options = options
        self.left = max(min(MOST_TRIALS, MOST_TRIALS * FEW_EDGES // max(num_edges, 1)), 2)
        plan = error.plan
        self.always = int(plan.always_live_tile_bytes[error.tile])
        self.passing = max(int(plan.tile_bytes[error.tile]) - self.always, 1)
        self.room = plan.capacity_bytes - self.always  # for what is live for a while

    def find(self) -> list[Remedy]:
        """Up to three remedies, those that fit first; where fewer than three fit, what comes closest stands behind."""
        found: list[Remedy] = []
        for remedy in self._candidates():
            found.append(remedy)
            if sum(r.fits for r in found) >= WANTED or self.left <= 0:
                break
        best = sorted(
            (r for r in found if not r.fits and r.bytes < (self.error.bytes_needed or 0)), key=lambda r: r.bytes
        )
        return ([r for r in found if r.fits] + best + self.error.remedies)[:WANTED]

    def _candidates(self) -> Iterator[Remedy]:
        for search in (self._order, self._batch, self._recompute, self._off_chip, self._proportion, self._ipus):
            yield from search()

    def _try(self, changes: Mapping[str, Any], kind: str, setting: Any, text: str) -> Remedy | None:
        """A remedy with what the fullest tile takes; None where it cannot be tried."""
        if self.left <= 0:
            return None
        self.left -= 1
        try:
            plan = self.attempt(changes)
        except PoplarError:
            return None
        return Remedy(kind, setting, plan.max_tile_bytes, plan.fits, text)

    def _order(self) -> Iterator[Remedy]:
        """Ops in an order of least peak: gradients are used as soon as they are there."""
        if self.options.get("optimise", "speed") == "speed":
            tried = self._try({"optimise": "memory"}, "optimise", "memory", "optimise=memory (--optimise memory)")
            if tried is not None:
                yield tried

    def _batch(self) -> Iterator[Remedy]:
        """The largest batch found to fit: the first guess has what is not always live grow with the batch, the next
        ones lie between what fits and what does not."""
        now = int(self.model.info.get("batch") or 1)
        guess = now * self.room // self.passing
        low, high, best = 0, now, None
        for _ in range(BATCH_TRIALS):
            if high - low <= 1:
                break
            guess = min(max(guess, low + 1), high - 1)
            text = f"batch {guess} instead of {now} (--batch {guess})"
            tried = self._try({"batch": guess}, "batch", guess, text)
            if tried is None:
                break
            if tried.fits:
                low, best = guess, tried
            else:
                high = guess
                best = best or (tried if guess == 1 else None)
            guess = (low + high) // 2
        if best is not None:
            yield best

    def _recompute(self) -> Iterator[Remedy]:
        """The cheapest recompute setting that fits; those whose op graphs need no less are not tried."""
        if self.options.get("recompute", "none") != "none" or all(op.phase == "forward" for op in self.model.ops):
            return
        from .opgraph.liveness import Liveness
        from .opgraph.recompute import recompute

        now = Liveness(self.model).peak
        for setting in ("standard", "sqrt", "optimal"):
            expected = self.passing * Liveness(recompute(self.model, setting)).peak / max(now, 1)
            if expected >= self.passing or expected > HOPELESS * self.room:
                continue
            text = f"recompute={setting} (--recompute {setting})"
            tried = self._try({"recompute": setting}, "recompute", setting, text)
            if tried is not None:
                yield tried
                if tried.fits:
                    return

    def _off_chip(self) -> Iterator[Remedy]:
        if self.options.get("off_chip", "none") != "none" or not self.target.streaming_memory_bytes:
            return
        trains = any(op.phase != "forward" for op in self.model.ops)
        state = any(p.like is not None and not p.trainable for p in self.model.parameters)
        kinds = [*["optimiser"] * state, *["activations"] * trains, "weights"]
        for count in range(1, len(kinds) + 1):
            setting = ",".join(kinds[:count])
            text = f"off_chip={setting} (--off-chip {setting})"
            tried = self._try({"off_chip": setting}, "off_chip", setting, text)
            if tried is not None:
                yield tried
                if tried.fits:
                    return

    def _proportion(self) -> Iterator[Remedy]:
        if self.room <= 0:
            return
        now = float(self.options.get("available_memory_proportion", 0.6))
        for setting in (round(now / 2, 3), round(now / 6, 3)):
            text = f"available_memory_proportion={setting} instead of {now} (--available-memory-proportion {setting})"
            changes = {"available_memory_proportion": setting}
            tried = self._try(changes, "available_memory_proportion", setting, text)
            if tried is not None:
                yield tried
                if tried.fits:
                    return

    def _ipus(self) -> Iterator[Remedy]:
        count = self.target.num_ipus * 2
        target = self.target.with_options(num_ipus=count)
        tried = self._try({"target": target}, "num_ipus", count, f"{count} IPUs (--ipus {count})")
        if tried is not None:
            yield tried

"""How a learning rate goes with the steps: a factor between 0 and 1, made on the device from the step counter.

    schedule: {steps: {every: 1000, factor: 0.1}}          a tenth after every 1000 steps
    schedule: {milestones: {at: [800, 1200], factor: 0.1}} a tenth after step 800, again after 1200
    schedule: {cosine: {steps: 5000, to: 0.01}}            half a cosine from 1 down to 0.01 of the rate, then it stays
    schedule: {linear: {steps: 5000, to: 0}}               a straight line instead
    warm_up: 100                                           in the first 100 steps times 1/100, 2/100, ...

A step is an update of the weights; step 0 is the first. The parameter `learning_rate` stays what the host says; what the
updates use is the product.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from ..dtypes import FLOAT
from ..errors import did_you_mean
from ..opgraph.graph import OpGraph
from ..opgraph.op import Value
from .located import Located
from .schema import field, read_as


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A factor of the learning rate that depends on the step."""

    kind: ClassVar[str] = ""

    def multiplier(self, g: OpGraph, step: Value) -> Value:
        """The factor at `step`, a FLOAT of one element that counts from 0."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Steps(Schedule):
    """Times `factor` after every `every` steps."""

    kind = "steps"
    every: int = field(at_least=1)
    factor: float = field(0.1, above=0.0)

    def multiplier(self, g: OpGraph, step: Value) -> Value:
        passed = g.add("floor", g.add("div", step, _number(g, self.every)))
        return g.add("pow", _number(g, self.factor), passed)


@dataclass(frozen=True, kw_only=True)
class Milestones(Schedule):
    """Times `factor` from each of the steps `at` on."""

    kind = "milestones"
    at: tuple[int, ...] = field(at_least=1)
    factor: float = field(0.1, above=0.0)

    def multiplier(self, g: OpGraph, step: Value) -> Value:
        passed = None
        for milestone in self.at:
            reached = g.add("cast", g.add("greater_equal", step, _number(g, milestone)), to=FLOAT)
            passed = reached if passed is None else g.add("add", passed, reached)
        return _number(g, 1.0) if passed is None else g.add("pow", _number(g, self.factor), passed)


@dataclass(frozen=True, kw_only=True)
class _Towards(Schedule):
    steps: int = field(at_least=1)
    to: float = field(0.0, at_least=0.0)

    def part(self, g: OpGraph, step: Value) -> Value:
        """How much of the way is done, up to 1."""
        return g.add("min", g.add("mul", step, _number(g, 1 / self.steps)), _number(g, 1.0))


@dataclass(frozen=True, kw_only=True)
class Cosine(_Towards):
    """Half a cosine from 1 to `to` over `steps` steps."""

    kind = "cosine"

    def multiplier(self, g: OpGraph, step: Value) -> Value:
        wave = g.add("cos", g.add("mul", self.part(g, step), _number(g, math.pi)))
        return g.add(
            "add", g.add("mul", wave, _number(g, (1 - self.to) / 2)), _number(g, (1 + self.to) / 2), name="cosine"
        )


@dataclass(frozen=True, kw_only=True)
class Linear(_Towards):
    """A straight line from 1 to `to` over `steps` steps."""

    kind = "linear"

    def multiplier(self, g: OpGraph, step: Value) -> Value:
        return g.add("add", g.add("mul", self.part(g, step), _number(g, self.to - 1)), _number(g, 1.0), name="linear")


SCHEDULES: dict[str, type[Schedule]] = {cls.kind: cls for cls in (Steps, Milestones, Cosine, Linear)}


def read_schedule(located: Located) -> Schedule:
    """One key, the schedule's name, with its settings."""
    if not isinstance(located.value, dict) or len(located.value) != 1:
        raise located.error(f"found {located.found()}; it takes one of {', '.join(SCHEDULES)} with its settings")
    ((kind, settings),) = located.items()
    if kind not in SCHEDULES:
        raise settings.error(
            f"unknown schedule '{kind}'.{did_you_mean(kind, SCHEDULES)} Allowed: {', '.join(SCHEDULES)}"
        )
    return read_as(SCHEDULES[kind], settings)


def scheduled(g: OpGraph, rate: Value, counter: Value, schedule: Schedule | None, warm_up: int) -> Value:
    """`rate` times the factors of its schedule and of the first `warm_up` steps; `counter` are the steps done."""
    with g.scope("schedule"):
        step = g.add("cast", counter, to=FLOAT, name="step")
        if schedule is not None:
            rate = g.add("mul", rate, schedule.multiplier(g, step), name="rate")
        if warm_up:
            part = g.add("mul", g.add("add", step, _number(g, 1.0)), _number(g, 1 / warm_up))
            rate = g.add("mul", rate, g.add("min", part, _number(g, 1.0)), name="warm")
    return rate


def _number(g: OpGraph, value: Any) -> Value:
    return g.constant(float(value), FLOAT, name="number")

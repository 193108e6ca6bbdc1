"""A recurrent chain as an op graph: what the closed form of Griewank and Walther counts the forward steps of.

The networks that memory is measured on ship as descriptions (models/); memory_table.py lists them.
"""

from __future__ import annotations

from poplar_py.dtypes import FLOAT
from poplar_py.opgraph import OpGraph
from poplar_py.opgraph.gradients import add_gradients


def chain(steps: int, batch: int = 4, width: int = 64) -> OpGraph:
    """Training of a state that is multiplied by the same matrix at every step; the gradient of a step reads the state
    before it. Ends in the mean of squares and an update of the matrix."""
    g = OpGraph(f"chain{steps}")
    x = g.add_input("input", FLOAT, (batch, width))
    w = g.add_parameter("weights", FLOAT, (width, width), "he_uniform")
    for i in range(steps):
        x = g.add("matmul", x, w, name=f"step{i}")
    loss = g.add("mean_squared_error", x, g.add_input("labels", FLOAT, x.shape), name="loss")
    g.set_output("loss", loss)
    gradient = add_gradients(g, loss, [w])[w]
    rate = g.add_parameter("learning_rate", FLOAT, (), 0.1, trainable=False)
    with g.phase("update"):
        velocity = g.add_parameter("weights-velocity", FLOAT, w.shape, like=w, trainable=False)
        g.add("momentum", w, velocity, gradient, rate, name="weights-update")
    return g


def revolve(steps: int, slots: int) -> int:
    """Forward steps that turn back a chain of so many steps with so many slots (Griewank and Walther 2000, Algorithm 799):
    r l - beta(s + 1, r - 1), with r the least number for which beta(s, r) >= l, and beta(s, r) = (s + r)! / (s! r!)."""
    from math import comb

    r = 0
    while comb(slots + r, slots) < steps:
        r += 1
    return r * steps - comb(slots + r, r - 1) if r else 0

"""A small network, as an op graph and in plain numpy."""

from __future__ import annotations

import numpy as np

from poplar_py.dtypes import FLOAT, INT
from poplar_py.opgraph import OpGraph
from poplar_py.opgraph.gradients import add_gradients


def two_layers(training=False, batch=5, dtype=FLOAT, optimiser="momentum"):
    """7 -> 4 -> 3 with cross entropy."""
    g = OpGraph("two_layers")
    x, labels = g.add_input("input", dtype, (batch, 7)), g.add_input("labels", INT, (batch,))
    trained = []
    for scope, units in (("fc1", 4), ("fc2", 3)):
        with g.scope(scope):
            weights = g.add_parameter("weights", dtype, (x.shape[1], units), "he_uniform", seed=1)
            bias = g.add_parameter("bias", dtype, (units,))
            x = g.add("add_bias", g.add("matmul", x, weights), bias)
            x = g.add("relu", x) if scope == "fc1" else x
        trained += [weights, bias]
    loss = g.add("softmax_cross_entropy", x, labels, name="loss")
    g.set_output("loss", loss)
    if not training:
        return g
    rate = g.add_parameter("learning_rate", FLOAT, (), 0.1, trainable=False)
    gradients = add_gradients(g, loss, trained)
    with g.phase("update"):
        for value, gradient in gradients.items():
            with g.top_scope(value.name.rpartition("/")[0]):
                name = f"{value.leaf}-update"
                if optimiser == "sgd":
                    g.add("sgd", value, gradient, rate, name=name)
                    continue
                velocity = g.add_parameter(f"{value.leaf}-velocity", FLOAT, value.shape, like=value, trainable=False)
                g.add("momentum", value, velocity, gradient, rate, name=name)
    return g


def batch_of(g, seed=0):
    """Inputs for such a network."""
    random = np.random.default_rng(seed)
    shapes = {v.name: v.shape for v in g.inputs}
    return {"input": random.standard_normal(shapes["input"]), "labels": random.integers(0, 3, shapes["labels"])}


def step_in_numpy(state, inputs, rate=0.1, momentum=0.9):
    """One step of training on `state` {name: float32 array}, in place; returns the loss. No poplar_py in it."""
    x, labels = inputs["input"].astype("f4"), inputs["labels"]
    h = np.maximum(x @ state["fc1/weights"] + state["fc1/bias"], 0)
    z = h @ state["fc2/weights"] + state["fc2/bias"]
    p = np.exp(z - z.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    rows = np.arange(len(labels))
    loss = -np.log(p[rows, labels]).mean()
    dz = p.copy()
    dz[rows, labels] -= 1
    dz /= np.float32(len(labels))
    dh = (dz @ state["fc2/weights"].T) * (h > 0)
    gradients = {"fc1/weights": x.T @ dh, "fc1/bias": dh.sum(0), "fc2/weights": h.T @ dz, "fc2/bias": dz.sum(0)}
    for name, gradient in gradients.items():
        velocity = state.setdefault(f"{name}-velocity", np.zeros_like(gradient))
        velocity *= np.float32(momentum)
        velocity += gradient
        state[name] = state[name] - np.float32(rate) * velocity
    return loss

"""Well-known networks as op graphs, built layer by layer: what the memory table is computed on.

    g = build("resnet50", batch=32, training=True)

Sizes are those of the first publications: pictures of 224 x 224 x 3 and 1000 classes, U-Net with 572 x 572 x 1 replaced
by 224 x 224 x 3 and two classes as in the measurements it is compared with. Training adds a loss, gradients and an
update with momentum for every parameter.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from poplar_py.dtypes import FLOAT, INT, UNSIGNED_INT
from poplar_py.opgraph import OpGraph, Value
from poplar_py.opgraph.gradients import add_gradients


class Net:
    """Layers on an op graph."""

    def __init__(self, name: str, batch: int, training: bool, dtype: Any = FLOAT):
        self.g, self.batch, self.training, self.dtype = OpGraph(name), batch, training, dtype
        self.step: Value | None = None

    def pictures(self, channels: int = 3, side: int = 224) -> Value:
        return self.g.add_input("input", self.dtype, (self.batch, channels, side, side))

    def weights(self, *shape: int, name: str = "weights", initial: str = "he_uniform") -> Value:
        return self.g.add_parameter(name, self.dtype, shape, initial)

    def conv(self, x: Value, out: int, kernel: int = 1, stride: int = 1, pad: int | None = None, bias: bool = False,
             name: str = "conv") -> Value:  # fmt: skip
        pad = kernel // 2 if pad is None else pad
        with self.g.scope(name):
            w = self.weights(out, x.shape[1], kernel, kernel)
            sizes = {"stride": (stride,) * 2, "padding_lower": (pad,) * 2, "padding_upper": (pad,) * 2}
            x = self.g.add("conv", x, w, **sizes)
            return self.g.add("add", x, self.weights(out, 1, 1, name="bias", initial="zeros")) if bias else x

    def norm(self, x: Value) -> Value:
        channels = x.shape[1]
        gamma, beta = self.weights(channels, name="gamma", initial="ones"), self.weights(channels, name="beta")
        mean = self.g.add_parameter("running_mean", FLOAT, (channels,), trainable=False)
        variance = self.g.add_parameter("running_variance", FLOAT, (channels,), "ones", trainable=False)
        if not self.training:
            return self.g.add("batch_norm_inference", x, gamma, beta, mean, variance)
        if self.step is None:
            with self.g.top_scope():
                self.step = self.g.add_parameter("step", UNSIGNED_INT, (), trainable=False)
        y, now, spread = self.g.add("batch_norm", x, gamma, beta, mean, variance, self.step)
        self.g.add("running_average", mean, now, self.step)
        self.g.add("running_average", variance, spread, self.step)
        return y

    def relu(self, x: Value) -> Value:
        return self.g.add("relu", x)

    def pool(self, x: Value, kernel: int = 2, stride: int | None = None, pad: int = 0) -> Value:
        stride = stride or kernel
        sizes = {"kernel": (kernel,) * 2, "stride": (stride,) * 2}
        return self.g.add("max_pool", x, padding_lower=(pad,) * 2, padding_upper=(pad,) * 2, **sizes)

    def dense(self, x: Value, out: int, name: str = "dense") -> Value:
        with self.g.scope(name):
            x = self.g.add("matmul", x, self.weights(x.shape[1], out))
            return self.g.add("add_bias", x, self.weights(out, name="bias", initial="zeros"))

    def flat(self, x: Value) -> Value:
        return self.g.add("reshape", x, shape=(x.shape[0], -1))

    def average(self, x: Value) -> Value:
        return self.g.add("reduce_mean", x, axes=(2, 3))

    def drop(self, x: Value) -> Value:
        if not self.training:
            return x
        if self.step is None:
            with self.g.top_scope():
                self.step = self.g.add_parameter("step", UNSIGNED_INT, (), trainable=False)
        return self.g.add("dropout", x, self.step, rate=0.5)

    def finish(self, logits: Value, loss: Value | None = None) -> OpGraph:
        """Outputs, and for training the loss, gradients and updates."""
        g = self.g
        if not self.training:
            g.set_output("output", logits)
            return g
        if loss is None:
            labels = g.add_input("labels", INT, logits.shape[:1])
            loss = g.add("softmax_cross_entropy", logits, labels, name="loss")
        g.set_output("loss", loss)
        gradients = add_gradients(g, loss, [p.value for p in g.parameters if p.trainable])
        rate = g.add_parameter("learning_rate", FLOAT, (), 0.1, trainable=False)
        with g.phase("update"):
            for value, gradient in gradients.items():
                with g.top_scope(value.name.rpartition("/")[0]):
                    velocity = g.add_parameter(
                        f"{value.leaf}-velocity", FLOAT, value.shape, like=value, trainable=False
                    )
                    g.add("momentum", value, velocity, gradient, rate, name=f"{value.leaf}-update")
        return g


def alexnet(n: Net) -> OpGraph:
    x = n.pictures(side=227)
    for i, (out, kernel, stride, pad, pooled) in enumerate(
        [(96, 11, 4, 0, True), (256, 5, 1, 2, True), (384, 3, 1, 1, False), (384, 3, 1, 1, False), (256, 3, 1, 1, True)]
    ):
        x = n.relu(n.conv(x, out, kernel, stride, pad, bias=True, name=f"conv{i + 1}"))
        if i < 2:
            x = n.g.add("lrn", x, name=f"norm{i + 1}")
        x = n.pool(x, 3, 2) if pooled else x
    x = n.flat(x)
    for i in (6, 7):
        x = n.drop(n.relu(n.dense(x, 4096, f"fc{i}")))
    return n.finish(n.dense(x, 1000, "fc8"))


def vgg(n: Net, depths: tuple[int, ...]) -> OpGraph:
    x = n.pictures()
    for i, (depth, out) in enumerate(zip(depths, (64, 128, 256, 512, 512), strict=True)):
        for j in range(depth):
            x = n.relu(n.conv(x, out, 3, bias=True, name=f"conv{i + 1}_{j + 1}"))
        x = n.pool(x)
    x = n.flat(x)
    for i in (6, 7):
        x = n.drop(n.relu(n.dense(x, 4096, f"fc{i}")))
    return n.finish(n.dense(x, 1000, "fc8"))


def resnet(n: Net, depths: tuple[int, ...]) -> OpGraph:
    """Bottleneck blocks, the stride in the 3 x 3 convolution."""
    with n.g.scope("conv1"):
        x = n.pool(n.relu(n.norm(n.conv(n.pictures(), 64, 7, 2))), 3, 2, 1)
    for i, depth in enumerate(depths):
        for j in range(depth):
            with n.g.scope(f"conv{i + 2}_{j + 1}"):
                x = _bottleneck(n, x, 64 << i, 2 if i and not j else 1)
    return n.finish(n.dense(n.average(x), 1000, "fc"))


def _bottleneck(n: Net, x: Value, width: int, stride: int) -> Value:
    y = x
    for name, out, kernel, step in (("a", width, 1, 1), ("b", width, 3, stride), ("c", 4 * width, 1, 1)):
        with n.g.scope(name):
            y = n.norm(n.conv(y, out, kernel, step))
            y = y if name == "c" else n.relu(y)
    if x.shape != y.shape:
        with n.g.scope("shortcut"):
            x = n.norm(n.conv(x, 4 * width, 1, stride))
    return n.relu(n.g.add("add", y, x))


def densenet(n: Net, depths: tuple[int, ...] = (6, 12, 24, 16), growth: int = 32) -> OpGraph:
    with n.g.scope("conv1"):
        x = n.pool(n.relu(n.norm(n.conv(n.pictures(), 64, 7, 2))), 3, 2, 1)
    for i, depth in enumerate(depths):
        for j in range(depth):
            with n.g.scope(f"block{i + 1}/{j + 1}"):
                y = n.conv(n.relu(n.norm(x)), 4 * growth)
                with n.g.scope("b"):
                    y = n.conv(n.relu(n.norm(y)), growth, 3)
                x = n.g.add("concat", (x, y), axis=1)
        if i < 3:
            with n.g.scope(f"transition{i + 1}"):
                x = n.conv(n.relu(n.norm(x)), x.shape[1] // 2)
                x = n.g.add("avg_pool", x, kernel=(2, 2), stride=(2, 2))
    with n.g.scope("final"):
        x = n.relu(n.norm(x))
    return n.finish(n.dense(n.average(x), 1000, "fc"))


def unet(n: Net, width: int = 64, depth: int = 4, classes: int = 2) -> OpGraph:
    x, skips = n.pictures(), []
    for i in range(depth + 1):
        with n.g.scope(f"down{i + 1}"):
            x = _twice(n, x, width << i)
        if i < depth:
            skips.append(x)
            x = n.pool(x)
    for i in reversed(range(depth)):
        with n.g.scope(f"up{i + 1}"):
            with n.g.scope("upconv"):  # transposed convolution, 2 x 2, stride 2
                field, w = tuple(2 * s for s in x.shape[2:]), n.weights(x.shape[1], width << i, 2, 2)
                x = n.g.add("conv_input_gradient", x, w, field=field, stride=(2, 2))
                x = n.g.add("add", x, n.weights(width << i, 1, 1, name="bias", initial="zeros"))
            x = _twice(n, n.g.add("concat", (skips.pop(), x), axis=1), width << i)
    x = n.conv(x, classes, 1, bias=True, name="classes")
    if not n.training:
        return n.finish(x)
    rows = n.g.add("reshape", n.g.add("transpose", x, permutation=(0, 2, 3, 1)), shape=(-1, classes))
    return n.finish(rows)


def _twice(n: Net, x: Value, out: int) -> Value:
    for name in ("a", "b"):
        with n.g.scope(name):
            x = n.relu(n.norm(n.conv(x, out, 3)))
    return x


def lstm(n: Net, steps: int, layers: int = 4, width: int = 1024, size: int = 1024) -> OpGraph:
    """Layers of LSTM cells unrolled over steps, 1024 wide as in memonger's example, mean of squares of the last state."""
    g = n.g
    inputs = g.add_input("input", n.dtype, (steps, n.batch, size))
    state: list[tuple[Value, Value]] = []
    made = []
    for layer in range(layers):
        with g.scope(f"layer{layer}"):
            inside = size if layer == 0 else width
            made.append(
                (n.weights(inside, 4 * width), n.weights(width, 4 * width, name="recurrent"),
                 n.weights(4 * width, name="bias", initial="zeros"))
            )  # fmt: skip
            zero = g.add("broadcast_to", g.constant(0.0, n.dtype, name="zero"), shape=(n.batch, width))
            state.append((zero, zero))
    for t in range(steps):
        with g.scope(f"step{t}"):
            x = g.add("slice", inputs, begin=(t, 0, 0), end=(t + 1, n.batch, size))
            x = g.add("reshape", x, shape=(n.batch, size))
            for layer, (weights, recurrent, bias) in enumerate(made):
                with g.scope(f"layer{layer}"):
                    h, c = state[layer]
                    gates = g.add("add", g.add("matmul", x, weights), g.add("matmul", h, recurrent))
                    gates = g.add("add_bias", gates, bias)
                    i, f, o, u = (
                        g.add("slice", gates, begin=(0, k * width), end=(n.batch, (k + 1) * width)) for k in range(4)
                    )
                    i, f, o = (g.add("sigmoid", v) for v in (i, f, o))
                    c = g.add("add", g.add("mul", f, c), g.add("mul", i, g.add("tanh", u)))
                    h = g.add("mul", o, g.add("tanh", c))
                    state[layer] = (h, c)
                    x = h
    if not n.training:
        return n.finish(x)
    labels = g.add_input("labels", n.dtype, x.shape)
    return n.finish(x, g.add("mean_squared_error", x, labels, name="loss"))


def mlp(n: Net, layers: int = 100, width: int = 1024) -> OpGraph:
    x = n.g.add_input("input", n.dtype, (n.batch, width))
    for i in range(layers):
        x = n.relu(n.dense(x, width, f"fc{i + 1}"))
    return n.finish(n.dense(x, 10, "out"))


def chain(n: Net, steps: int, width: int = 64) -> OpGraph:
    """A recurrent chain: every state is the one before times the same matrix; its gradient reads the state before."""
    x = n.g.add_input("input", n.dtype, (n.batch, width))
    w = n.weights(width, width)
    for i in range(steps):
        x = n.g.add("matmul", x, w, name=f"step{i}")
    labels = n.g.add_input("labels", n.dtype, x.shape)
    return n.finish(x, n.g.add("mean_squared_error", x, labels, name="loss"))


NETWORKS: dict[str, Callable[[Net], OpGraph]] = {
    "alexnet": alexnet,
    "vgg16": lambda n: vgg(n, (2, 2, 3, 3, 3)),
    "vgg19": lambda n: vgg(n, (2, 2, 4, 4, 4)),
    "resnet50": lambda n: resnet(n, (3, 4, 6, 3)),
    "resnet101": lambda n: resnet(n, (3, 4, 23, 3)),
    "resnet152": lambda n: resnet(n, (3, 8, 36, 3)),
    "densenet121": densenet,
    "unet": unet,
    "lstm50": lambda n: lstm(n, 50),
    "lstm100": lambda n: lstm(n, 100),
    "lstm200": lambda n: lstm(n, 200),
    "lstm1000": lambda n: lstm(n, 1000),
    "mlp100": mlp,
}


def build(name: str, batch: int, training: bool = False) -> OpGraph:
    """The op graph of a network by name."""
    return NETWORKS[name](Net(name, batch, training))

"""Regression demo: softmax regression on real handwritten digits, written at Poplar's level.

No op graph and no description: variables, popops, poplin and popnn calls on a graph, streams for batches, a Repeat for
the loop. Weights stay on the device; the host only feeds digits and reads how many were read right.

    python models/tutorials/regression_demo.py [EPOCHS]
"""

import sys

import numpy as np

import poplar_py as pp
from poplar_py import poplin, popnn, popops
from poplar_py.frontends.data import load_data

BATCH, RATE = 50, 0.3


def main(argv=()):
    epochs = int(argv[0]) if argv else 2
    data = load_data("mnist")
    train = data.train_x.reshape(-1, 784).astype(np.float32) / np.float32(255)
    test = data.test_x.reshape(-1, 784).astype(np.float32) / np.float32(255)
    steps = len(train) // BATCH

    target = pp.Target.gc200()
    graph = pp.Graph(target, name="regression")
    x = graph.add_variable(pp.FLOAT, (BATCH, 784), name="x", mapping="linear")
    labels = graph.add_variable(pp.INT, (BATCH,), name="labels", mapping="linear")
    weights = graph.add_variable(pp.FLOAT, (784, 10), name="weights", mapping="linear")
    bias = graph.add_variable(pp.FLOAT, (10,), name="bias", mapping="linear")
    graph.set_initial_value(weights, np.zeros((784, 10), np.float32))
    graph.set_initial_value(bias, np.zeros(10, np.float32))
    read = pp.Sequence(
        [
            pp.Copy(graph.add_host_to_device_fifo("x", pp.FLOAT, x.size), x),
            pp.Copy(graph.add_host_to_device_fifo("labels", pp.INT, BATCH), labels),
        ]
    )

    forward = pp.Sequence()
    scores = poplin.mat_mul(graph, x, weights, forward, name="scores")
    popops.add_in_place(graph, scores, bias.broadcast_to(scores.shape), forward, name="add_bias")
    probabilities = popnn.softmax(graph, scores, forward, name="softmax")

    update = pp.Sequence()
    classes = graph.add_constant(pp.INT, (10,), np.arange(10, dtype=np.int32), name="classes")
    graph.set_tile_mapping(classes, 0)
    wanted = labels.reshape(BATCH, 1).broadcast_to((BATCH, 10))
    right = popops.eq(graph, wanted, classes.reshape(1, 10).broadcast_to((BATCH, 10)), update, name="right")
    error = popops.sub(
        graph, probabilities, popops.cast(graph, right, pp.FLOAT, update, name="one_hot"), update, name="error"
    )
    step = RATE / BATCH
    gradient = poplin.mat_mul(graph, x.transpose(), error, update, name="gradient")
    popops.scaled_add_to(graph, weights, gradient, -step, update, name="update")
    popops.scaled_add_to(graph, bias, popops.reduce(graph, error, pp.FLOAT, [0], "add", update), -step, update)

    out = graph.add_device_to_host_fifo("probabilities", pp.FLOAT, BATCH * 10)
    training = pp.Repeat(steps, pp.Sequence([read, forward, update]))
    testing = pp.Repeat(len(test) // BATCH, pp.Sequence([read, forward, pp.Copy(probabilities, out)]))
    graph.create_host_read("weights", weights)

    engine = pp.Engine(pp.compile_graph(graph, [training, testing]))
    engine.load(pp.Device(target))
    answers = np.zeros((len(test), 10), np.float32)
    engine.connect_stream("probabilities", answers)
    accuracy = 0.0
    for epoch in range(epochs):
        order = np.random.default_rng(epoch).permutation(len(train))[: steps * BATCH]
        engine.connect_stream("x", train[order])
        engine.connect_stream("labels", data.train_y[order].astype(np.int32))
        engine.run(0)
        engine.connect_stream("x", test)
        engine.connect_stream("labels", data.test_y.astype(np.int32))
        engine.run(1)
        accuracy = float((answers.argmax(1) == data.test_y).mean())
        print(f"epoch {epoch + 1}: {accuracy:.3f} of {len(test):,} held-out digits are read right")
    report = engine.profile()
    print(f"{report.cycles:,} cycles, {report.seconds * 1e3:.1f} ms on the chip")
    return accuracy, report


if __name__ == "__main__":
    main(sys.argv[1:])

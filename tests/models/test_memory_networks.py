"""The networks that memory is measured on: parameters as published, and numbers as PyTorch's on the same weights."""

from __future__ import annotations

import numpy as np
import pytest

import poplar_py as pp
from poplar_py.errors import FileLoadError, ModelError
from poplar_py.frontends import read_description
from poplar_py.frontends.models import read_model
from poplar_py.opgraph.evaluate import Evaluation

torch = pytest.importorskip("torch")
F = torch.nn.functional

# published by torchvision beside its weights; U-Net: counted from the layers of the paper without biases before norms
PARAMETERS = {"vgg19": 143_667_240, "resnet101": 44_549_160, "resnet152": 60_192_808, "densenet121": 7_978_856,
              "unet": 31_037_698}  # fmt: skip


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_are_as_published(name: str) -> None:
    g = read_model(name)
    assert g.name == name and sum(p.value.size for p in g.parameters if p.trainable) == PARAMETERS[name]


class Torch:
    """Layers of PyTorch on the parameters of an op graph, by path. `training`: statistics of the batch."""

    def __init__(self, g, training: bool):
        self.weights = {p.name: torch.from_numpy(p.initial_value().astype("f4")) for p in g.parameters}
        self.training = training

    def conv(self, x, path, stride=1, pad=0):
        return F.conv2d(x, self.weights[f"{path}/weights"], self.weights.get(f"{path}/bias"), stride, pad)

    def norm_relu(self, x, path):
        w = [self.weights[f"{path}/{n}"].clone() for n in ("running_mean", "running_variance", "gamma", "beta")]
        return torch.relu(F.batch_norm(x, *w, training=self.training))

    def unet(self, x):
        def twice(y, path):
            for i in (1, 2):
                y = self.norm_relu(self.conv(y, f"{path}/conv{i}", pad=1), f"{path}/norm{i}")
            return y

        past = []
        for i in range(1, 5):
            past.append(twice(x, f"down{i}"))
            x = F.max_pool2d(past[-1], 2)
        x = twice(x, "middle")
        for i in range(4, 0, -1):
            up = f"upconv{i}"
            x = F.conv_transpose2d(x, self.weights[f"{up}/weights"], self.weights[f"{up}/bias"], 2)
            x = twice(torch.cat([x, past.pop()], 1), f"up{i}")
        return self.conv(x, "classes")

    def densenet(self, x, counts):
        x = F.max_pool2d(self.norm_relu(self.conv(x, "conv0", 2, 3), "norm0"), 3, 2, 1)
        for block, count in enumerate(counts, 1):
            for i in range(count):
                path = f"block{block}/{i}/layer/new"
                y = self.conv(self.norm_relu(x, f"{path}/norm1"), f"{path}/conv1")
                x = torch.cat([x, self.conv(self.norm_relu(y, f"{path}/norm2"), f"{path}/conv2", pad=1)], 1)
            if block < len(counts):
                path = f"transition{block}"
                x = F.avg_pool2d(self.conv(self.norm_relu(x, f"{path}/norm"), f"{path}/conv"), 2)
        x = self.norm_relu(x, "norm5").mean(dim=(2, 3))
        return x @ self.weights["fc/weights"] + self.weights["fc/bias"]


SMALL_UNET = {"size": 32, "width": 4, "width2": 6, "width3": 8, "width4": 10, "width5": 12, "classes": 3}
SMALL_DENSENET = {"size": 64, "classes": 10, "counts1": 2, "counts2": 3, "counts3": 2, "counts4": 1, "start": 16}


@pytest.mark.parametrize("training", [False, True])
def test_unet_equals_pytorch(training: bool) -> None:
    g = read_model("unet", batch=2, training=training, settings=SMALL_UNET)
    random = np.random.default_rng(1)
    x, labels = random.standard_normal((2, 3, 32, 32)).astype("f4"), random.integers(0, 3, (2, 32, 32)).astype("i4")
    found = Evaluation(g).run({"input": x, "labels": labels} if training else {"input": x})
    expected = Torch(g, training).unet(torch.from_numpy(x))
    np.testing.assert_allclose(found["output"], expected.numpy(), atol=2e-5)
    if training:
        loss = F.cross_entropy(expected, torch.from_numpy(labels).long())
        assert found["loss"] == pytest.approx(float(loss), rel=1e-5)
        assert found["correct"] == (expected.numpy().argmax(1) == labels).sum()


@pytest.mark.parametrize("training", [False, True])
def test_densenet_equals_pytorch(training: bool) -> None:
    g = read_model("densenet121", batch=4, training=training, settings=SMALL_DENSENET)
    random = np.random.default_rng(1)
    x, labels = random.standard_normal((4, 3, 64, 64)).astype("f4"), random.integers(0, 10, 4).astype("i4")
    found = Evaluation(g).run({"input": x, "labels": labels} if training else {"input": x})
    expected = Torch(g, training).densenet(torch.from_numpy(x), (2, 3, 2, 1))
    wanted = expected if training else torch.softmax(expected, 1)
    np.testing.assert_allclose(found["output"], wanted.numpy(), atol=2e-4)


def test_an_lstm_learns_on_the_device_as_in_numpy() -> None:
    settings = {"steps": 4, "features": 6, "units": 8, "layers": 2}
    g = read_model("lstm", batch=5, training=True, settings=settings)
    executable = pp.compile("lstm", pp.Target.tiny(num_tiles=8), batch=5, training=True, settings=settings)
    engine, oracle = pp.Engine(executable), Evaluation(g)
    engine.load(pp.Device(executable.target))
    random = np.random.default_rng(6)
    x = random.standard_normal((5, 4, 6)).astype("f4")
    labels, losses = random.integers(0, 10, 5).astype("i4"), []
    engine.connect_stream("input", x.ravel())
    engine.connect_stream("labels", labels)
    for name, stream in executable.graph.streams.items():
        if not stream.to_device:
            keep = (lambda a: losses.append(float(a[0]))) if name == "loss" else (lambda a: None)
            engine.connect_stream_to_callback(name, keep)
    expected = []
    for _ in range(3):
        engine.run(0)
        expected.append(float(oracle.run({"input": x, "labels": labels})["loss"]))
    np.testing.assert_allclose(losses, expected, rtol=1e-5)
    for name in ("lstm/0/weights", "lstm/1/recurrent", "lstm/0/bias"):
        np.testing.assert_allclose(engine.read_tensor(name), oracle.state[name], atol=2e-5)


def test_a_description_like_another(tmp_path) -> None:
    (tmp_path / "base.yaml").write_text(
        "name: base\ninput: {shape: [4]}\nsettings: {units: 3, kind: {default: a, a: {more: 1}, b: {more: 2}}}\n"
        "layers: [repeat: {times: $more, layers: [dense: {units: $units}]}]\n"
    )
    path = tmp_path / "other.yaml"
    path.write_text("like: base.yaml\nname: other\nsettings: {units: 5, kind: b}\n")
    d = read_description(path)
    g = read_model(str(path))
    assert d.name == g.name == "other" and g.outputs["output"].shape == (1, 5) and len(g.parameters) == 4
    assert read_model(str(path), settings={"units": 7}).outputs["output"].shape == (1, 7)
    path.write_text("like: base.yaml\nsettings: {unit: 5}\n")
    with pytest.raises(ModelError, match=r"other.yaml:2: .*base.yaml has no setting 'unit'. Did you mean 'units'"):
        read_description(path)
    path.write_text("like: nothing.yaml\n")
    with pytest.raises((ModelError, FileLoadError), match="no file"):
        read_description(path)
    path.write_text("like: other.yaml\n")
    with pytest.raises(ModelError, match="like itself"):
        read_description(path)

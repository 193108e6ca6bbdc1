"""The models that ship, written with torch.nn by people's knowledge of them, and the same weights in both.

Attributes are called as the layers of the descriptions, so `conv2.first.conv1.weight` is `conv2/first/conv1/weights`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

LEAVES = {"running_mean": "running_mean", "running_var": "running_variance", "bias": "bias"}


class LeNet5(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 5, padding=2), nn.Conv2d(6, 16, 5)
        self.fc3, self.fc4, self.fc5 = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, x):
        x = nn.functional.avg_pool2d(torch.tanh(self.conv1(x)), 2)
        x = nn.functional.avg_pool2d(torch.tanh(self.conv2(x)), 2)
        x = torch.tanh(self.fc3(x.flatten(1)))
        return self.fc5(torch.tanh(self.fc4(x)))


class BasicBlock(nn.Module):
    def __init__(self, channels, width, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        if stride != 1 or channels != width:
            self.shortcut = nn.Sequential()
            self.shortcut.add_module("conv", nn.Conv2d(channels, width, 1, stride, bias=False))
            self.shortcut.add_module("norm", nn.BatchNorm2d(width))

    def forward(self, x):
        y = torch.relu(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        return torch.relu(y + (self.shortcut(x) if hasattr(self, "shortcut") else x))


class Bottleneck(nn.Module):
    def __init__(self, channels, width, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.norm3 = nn.BatchNorm2d(4 * width)
        if stride != 1 or channels != 4 * width:
            self.shortcut = nn.Sequential()
            self.shortcut.add_module("conv", nn.Conv2d(channels, 4 * width, 1, stride, bias=False))
            self.shortcut.add_module("norm", nn.BatchNorm2d(4 * width))

    def forward(self, x):
        y = torch.relu(self.norm1(self.conv1(x)))
        y = torch.relu(self.norm2(self.conv2(y)))
        y = self.norm3(self.conv3(y))
        return torch.relu(y + (self.shortcut(x) if hasattr(self, "shortcut") else x))


class ResNet(nn.Module):
    def __init__(self, block: type, counts: tuple[int, ...]):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        grown, channels = (1 if block is BasicBlock else 4), 64
        for stage, count in enumerate(counts):
            width, stride = 64 << stage, 1 if stage == 0 else 2
            part = nn.Sequential()
            part.add_module("first", block(channels, width, stride))
            channels = width * grown
            part.add_module("more", nn.Sequential(*(block(channels, width, 1) for _ in range(count - 1))))
            self.add_module(f"conv{stage + 2}", part)
        self.fc = nn.Linear(channels, 1000)

    def forward(self, x):
        x = nn.functional.max_pool2d(torch.relu(self.norm1(self.conv1(x))), 3, 2, 1)
        x = self.conv5(self.conv4(self.conv3(self.conv2(x))))
        return self.fc(x.mean(dim=(2, 3)))


class ResNet8(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(1, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16)
        self.conv2, self.conv3, self.conv4 = BasicBlock(16, 16, 1), BasicBlock(16, 32, 2), BasicBlock(32, 64, 2)
        self.fc = nn.Linear(64, 10)

    def forward(self, x):
        x = torch.relu(self.norm1(self.conv1(x)))
        return self.fc(self.conv4(self.conv3(self.conv2(x))).mean(dim=(2, 3)))


class Vgg16(nn.Module):
    def __init__(self):
        super().__init__()
        channels = 3
        for stage, (width, count) in enumerate(((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)), 1):
            layers = nn.Sequential()
            for i in range(count):
                layers.add_module(str(i), nn.Sequential())
                layers[i].add_module("conv", nn.Conv2d(channels, width, 3, padding=1))
                layers[i].add_module("relu", nn.ReLU())
                channels = width
            part = nn.Sequential()
            part.add_module("layers", layers)
            part.add_module("pool", nn.MaxPool2d(2))
            self.add_module(f"conv{stage}", part)
        self.fc6, self.fc7, self.fc8 = nn.Linear(512 * 49, 4096), nn.Linear(4096, 4096), nn.Linear(4096, 1000)

    def forward(self, x):
        x = self.conv5(self.conv4(self.conv3(self.conv2(self.conv1(x))))).flatten(1)
        return self.fc8(torch.relu(self.fc7(torch.relu(self.fc6(x)))))


class AlexNet(nn.Module):
    def __init__(self, widths=(96, 256, 384, 384, 256), groups=2, lrn=False):
        super().__init__()
        a, b, c, d, e = widths
        self.conv1, self.conv2 = nn.Conv2d(3, a, 11, 4), nn.Conv2d(a, b, 5, padding=2, groups=groups)
        self.conv3, self.conv4 = nn.Conv2d(b, c, 3, padding=1), nn.Conv2d(c, d, 3, padding=1, groups=groups)
        self.conv5 = nn.Conv2d(d, e, 3, padding=1, groups=groups)
        self.fc6, self.fc7, self.fc8 = nn.Linear(e * 36, 4096), nn.Linear(4096, 4096), nn.Linear(4096, 1000)
        self.norm = nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2) if lrn else nn.Identity()

    def forward(self, x):
        def pool(y):
            return nn.functional.max_pool2d(y, 3, 2)

        x = pool(self.norm(torch.relu(self.conv1(x))))
        x = pool(self.norm(torch.relu(self.conv2(x))))
        x = torch.relu(self.conv4(torch.relu(self.conv3(x))))
        x = pool(torch.relu(self.conv5(x))).flatten(1)
        return self.fc8(torch.relu(self.fc7(torch.relu(self.fc6(x)))))


NETWORKS: dict[str, Any] = {
    "lenet5": (LeNet5, "lenet5", {}),
    "resnet8_digits": (ResNet8, "resnet8_digits", {}),
    "alexnet": (AlexNet, "alexnet", {}),
    "alexnet, one tower, lrn": (
        lambda: AlexNet((64, 192, 384, 256, 256), 1, True), "alexnet", {"form": "one_tower", "norm": "lrn"}
    ),
    "vgg16": (Vgg16, "vgg16", {}),
    "resnet18": (lambda: ResNet(BasicBlock, (2, 2, 2, 2)), "resnet50", {"depth": 18}),
    "resnet34": (lambda: ResNet(BasicBlock, (3, 4, 6, 3)), "resnet50", {"depth": 34}),
    "resnet50": (lambda: ResNet(Bottleneck, (3, 4, 6, 3)), "resnet50", {}),
    "resnet101": (lambda: ResNet(Bottleneck, (3, 4, 23, 3)), "resnet50", {"depth": 101}),
}  # fmt: skip


def draw_norms(net: nn.Module, seed: int = 5) -> None:
    """Statistics and scales of norms as after training, rather than ones and zeros, and biases other than zero."""
    random = torch.Generator().manual_seed(seed)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            shape = module.weight.shape
            for tensor, low, high in (
                (module.weight, 0.7, 1.3),
                (module.bias, -0.3, 0.3),
                (module.running_mean, -0.3, 0.3),
                (module.running_var, 0.7, 1.5),
            ):
                tensor.data = low + (high - low) * torch.rand(shape, generator=random)


def to_torch(net: nn.Module, arrays: dict[str, np.ndarray]) -> None:
    """Give a network the weights of ours, by path."""
    with torch.no_grad():
        for path, tensor, transposed in _pairs(net):
            array = arrays[path].T if transposed else arrays[path]
            assert array.shape == tuple(tensor.shape), path
            tensor.copy_(torch.from_numpy(np.array(array, np.float32)))


def from_torch(net: nn.Module) -> dict[str, np.ndarray]:
    """The weights of a network under our paths."""
    arrays = {path: tensor.detach().numpy().copy() for path, tensor, _ in _pairs(net)}
    return {path: arrays[path].T if transposed else arrays[path] for path, _, transposed in _pairs(net)}


def _pairs(net: nn.Module):
    for name, module in net.named_modules():
        for leaf, tensor in [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]:
            if leaf == "num_batches_tracked":
                continue
            ours = LEAVES.get(leaf, "weights")
            if isinstance(module, nn.BatchNorm2d) and leaf in ("weight", "bias"):
                ours = {"weight": "gamma", "bias": "beta"}[leaf]
            yield f"{name.replace('.', '/')}/{ours}", tensor, isinstance(module, nn.Linear) and leaf == "weight"

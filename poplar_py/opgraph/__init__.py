"""The op graph: what is computed, not where. See op.py and graph.py."""

from .graph import OpGraph, Parameter
from .op import Op, TensorType, Value

__all__ = ["Op", "OpGraph", "Parameter", "TensorType", "Value"]

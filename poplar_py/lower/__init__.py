"""Op graph to tile-mapped graph and program: tile mapping, the partition planner, cutting patterns."""

from .lowering import Lowering
from .walk import Lowered, lower

__all__ = ["Lowered", "Lowering", "lower"]

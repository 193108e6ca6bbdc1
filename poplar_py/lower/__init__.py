"""Op graph to tile-mapped graph and program: tile mapping, the partition planner, cutting patterns."""

from .lowering import Lowering

__all__ = ["Lowering"]

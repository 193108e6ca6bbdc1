"""The waist: the tile-mapped graph of variables, compute sets, vertices and edges."""

from .graph import ComputeSet, DataStream, Function, Graph
from .joined import Joined
from .remote import RemoteBuffer
from .stored import StoredView, as_stored
from .tensor import Tensor, Windows, append, concat
from .variable import Variable
from .vertices import Block, Edges, Vertex

__all__ = [
    "Block",
    "ComputeSet",
    "DataStream",
    "Edges",
    "Function",
    "Graph",
    "Joined",
    "RemoteBuffer",
    "StoredView",
    "Tensor",
    "Variable",
    "Vertex",
    "Windows",
    "append",
    "as_stored",
    "concat",
]

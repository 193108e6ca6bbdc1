"""What a codelet is: fields, `compute`, `cycles`. Loading, typing and batching of codelets live in the modules here."""

from .codelet import MATRIX, MULTI, SCALAR, VECTOR, WORKER, Codelet, Constant, Field, InOut, Input, Output
from .library import CodeletInfo, Library
from .vocabulary import multiply_accumulate, random_bits, random_uniform

__all__ = [
    "MATRIX",
    "MULTI",
    "SCALAR",
    "VECTOR",
    "WORKER",
    "Codelet",
    "CodeletInfo",
    "Constant",
    "Field",
    "InOut",
    "Input",
    "Library",
    "Output",
    "multiply_accumulate",
    "random_bits",
    "random_uniform",
]

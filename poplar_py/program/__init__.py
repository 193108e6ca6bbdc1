"""The waist: control programs, and their flattening into supersteps."""

from .program import (
    Abort,
    AbortOnCondition,
    Call,
    Copy,
    Execute,
    If,
    PrintTensor,
    Program,
    Repeat,
    RepeatWhileFalse,
    RepeatWhileTrue,
    Sequence,
    Switch,
    Sync,
    WriteUndef,
)

__all__ = [
    "Abort",
    "AbortOnCondition",
    "Call",
    "Copy",
    "Execute",
    "If",
    "PrintTensor",
    "Program",
    "Repeat",
    "RepeatWhileFalse",
    "RepeatWhileTrue",
    "Sequence",
    "Switch",
    "Sync",
    "WriteUndef",
]

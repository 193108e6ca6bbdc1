"""The reference engine: the definition of what a graph computes.

Plain Python, one vertex at a time, on whole variables: it knows no tiles, addresses, exchange or memory plan, so the
engine that does can be tested against it. A compute set's vertices read the values from before it and their writes
are all made; copies read everything before they write anything.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..codelet.batch import Signature, interpreted
from ..codelet.codelet import MATRIX
from ..dtypes import BOOL, HALF
from ..errors import RuntimeFault
from ..graph import Block
from ..graph.vertices import pick
from .base import BaseEngine


class ReferenceEngine(BaseEngine):
    """Runs an executable as its definition says."""

    def _load(self) -> None:
        self.values = [np.zeros(v.size, v.dtype.storage) for v in self.graph.variables]
        self.bases = np.array([v.base for v in self.graph.variables], np.int64)

    # elements --------------------------------------------------------------------------------------------------

    def _gather(self, elements: np.ndarray, storage: np.dtype) -> np.ndarray:
        flat = elements.reshape(-1)
        words = np.empty(flat.size, storage)
        owner = self.graph.variable_index(flat)
        for i in np.unique(owner):
            mine = owner == i
            words[mine] = self.values[i].view(storage)[flat[mine] - self.bases[i]]
        return words.reshape(elements.shape)

    def _scatter(self, elements: np.ndarray, words: np.ndarray) -> None:
        flat, source = elements.reshape(-1), words.reshape(-1)
        owner = self.graph.variable_index(flat)
        for i in np.unique(owner):
            mine = owner == i
            self.values[i].view(source.dtype)[flat[mine] - self.bases[i]] = source[mine]

    def _read_words(self, key: str, tensor: Any) -> np.ndarray:
        return self._gather(tensor.index.reshape(-1), tensor.dtype.storage)

    def _write_words(self, key: str, tensor: Any, words: np.ndarray) -> None:
        self._scatter(tensor.index.reshape(-1), words)

    # supersteps ------------------------------------------------------------------------------------------------

    def _action(self, index: int) -> Any:
        step = self.executable.schedule.steps[index]
        if step.kind == "copy":
            assert step.source is not None and step.destination is not None
            source, destination = step.source.index.reshape(-1), step.destination.index.reshape(-1)
            storage = step.source.dtype.storage
            return lambda: self._scatter(destination, self._gather(source, storage))
        blocks = self.graph.compute_sets[step.compute_set].blocks
        ready = [(block, interpreted(Signature(block.info, block.dtypes))) for block in blocks]

        def run() -> None:
            writes: list[tuple[np.ndarray, np.ndarray]] = []
            for block, compute in ready:
                for v in range(block.n):
                    writes += self._vertex(block, compute, v)
            for elements, words in writes:
                self._scatter(elements, words)

        return run

    def _vertex(self, block: Block, compute: Any, v: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """Run one vertex on copies of its windows; what it wrote is returned, not yet made."""
        arguments: dict[str, Any] = {}
        outputs = []
        shared: dict[tuple, np.ndarray] = {}
        for name, edges in block.fields.items():
            field = block.info.fields[name]
            window = edges.window(v)
            words = self._gather(window, edges.dtype.storage)
            array = _as_compute(edges.dtype, words)
            array = array if field.kind == MATRIX else array.reshape(-1)
            if field.direction == "inout":  # one region in two InOut fields is one place
                array = shared.setdefault((window.tobytes(), edges.dtype.name), array)
            arguments[name] = array
            if field.direction != "in":
                outputs.append((window, array, edges.dtype))
        for name, value in block.constants.items():
            arguments[name] = np.asarray(pick(value, v))[()]
        try:
            compute(**arguments)
        except IndexError as problem:
            raise RuntimeFault(
                f"{block.name}: vertex {int(block.index[v])} ({block.codelet}) on tile {int(block.tile[v])} leaves its"
                f" fields: {problem}"
            ) from None
        return [(window, _as_storage(dtype, array)) for window, array, dtype in outputs]


def _as_compute(element_type: Any, words: np.ndarray) -> np.ndarray:
    if element_type is HALF:
        return words.view(np.float16).astype(np.float32)
    return words.view(element_type.compute) if element_type is not BOOL else (words != 0)


def _as_storage(element_type: Any, array: np.ndarray) -> np.ndarray:
    if element_type is HALF:
        with np.errstate(over="ignore"):
            return np.ascontiguousarray(array).astype(np.float16).view(np.uint16)
    if element_type is BOOL:
        return np.ascontiguousarray(array != 0).view(np.uint8)
    return np.ascontiguousarray(array).view(element_type.storage)

"""Executables as files: a header of JSON and raw, aligned, mappable columns. No pickle; loading runs no code.

Layout: the magic line, the header's length and checksum (two little-endian 64-bit words), the header, then every
array at a multiple of 64 bytes. Codelets of the user are in the header as source with its hash; they run only if the
reader trusts the file or names a codelet file with the same source.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from ..codelet.codelet import Field
from ..codelet.library import Library
from ..dtypes import dtype
from ..errors import FileLoadError, UntrustedCodelet
from ..exchange.layout import Layout
from ..exchange.plan import CopyPlan
from ..exchange.routes import Placed, Routes
from ..exchange.transfers import Transfers
from ..graph import (
    Block,
    ComputeSet,
    DataStream,
    Edges,
    Function,
    Graph,
    Joined,
    RemoteBuffer,
    StoredView,
    Tensor,
    Variable,
)
from ..graph.tensor import affine
from ..memory.plan import MemoryPlan
from ..program.supersteps import Schedule, Superstep
from ..target import Target
from .executable import Executable, HostPlan, Step

MAGIC = b"poplar_py executable 1\n"
_ALIGN = 64
_RECORDS = {
    c.__name__: c
    for c in (Superstep, Schedule, Layout, Routes, Placed, Transfers, CopyPlan, HostPlan, MemoryPlan, Step, Target)
}


class SealedCodelet:
    """A user's codelet read from a file that is not trusted: its fields are known, its code is not run."""

    is_user = True

    def __init__(self, record: dict[str, Any]):
        self.name = record["name"]
        self.kind = record["kind"]
        self.hash = record["hash"]
        self.source = record["source"]
        self.instructions = record["instructions"]
        self.fields = {f["name"]: _field(f) for f in record["fields"]}

    @property
    def file(self) -> Any:
        """Its source read as Python, which is what running it begins with: refused."""
        return self.cycles()

    def cycles(self, *_: Any) -> Any:
        raise UntrustedCodelet(
            f"codelet {self.name} is the user's and comes from this file; to run it give the file with its source"
            " (codelets=...) or load with trust=True"
        )


def _field(record: dict[str, Any]) -> Field:
    made = Field.__new__(Field)
    for key, value in record.items():
        object.__setattr__(made, key, dtype(value) if key == "dtype" and value else value)
    return made


class _Writer:
    def __init__(self) -> None:
        self.arrays: list[np.ndarray] = []

    def pack(self, thing: Any) -> Any:
        if thing is None or isinstance(thing, (bool, int, float, str)):
            return thing
        if isinstance(thing, np.generic):
            return self.pack(thing.item())
        if isinstance(thing, np.ndarray):
            return self._array(thing)
        if isinstance(thing, RemoteBuffer):
            return {"~": "remote", "v": thing.handle}
        if isinstance(thing, StoredView):
            return {"~": "stored", "v": [self.pack(thing.stored), [list(g) for g in thing.groups]]}
        if isinstance(thing, Joined):
            return {"~": "joined", "v": [self.pack(t) for t in thing.parts]}
        if isinstance(thing, Tensor):
            if thing.is_affine:
                return {"~": "tensor", "v": [thing.dtype.name, thing.offset, list(thing.shape), list(thing.strides)]}
            return {"~": "elements", "v": [thing.dtype.name, self._array(thing.index)]}
        if isinstance(thing, Edges):
            columns = {
                k: self.pack(getattr(thing, k))
                for k in ("n", "start", "rows", "cols", "stride", "elements", "offset", "width")
            }
            return {"~": "edges", "dtype": thing.dtype.name, **columns}
        if isinstance(thing, dict):
            return {"~": "dict", "v": [[self._key(k), self.pack(v)] for k, v in thing.items()]}
        if isinstance(thing, (list, tuple)):
            return [self.pack(v) for v in thing]
        if type(thing).__name__ in _RECORDS:
            values = {f.name: self.pack(getattr(thing, f.name)) for f in dataclasses.fields(thing)}
            return {"~": type(thing).__name__, "v": values}
        raise TypeError(f"{type(thing).__name__} has no place in an executable file")

    def _key(self, key: Any) -> Any:
        return list(key) if isinstance(key, tuple) else key

    def _array(self, array: np.ndarray) -> dict[str, Any]:
        if array.size > 1 and not any(array.strides):  # one value many times
            return {"~": "full", "v": [self._array(array.reshape(-1)[:1].copy()), list(array.shape)]}
        self.arrays.append(np.ascontiguousarray(array))
        return {"~": "array", "v": len(self.arrays) - 1}


def save(executable: Executable, path: str | Path) -> None:
    """Write an executable to one file. Raises FileLoadError where the place cannot be written."""
    writer = _Writer()
    body = {
        f.name: writer.pack(getattr(executable, f.name))
        for f in dataclasses.fields(Executable)
        if f.name not in ("graph", "op_graph", "info")
    }
    body["graph"] = _pack_graph(writer, executable.graph)
    op_graph = executable.op_graph
    body["op_graph"] = op_graph.to_dict() if hasattr(op_graph, "to_dict") else op_graph
    body["info"] = executable.info
    offset, table = 0, []
    for array in writer.arrays:
        table.append([offset, array.dtype.str, list(array.shape)])
        offset += (array.nbytes + _ALIGN - 1) // _ALIGN * _ALIGN
    text = json.dumps({"body": body, "arrays": table, "bytes": offset}, separators=(",", ":")).encode()
    head = MAGIC + np.array([len(text), zlib.crc32(text)], "<u8").tobytes()
    pad = -(len(head) + len(text)) % _ALIGN
    path = Path(path)
    unfinished = path.with_name(path.name + f".{os.getpid()}.part")
    try:
        with open(unfinished, "wb") as out:
            out.write(head + text + b"\0" * pad)
            for array in writer.arrays:
                out.write(array.data if array.nbytes else b"")
                out.write(b"\0" * (-array.nbytes % _ALIGN))
        unfinished.replace(path)
    except OSError as problem:
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise FileLoadError(f"cannot write {path}: {problem.strerror}") from None


def _pack_graph(writer: _Writer, graph: Graph) -> dict[str, Any]:
    used = {b.codelet: b.info for b in graph.blocks}
    return {
        "name": graph.name,
        "target": writer.pack(graph.target),
        "variables": [
            [
                v.name,
                v.dtype.name,
                list(v.shape),
                v.base,
                v.is_constant,
                writer.pack(v.data),
                *map(writer.pack, v.runs()),
            ]
            for v in graph.variables
        ],
        "compute_sets": [[cs.name, [_pack_block(writer, b) for b in cs.blocks]] for cs in graph.compute_sets],
        "functions": [f.name for f in graph.functions],
        "streams": [[s.handle, s.dtype.name, s.size, s.to_device] for s in graph.streams.values()],
        "remote_buffers": [[*b.facts(), writer.pack(b.data)] for b in graph.remote_buffers.values()],
        "host_writes": writer.pack(graph.host_writes),
        "host_reads": writer.pack(graph.host_reads),
        "num_vertices": graph.num_vertices,
        "codelets": [_pack_codelet(info) for info in used.values()],
    }


def _pack_codelet(info: Any) -> dict[str, Any]:
    fields = []
    for f in info.fields.values():
        record = {k: getattr(f, k) for k in ("name", "direction", "kind", "partial")}
        record["default"] = (
            None if f.default is None else float(f.default) if isinstance(f.default, float) else int(f.default)
        )
        record["dtype"] = f.dtype.name if f.dtype else None
        fields.append(record)
    return {
        "name": info.name,
        "kind": info.kind,
        "hash": info.hash,
        "is_user": info.is_user,
        "fields": fields,
        "instructions": int(info.instructions),
        "source": info.source if info.is_user else "",
    }


def _pack_block(writer: _Writer, block: Block) -> dict[str, Any]:
    return {
        "codelet": block.codelet,
        "n": block.n,
        "tile": writer.pack(block.tile),
        "index": writer.pack(block.index),
        "fields": writer.pack(block.fields),
        "constants": writer.pack({k: np.asarray(v) for k, v in block.constants.items()}),
    }


class _Reader:
    def __init__(self, arrays: list[np.ndarray]):
        self.arrays = arrays
        self.graph: Any = None

    def unpack(self, thing: Any) -> Any:
        if isinstance(thing, list):
            return [self.unpack(v) for v in thing]
        if not isinstance(thing, dict):
            return thing
        kind = thing["~"]
        if kind == "array":
            return self.arrays[thing["v"]]
        if kind == "full":
            value, shape = thing["v"]
            return np.broadcast_to(self.unpack(value)[0], shape)
        if kind == "dict":
            return {tuple(k) if isinstance(k, list) else k: self.unpack(v) for k, v in thing["v"]}
        if kind == "tensor":
            name, offset, shape, strides = thing["v"]
            return Tensor(self.graph, dtype(name), affine(offset, shape, strides))
        if kind == "remote":
            return self.graph.remote_buffers[thing["v"]]
        if kind == "stored":
            return StoredView(self.unpack(thing["v"][0]), thing["v"][1])
        if kind == "joined":
            return Joined([self.unpack(t) for t in thing["v"]])
        if kind == "elements":
            return Tensor(self.graph, dtype(thing["v"][0]), self.unpack(thing["v"][1]))
        if kind == "edges":
            columns = {
                k: self.unpack(thing[k])
                for k in ("n", "start", "rows", "cols", "stride", "elements", "offset", "width")
            }
            return Edges(dtype(thing["dtype"]), **columns)
        return _RECORDS[kind](**{k: self.unpack(v) for k, v in thing["v"].items()})


def load(path: str | Path, trust: bool = False, codelets: Any = ()) -> Executable:
    """Read an executable. Raises FileLoadError for a missing, damaged or foreign file.

    trust: run the user codelets that the file carries; codelets: files whose codelets may run where their source is
    the one the executable was compiled from.
    """
    path = Path(path)
    header, arrays = _open(path)
    try:
        reader = _Reader(arrays)
        body = header["body"]
        graph = _unpack_graph(reader, body["graph"], path, trust, codelets)
        reader.graph = graph
        graph.host_writes = reader.unpack(body["graph"]["host_writes"])
        graph.host_reads = reader.unpack(body["graph"]["host_reads"])
        plain = {
            f.name: reader.unpack(body[f.name])
            for f in dataclasses.fields(Executable)
            if f.name not in ("graph", "op_graph", "info")
        }
        return Executable(graph=graph, op_graph=body["op_graph"], info=body["info"], **plain)
    except (KeyError, IndexError, TypeError, ValueError) as problem:
        raise FileLoadError(f"{path} is damaged: {type(problem).__name__} {problem}; compile it again") from None


def _open(path: Path) -> tuple[dict[str, Any], list[np.ndarray]]:
    try:
        with open(path, "rb") as file:
            magic = file.read(len(MAGIC))
            sizes = file.read(16)
            if magic != MAGIC:
                raise FileLoadError(f"{path} is not a poplar_py executable (or one of another version)")
            if len(sizes) < 16:
                raise FileLoadError(f"{path} is cut short; compile it again")
            length, checksum = (int(n) for n in np.frombuffer(sizes, "<u8"))
            text = file.read(length)
    except OSError as problem:
        raise FileLoadError(f"cannot read {path}: {problem.strerror}") from None
    if len(text) != length or zlib.crc32(text) != checksum:
        raise FileLoadError(f"{path} is damaged or cut short; compile it again")
    header = json.loads(text)
    first = (len(MAGIC) + 16 + length + _ALIGN - 1) // _ALIGN * _ALIGN
    if path.stat().st_size < first + header["bytes"]:
        raise FileLoadError(
            f"{path} is cut short: {path.stat().st_size} bytes of {first + header['bytes']}; compile it again"
        )
    if not header["bytes"]:
        return header, [np.zeros(shape, kind) for _, kind, shape in header["arrays"]]
    whole = np.memmap(path, np.uint8, "r", offset=first)
    arrays = []
    for offset, kind, shape in header["arrays"]:
        size = int(np.prod(shape, dtype=np.int64)) * np.dtype(kind).itemsize
        arrays.append(np.asarray(whole[offset : offset + size]).view(kind).reshape(shape))
    return header, arrays


def _unpack_graph(reader: _Reader, packed: dict[str, Any], path: Path, trust: bool, codelets: Any) -> Graph:
    graph = Graph(reader.unpack(packed["target"]), packed["name"])
    reader.graph = graph
    for name, kind, shape, base, constant, data, start, tile in packed["variables"]:
        variable = Variable(len(graph.variables), name, dtype(kind), tuple(shape), base)
        variable.is_constant = constant
        variable.data = reader.unpack(data)
        variable.set_runs(reader.unpack(start), reader.unpack(tile))
        graph.variables.append(variable)
    graph._num_elements = sum(v.size + 1 for v in graph.variables)
    infos = {c["name"]: _codelet(graph.library, c, path, trust, codelets) for c in packed["codelets"]}
    for name, blocks in packed["compute_sets"]:
        cs = ComputeSet(graph, len(graph.compute_sets), name)
        for b in blocks:
            block = Block(infos[b["codelet"]], cs, b["n"], reader.unpack(b["tile"]), reader.unpack(b["index"]))
            block.fields = reader.unpack(b["fields"])
            block.constants = reader.unpack(b["constants"])
            cs.blocks.append(block)
        graph.compute_sets.append(cs)
    graph.functions = [Function(i, None, name) for i, name in enumerate(packed["functions"])]
    graph.streams = {h: DataStream(h, dtype(k), n, way) for h, k, n, way in packed["streams"]}
    for handle, kind, row, repeats, on_host, optimise, shape, data in packed.get("remote_buffers", []):
        buffer = RemoteBuffer(handle, dtype(kind), row, repeats, on_host, optimise, tuple(shape))
        buffer.data = reader.unpack(data)
        graph.remote_buffers[handle] = buffer
    graph.num_vertices = packed["num_vertices"]
    graph.frozen = "it was saved"
    return graph


def _codelet(library: Library, record: dict[str, Any], path: Path, trust: bool, codelets: Any) -> Any:
    if not record["is_user"]:
        info = library[record["name"]]
        if info.hash != record["hash"]:
            raise FileLoadError(
                f"{path} was compiled with another version of codelet {record['name']}; compile it again"
            )
        return info
    for file in [codelets] if isinstance(codelets, (str, Path)) else codelets:
        own = Library()
        own.add_file(file)
        if record["name"] in own:
            if own[record["name"]].hash != record["hash"]:
                raise FileLoadError(f"codelet {record['name']} in {file} differs from the one {path} was compiled with")
            return own[record["name"]]
    if trust:
        own = Library()
        own.add_source(record["source"], f"{path}:{record['name']}")
        return own[record["name"]]
    return SealedCodelet(record)

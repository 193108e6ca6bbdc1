"""Ops: one file per op or family. `opgraph.op.load_ops` imports every file here; there is no list to extend."""

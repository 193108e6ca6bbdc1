"""Descriptions in, op graphs out: YAML model descriptions, their layers, and the data sets they name."""

from .build import build_opgraph
from .data import Data, load_data
from .description import Description, read_description

__all__ = ["Data", "Description", "build_opgraph", "load_data", "read_description"]

"""Words, tables, pages and traces made from an executable and the record of a run. Reads anything; nothing imports it."""

from .report import Report

__all__ = ["Report"]

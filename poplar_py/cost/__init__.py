"""Costs: how vertex cycles become superstep time, and what an exchange costs. Arrays in, arrays out."""

"""Running an executable: device memory, the superstep loop, and the record of a run."""

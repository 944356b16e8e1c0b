"""The gate: evidence in, verdict out. Closed by default, and pure."""

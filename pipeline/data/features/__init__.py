"""Kinds of features, one file each: how a raw value is examined, fitted, prepared, and described for contracts."""

"""Model architectures, one file each, and how a trained model is stored.

A stored model is two files of stable bytes: `architecture.json` (name, settings, input shape, classes, statistics) and
`weights.safetensors`. The digest of both identifies it. Everything else (SavedModel …) is exported from them.
"""

"""Models: architectures, how features enter them, what a task makes of them, one file each; and how they are stored.

A stored model is two files of stable bytes: `architecture.json` (name, settings, task, fitted features, classes) and
`weights.safetensors`. The digest of both identifies it. Everything else (SavedModel …) is exported from them.
"""

"""A small data set, published as the data stages publish theirs."""

from __future__ import annotations

from pathlib import Path

from pipeline.records.digests import digest_bytes
from pipeline.records.manifest import FileEntry, Manifest
from pipeline.storage.artifacts import published_folder
from pipeline.storage.manifests import write_manifest


def publish(target: Path, files: dict[str, bytes]) -> Manifest:
    """Publish files of one row each, and return their manifest."""
    with published_folder(target) as folder:
        for name, content in files.items():
            (folder / name).write_bytes(content)
        entries = tuple(
            FileEntry(path=name, rows=1, size_bytes=len(content), digest=digest_bytes(content))
            for name, content in files.items()
        )
        manifest = Manifest(rows=len(files), files=entries, columns={"x": "int"})
        write_manifest(folder, manifest)
    return manifest

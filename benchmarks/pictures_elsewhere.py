"""Decode and resize by Daft or by Ray Data, for `pictures.py`: in an environment of their own, which has no Ratchet.

    python benchmarks/pictures_elsewhere.py daft|ray CORES

Each line on standard input names a folder of Parquet shards (id, label, image: the bytes of files) and one to write, a
tab between them; for each, a line with the seconds it took is answered. So what starts up has started before it counts.
"""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable
from typing import Any

SIDE = 64


def daft_way(cores: int) -> Callable[[str, str], None]:
    """Return Daft's own expressions: its decoder and its resizing are native."""
    import daft
    from daft.functions import decode_image, resize

    daft.set_runner_native(num_threads=cores)

    def run(source: str, target: str) -> None:
        rows = daft.read_parquet(f"{source}/*.parquet").select("id", "label", "image")
        rows = rows.with_column("image", resize(decode_image(daft.col("image"), mode="RGB"), SIDE, SIDE))
        rows.write_parquet(target, compression="none")

    return run


def ray_way(cores: int) -> Callable[[str, str], None]:
    """Return Ray Data's batches, with Pillow in them: it has no decoder of its own for bytes in a column."""
    import numpy as np
    import ray
    from PIL import Image

    ray.init(num_cpus=cores, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    ray.data.DataContext.get_current().enable_progress_bars = False

    def decoded(payload: bytes) -> Any:
        picture = Image.open(io.BytesIO(payload)).convert("RGB")
        return np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR))

    def prepared(batch: dict[str, Any]) -> dict[str, Any]:
        images = [decoded(payload).tobytes() for payload in batch["image"]]
        return {"id": batch["id"], "label": batch["label"], "image": images}

    def run(source: str, target: str) -> None:
        rows = ray.data.read_parquet(source).select_columns(["id", "label", "image"])
        rows.map_batches(prepared).write_parquet(target, compression="none")

    return run


def main() -> None:
    """Answer each line."""
    run = {"daft": daft_way, "ray": ray_way}[sys.argv[1]](int(sys.argv[2]))
    answers, sys.stdout = sys.stdout, sys.stderr  # whatever else is printed is no answer
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        source, target = line.rstrip("\n").split("\t")
        begun_s = time.perf_counter()
        run(source, target)
        print(time.perf_counter() - begun_s, file=answers, flush=True)


if __name__ == "__main__":
    main()

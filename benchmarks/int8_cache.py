"""What a cache of 8-bit features would cost in hIoU: generator, classifier and evaluation on a rounded copy of the cache.

    make repro
    python -m benchmarks.int8_cache /tmp/int8

Every dimension of a feature has a step of its own: the largest magnitude that a training pixel has there, divided by 127. Features of
evaluation images that are larger are cut. The copy has the rounded features as float16, so that all stages read it.
"""

import dataclasses
import json
import pathlib
import shutil
import sys

import h5py
import numpy as np
import tyro

from benchmarks import changed_bandwidth
from zeroshot.cache import index, rows, shard_work

_METRICS = "metrics/zs3net.json"


def main(folder: tyro.conf.Positional[pathlib.Path]) -> None:
    """Train and evaluate on the rounded copy, and print its metrics beside those of the current folder.

    Args:
        folder: where the copy and the results go; it must not exist.
    """
    if folder.exists():
        sys.exit(f"{folder} exists; give another folder")
    for path in ("data", "models/classifiers/seen_only.pt"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).symlink_to(pathlib.Path(path).resolve())
    largest = np.max([abs(part["features"]).max(axis=0) for part in rows.read("features/train")], axis=0)
    step = np.maximum(largest.astype(np.float32), np.finfo(np.float16).tiny) / 127
    for name in ("train", "val"):
        rounded_copy(pathlib.Path("features", name), folder / "features" / name, step)
    for cost in changed_bandwidth.run(folder):
        print(f"{cost.stage}: {cost.seconds:.1f} s", flush=True)
    for what, path in (("float16", pathlib.Path(_METRICS)), ("int8", folder / _METRICS)):
        found = json.loads(path.read_bytes())["generalised"]
        print(
            f"{what}: hIoU {found['hIoU']:.2f}, seen {found['seen']['mIoU']:.2f}, unseen {found['unseen']['mIoU']:.2f}"
        )


def rounded_copy(source: pathlib.Path, folder: pathlib.Path, step: np.ndarray) -> None:
    """Write a cache whose features are those of `source`, rounded to multiples of `step` (d,) between -127 and 127."""
    described, scratch = index.read(source), folder.with_name(f"{folder.name}.unfinished")
    scratch.mkdir(parents=True)
    for shard in described.shards:
        path = scratch / shard["file"]
        path.write_bytes(index.verify(source, shard).read_bytes())
        with h5py.File(path, "r+") as file:
            codes = np.round(file["features"][:].astype(np.float32) / step).clip(-127, 127)
            file["features"][:] = (codes * step).astype(np.float16)
    if described.graphs:
        shutil.copyfile(source / described.graphs["file"], scratch / described.graphs["file"])
    shards = [
        index.entry(scratch / shard["file"], described.kind, len(described.classes)) for shard in described.shards
    ]
    shard_work.publish(scratch, folder, dataclasses.replace(described, shards=shards))
    shutil.rmtree(scratch)


if __name__ == "__main__":
    tyro.cli(main)

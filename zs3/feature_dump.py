"""Planning and writing a feature cache shard by shard, so that a killed dump goes on at the first missing shard."""

import dataclasses
import itertools
import pathlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, Literal

import h5py
import numpy as np
import pydantic
import torch

from zs3 import deeplab, feature_sampling, images, params, splits, storage, views
from zs3.shards import index as shard_index
from zs3.shards import maps, rows

MIB = 2**20
FLOAT16_LIMIT = 6e4


class DumpError(RuntimeError):
    """Raised when features cannot be written: no room on the disk, or values that float16 cannot hold."""


@params.section
class Params:
    """The section `features`; see params.yaml."""

    pixels_per_class: params.Count
    unlabelled_pixels: params.Count
    scales: Annotated[tuple[params.Positive, ...], pydantic.Field(min_length=1)]
    flip: bool
    shard_mib: params.Count
    batch_size: params.Count
    precision: Literal["float32", "bfloat16"]
    seed: params.Seed


@dataclasses.dataclass(frozen=True)
class Job:
    """One forward pass: a view of an image, and how many rows (or cells of a whole map) and bytes it adds to the cache."""

    image: int
    view: int
    size: tuple[int, int]
    rows: int
    bytes: int


@dataclasses.dataclass(frozen=True)
class Source:
    """One list of the split and how its pixels are kept.

    Attributes:
        name: `train`, `unlabelled` or `val`.
        items: its images.
        root: the data set's folder.
        masks: the folder of masks, None for a list whose labels must not be read.
        views: the passes over each image.
    """

    name: str
    items: Sequence[splits.Item]
    root: pathlib.Path
    masks: pathlib.Path | None
    views: Sequence[views.View]

    @property
    def kind(self) -> str:
        """`maps` for the evaluation images, `rows` for the others."""
        return "maps" if self.name == "val" else "rows"

    def read_image(self, job: Job) -> np.ndarray:
        """Return the job's view (H, W, 3) uint8."""
        return self.views[job.view].image(images.read_image(self.root / self.items[job.image].image))

    def read_mask(self, job: Job) -> np.ndarray:
        """Return the job's view of the mask (H, W) uint8."""
        return self.views[job.view].mask(images.read_mask(self.masks / f"{self.items[job.image].id}.png"))

    def draw(self, job: Job, options: Params) -> rows.Rows:
        """Return the columns of the cells of this job to keep."""
        item = self.items[job.image]
        if self.masks is None:
            size = feature_sampling.map_size(*job.size)
            return feature_sampling.sample_unlabelled(size, options.unlabelled_pixels, options.seed, item.id, job.view)
        labels = feature_sampling.label_cells(self.read_mask(job))
        return feature_sampling.sample_labelled(labels, options.pixels_per_class, options.seed, item.id, job.view)


def plan(source: Source, options: Params) -> list[list[Job]]:
    """Group the passes over `source` into shards of at most `shard_mib` (a single larger image makes a shard of its own).

    Reads the masks of a labelled list and the headers of the images; no network is run.
    """
    jobs = [
        _job(source, image, view, options) for image in range(len(source.items)) for view in range(len(source.views))
    ]
    shards: list[list[Job]] = []
    room = 0
    for job in jobs:
        if job.bytes > room or not shards:
            shards.append([])
            room = options.shard_mib * MIB
        shards[-1].append(job)
        room -= job.bytes
    return shards


def check_room(folder: pathlib.Path, n_bytes: int) -> str:
    """Return a line on the expected size and the free disk.

    Raises:
        DumpError: if it does not fit.
    """
    free = shutil.disk_usage(folder).free
    line = f"features: {n_bytes / MIB:,.0f} MiB to write, {free / MIB:,.0f} MiB free in {folder}"
    if n_bytes > free:
        raise DumpError(f"{line}; free some room, or lower features.pixels_per_class or features.scales")
    return line


def write_shard(
    path: pathlib.Path,
    source: Source,
    jobs: list[Job],
    extract: Callable[[torch.Tensor], torch.Tensor],
    options: Params,
) -> None:
    """Run the network over the jobs of one shard and write it.

    Args:
        path: the shard's file.
        source: where the jobs' images come from.
        jobs: as `plan` grouped them.
        extract: from images (b, 3, H, W) uint8 to features (b, d, h, w).
        options: the section `features`.

    Raises:
        DumpError: if a feature is not finite or too large for float16.
    """
    if source.kind == "maps":
        features = [
            cells.numpy().astype(np.float16) for _, cells in extract_maps(source, jobs, extract, options.batch_size)
        ]
        _check(features, path)
        maps.write(path, [job.image for job in jobs], features, [source.read_mask(job) for job in jobs])
    else:
        parts = []
        for job, cells in extract_maps(source, jobs, extract, options.batch_size):
            columns = source.draw(job, options)
            y, x = columns["position"].astype(np.int64).T
            columns["features"] = cells.numpy()[y, x].astype(np.float16)
            columns["image"] = np.full(len(y), job.image, np.int32)
            columns["view"] = np.full(len(y), job.view, np.uint8)
            parts.append(columns)
        table = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        _check([table["features"]], path)
        rows.write(path, table)


def describe(path: pathlib.Path, kind: str, n_classes: int) -> dict[str, Any]:
    """Return the entry of a written shard in the index of a cache of `kind`."""
    with h5py.File(path, "r") as file:
        entry = {"file": path.name, "rows": len(file["features"]), "bytes": path.stat().st_size}
        if kind == "rows":
            entry["offsets"] = np.searchsorted(file["label"][:], np.arange(n_classes + 1)).tolist()
    return {**entry, "sha256": storage.sha256(path)}


def publish(scratch: pathlib.Path, folder: pathlib.Path, index: shard_index.Index) -> None:
    """Move finished shards from the scratch folder to where readers look, and write the index last."""
    folder.mkdir(parents=True, exist_ok=True)
    for shard in index.shards:
        shutil.move(scratch / shard["file"], folder / shard["file"])
    shard_index.write(folder, index)


def extract_maps(
    source: Source, jobs: list[Job], extract: Callable[[torch.Tensor], torch.Tensor], batch_size: int
) -> Iterator[tuple[Job, torch.Tensor]]:
    """Yield each job with its features (h, w, d) float32 on the CPU; neighbours of equal size share a batch."""
    for _, same_size in itertools.groupby(jobs, key=lambda job: job.size):
        queue = list(same_size)
        for start in range(0, len(queue), batch_size):
            batch = queue[start : start + batch_size]
            pictures = torch.from_numpy(np.stack([source.read_image(job) for job in batch])).permute(0, 3, 1, 2)
            cells = extract(pictures).float().permute(0, 2, 3, 1).cpu()
            yield from zip(batch, cells, strict=True)


def extractor(
    network: deeplab.DeepLabV3Plus, device: torch.device, precision: str
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return the function from images (b, 3, H, W) uint8 to features (b, 256, h, w), without gradients."""
    network = network.to(device=device, memory_format=torch.channels_last).eval()

    @torch.inference_mode()
    def extract(pictures: torch.Tensor) -> torch.Tensor:
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            return network.features(pictures.to(device, memory_format=torch.channels_last))

    return extract


def _job(source: Source, image: int, view: int, options: Params) -> Job:
    height, width = images.read_size(source.root / source.items[image].image)
    size = source.views[view].size(height, width)
    job = Job(image, view, size, rows=0, bytes=0)
    h, w = feature_sampling.map_size(*size)
    feature_bytes = 2 * deeplab.FEATURE_DIM
    if source.kind == "maps":
        return dataclasses.replace(job, rows=h * w, bytes=h * w * feature_bytes + size[0] * size[1])
    if source.masks is None:
        n_rows = min(h * w, options.unlabelled_pixels)
    else:
        labels = feature_sampling.label_cells(source.read_mask(job))
        n_rows = feature_sampling.count_labelled(labels, options.pixels_per_class)
    return dataclasses.replace(job, rows=n_rows, bytes=n_rows * (feature_bytes + rows.ROW_BYTES))


def _check(features: list[np.ndarray], path: pathlib.Path) -> None:
    for array in features:
        # A comparison with not-a-number is false, so this refuses it too.
        if array.size and not np.abs(array).max() < FLOAT16_LIMIT:
            raise DumpError(
                f"{path.name}: features reach {np.abs(array).max()}, beyond float16; train the backbone again"
            )

"""Planning a feature cache: which forward passes make which shard, and whether it all fits on the disk."""

import dataclasses
import itertools
import math
import pathlib
import shutil
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any, Literal, Protocol

import numpy as np
import pydantic

from zeroshot.base import errors, parallel, params
from zeroshot.cache import rows, sampling
from zeroshot.datasets import splits
from zeroshot.images import grids, image_files, views

MIB = 2**20


class DumpError(errors.UserError):
    """Raised when features cannot be written: no room on the disk, or values that float16 cannot hold."""


@params.section
class UnlabelledViews:
    """The section `features.unlabelled_views`; see params.yaml."""

    scales: tuple[params.Positive, ...]
    flip: bool


@params.section
class Params:
    """The section `features`; see params.yaml."""

    pixels_per_class: params.Count
    unlabelled_pixels: params.Count
    scales: Annotated[tuple[params.Positive, ...], pydantic.Field(min_length=1)]
    flip: bool
    val_short_side: views.ShortSide
    seed: params.Seed
    unlabelled_views: UnlabelledViews
    shard_mib: params.Count
    batch_size: params.Count
    precision: Literal["float32", "bfloat16"]


class Network(Protocol):
    """What the cache must know of the network that fills it."""

    feature_dim: int
    stride: int


# Keys that shape one list's features alone.
_OWN = {
    "train": ("pixels_per_class", "scales", "flip"),
    "unlabelled": ("unlabelled_pixels", "unlabelled_views"),
    "val": ("val_short_side",),
}


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
        dim: length of a feature.
        stride: pixels between neighbouring cells of a feature map.
    """

    name: str
    items: Sequence[splits.Item]
    root: pathlib.Path
    masks: pathlib.Path | None
    views: Sequence[views.View]
    dim: int
    stride: int

    @property
    def kind(self) -> str:
        """`maps` for the evaluation images, `rows` for the others."""
        return "maps" if self.name == "val" else "rows"

    def recipe(self, options: Params) -> dict[str, Any]:
        """Return the options that shape this list, or every list, as plain values.

        What shapes another list alone is left out, so that dumping again after a change of it gives equal bytes, where the network is
        byte-reproducible.
        """
        foreign = {key for name, keys in _OWN.items() if name != self.name for key in keys}
        return {key: value for key, value in params.to_dict(options).items() if key not in foreign}

    def files(self) -> dict[pathlib.Path, list[str]]:
        """Return the names of the files that a dump of this list reads, by their folder."""
        read = {self.root: [item.image for item in self.items]}
        return read | ({} if self.masks is None else {self.masks: [f"{item.id}.png" for item in self.items]})

    def read_image(self, job: Job) -> np.ndarray:
        """Return the job's view (H, W, 3) uint8."""
        return self.views[job.view].image(image_files.read_image(self.root / self.items[job.image].image))

    def read_mask(self, job: Job) -> np.ndarray:
        """Return the job's view of the mask (H, W) uint8."""
        return self.views[job.view].mask(image_files.read_mask(self.mask_path(self.items[job.image])))

    def mask_path(self, item: splits.Item) -> pathlib.Path:
        """Return the file of an image's mask.

        Raises:
            TypeError: for a list whose labels must not be read.
        """
        if self.masks is None:
            raise TypeError(f"{self.name} has no masks")
        return self.masks / f"{item.id}.png"

    def draw(self, job: Job, options: Params) -> rows.Rows:
        """Return the columns of the cells of this job to keep; without labels, the same places of the image in every view."""
        item = self.items[job.image]
        if self.masks is None:
            return sampling.sample_unlabelled(self._whole_map(job), options.unlabelled_pixels, options.seed, item.id)
        labels = sampling.label_cells(self.read_mask(job), self.stride)
        return sampling.sample_labelled(labels, options.pixels_per_class, options.seed, item.id, job.view)

    def cells(self, job: Job, position: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows and columns, on the job's feature map, of the places (n, 2) that `draw` gave."""
        if self.masks is None:
            return self.views[job.view].cells(position, self._whole_map(job), grids.map_size(*job.size, self.stride))
        return tuple(position.astype(np.int64).T)

    def _whole_map(self, job: Job) -> tuple[int, int]:
        """Return the size of the feature map of the job's image as it is."""
        return grids.map_size(*image_files.read_size(self.root / self.items[job.image].image), self.stride)


def source(
    name: str,
    split: splits.Split,
    root: pathlib.Path,
    masks: pathlib.Path | None,
    options: Params,
    network: Network,
) -> Source:
    """Return the list `name` of the split (train, unlabelled or val) with the passes over its images that `options` ask for."""
    passes = {
        "train": views.passes(options.scales, options.flip),
        "unlabelled": views.around_whole(options.unlabelled_views.scales, options.unlabelled_views.flip),
        "val": [views.View(short_side=options.val_short_side)],
    }
    return Source(name, getattr(split, name), root, masks, passes[name], network.feature_dim, network.stride)


def plan(
    source: Source, options: Params, track: Callable[[range], Iterable[int]] = lambda images: images, workers: int = 0
) -> list[list[Job]]:
    """Group the passes over `source` into shards of at most `shard_mib` (a single larger image makes a shard of its own).

    Reads the masks of a labelled list and the headers of the images; no network is run. `track` wraps the images, for a progress bar, and
    `workers` threads read.
    """

    def of_image(image: int) -> list[Job]:
        return [_job(source, image, view, options) for view in range(len(source.views))]

    jobs = itertools.chain.from_iterable(parallel.in_order(of_image, track(range(len(source.items))), workers))
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


def _job(source: Source, image: int, view: int, options: Params) -> Job:
    height, width = image_files.read_size(source.root / source.items[image].image)
    size = source.views[view].size(height, width)
    job = Job(image, view, size, rows=0, bytes=0)
    h, w = grids.map_size(*size, source.stride)
    feature_bytes = 2 * source.dim
    if source.kind == "maps":
        return dataclasses.replace(job, rows=h * w, bytes=h * w * feature_bytes + size[0] * size[1])
    if source.masks is None:
        n_rows = min(math.prod(grids.map_size(height, width, source.stride)), options.unlabelled_pixels)
    else:
        labels = sampling.label_cells(source.read_mask(job), source.stride)
        n_rows = sampling.count_labelled(labels, options.pixels_per_class)
    return dataclasses.replace(job, rows=n_rows, bytes=n_rows * (feature_bytes + rows.ROW_BYTES))

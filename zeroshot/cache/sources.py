"""What goes into a feature cache: the lists of images with their views and masks, and the pixels that are sampled of each."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Protocol

import numpy as np
import pydantic

from zeroshot.base import params
from zeroshot.cache import rows, sampling, stored_features
from zeroshot.datasets import splits
from zeroshot.images import grids, image_files, label_ids, views


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
    storage: stored_features.Storage


class Network(Protocol):
    """The properties of a network that the cache depends on."""

    feature_dim: int
    stride: int
    margin: int


# Keys of the section that affect the features of one list only.
_KEYS_OF_LIST = {
    "train": ("pixels_per_class", "scales", "flip"),
    "unlabelled": ("unlabelled_pixels", "unlabelled_views"),
    "val": ("val_short_side",),
}


@dataclasses.dataclass(frozen=True)
class Job:
    """One forward pass of the network over one view of one image.

    Attributes:
        image: position of the image in its list.
        view: number of the view.
        size: height and width of the view in pixels.
        rows: number of rows, or of cells of a whole map, that it adds to the cache.
        bytes: number of bytes that it adds to the cache.
        labels: label ids of the rows that it adds, ascending; empty for a list without labels and for whole maps.
    """

    image: int
    view: int
    size: tuple[int, int]
    rows: int
    bytes: int
    labels: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True)
class Source:
    """One list of the split, with the views of its images that are cached.

    Attributes:
        name: `train`, `unlabelled` or `val`.
        items: the images of the list.
        root: folder of the data set.
        masks: folder of the masks, None for a list whose labels must not be read.
        views: the views of each image, one forward pass each.
        dim: length of a feature.
        stride: pixels between neighbouring cells of a feature map.
        margin: pixels that a feature map covers on each side of the image. Masks get as many ignored pixels.
        samples_ignored: whether rows of a labelled list include ignored pixels of the image; those of the margin never are.
    """

    name: str
    items: Sequence[splits.Item]
    root: pathlib.Path
    masks: pathlib.Path | None
    views: Sequence[views.View]
    dim: int
    stride: int
    margin: int = 0
    samples_ignored: bool = False

    @property
    def kind(self) -> str:
        """`maps` for the evaluation images, `rows` for the others."""
        return "maps" if self.name == "val" else "rows"

    def recipe(self, options: Params) -> dict[str, Any]:
        """Return the options that affect this list, as plain values.

        Options that affect another list only are left out. Dumping again after a change of them gives equal bytes, if the network is
        byte-reproducible.
        """
        foreign = {key for name, keys in _KEYS_OF_LIST.items() if name != self.name for key in keys}
        if options.storage == "float16":
            # Such a cache keeps the bytes that it had before there were formats.
            foreign.add("storage")
        return {key: value for key, value in params.to_dict(options).items() if key not in foreign}

    def read_image(self, job: Job) -> np.ndarray:
        """Return the image of a job (H, W, 3) uint8."""
        return self.views[job.view].image(image_files.read_image(self.root / self.items[job.image].image))

    def read_mask(self, job: Job) -> np.ndarray:
        """Return the mask of a job (H + 2 m, W + 2 m) uint16, with the margin m."""
        return self.view_mask(self.items[job.image], job.view)

    def view_mask(self, item: splits.Item, view: int) -> np.ndarray:
        """Return the mask of the view of this number of an image, as in `read_mask`."""
        return grids.add_margin(self.views[view].mask(image_files.read_mask(self.mask_path(item))), self.margin)

    def map_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return the height and width in cells of the feature map of a view of `size` (height, width) in pixels."""
        return grids.map_size(*self.mask_size(size), self.stride)

    def mask_path(self, item: splits.Item) -> pathlib.Path:
        """Return the path of an image's mask.

        Raises:
            TypeError: for a list whose labels must not be read.
        """
        if self.masks is None:
            raise TypeError(f"{self.name} has no masks")
        return self.masks / f"{item.id}.png"

    def draw(self, job: Job, options: Params) -> rows.Rows:
        """Sample the cells of a job to cache and return their columns; unlabelled images have the same positions in every view."""
        item = self.items[job.image]
        if self.masks is None:
            whole = self.map_size(self._image_size(job))
            return sampling.sample_unlabelled(whole, options.unlabelled_pixels, options.seed, item.id)
        labels, sampled = self.cell_labels(job)
        return sampling.sample_labelled(labels, options.pixels_per_class, options.seed, item.id, job.view, sampled)

    def cell_labels(self, job: Job) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the labels (h, w) uint16 of the cells of a job, and which cells (h, w) bool may be sampled; None: those with a label.

        A cell whose centre is in the margin has the label of ignored pixels, but is none of the image's ignored pixels.
        """
        mask = self.read_mask(job)
        labels = sampling.label_cells(mask, self.stride)
        if not self.samples_ignored:
            return labels, None
        height, width = (side - 2 * self.margin for side in mask.shape)
        inside = grids.add_margin(np.zeros((height, width), label_ids.DTYPE), self.margin)
        return labels, sampling.label_cells(inside, self.stride) == 0

    def cells(self, job: Job, position: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return y and x on the job's feature map, (n,) int64 each, of the positions (n, 2) that `draw` returned."""
        if self.masks is None:
            return self.views[job.view].cells(position, self._image_size(job), self.stride, self.margin)
        return tuple(position.astype(np.int64).T)

    def mask_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return the height and width in pixels of the mask of a view of `size`."""
        return size[0] + 2 * self.margin, size[1] + 2 * self.margin

    def _image_size(self, job: Job) -> tuple[int, int]:
        """Return the height and width in pixels of the job's image, before the view changes it."""
        return image_files.read_size(self.root / self.items[job.image].image)


def source(
    name: str,
    lists: splits.Images,
    root: pathlib.Path,
    masks: pathlib.Path | None,
    options: Params,
    network: Network,
) -> Source:
    """Return the list `name` (train, unlabelled or val), with the views that `options` set for it."""
    views_of_list = {
        "train": views.passes(options.scales, options.flip),
        "unlabelled": views.around_whole(options.unlabelled_views.scales, options.unlabelled_views.flip),
        "val": [views.View(short_side=options.val_short_side)],
    }
    return Source(
        name,
        getattr(lists, name),
        root,
        masks,
        views_of_list[name],
        network.feature_dim,
        network.stride,
        network.margin,
    )

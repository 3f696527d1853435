"""What a feature cache has of one class, of one image, or of one class in one image, and a report on it."""

import collections
import dataclasses
import pathlib
from collections.abc import Iterator

import numpy as np

from zeroshot.base import errors, hdf5
from zeroshot.cache import describe, maps, sampling, stored_features
from zeroshot.cache import index as shard_index
from zeroshot.figures import near_names
from zeroshot.images import label_ids

# Largest number of features that are kept for quartiles.
MOST_FEATURES = 20_000
_NO_LABEL = "(no label)"


@dataclasses.dataclass(frozen=True)
class Selection:
    """What to look at in a cache.

    Attributes:
        folder: the cache.
        index: its index.
        label: label id of the class; None for all.
        image: number of the image in the index; None for all.
    """

    folder: pathlib.Path
    index: shard_index.Index
    label: int | None
    image: int | None

    @property
    def title(self) -> str:
        """The cache, and the class and image that are selected."""
        parts = [str(self.folder)]
        if self.label is not None:
            parts.append(f"class {self.index.classes[self.label]}")
        if self.image is not None:
            parts.append(f"image {self.index.images[self.image]}")
        return ", ".join(parts)

    def name(self, label: int) -> str:
        """Return the name of a label id, also of those without a class."""
        return self.index.classes[label] if label < len(self.index.classes) else _NO_LABEL


@dataclasses.dataclass(frozen=True)
class Cells:
    """Cells of feature maps: n rows of a cache of rows, or the n cells of one image of a cache of maps.

    Attributes:
        features: (n, d) float16.
        labels: (n,) uint16.
        images: (n,) int, number of the image in the index.
        views: (n,) int, number of the augmented pass; 0 in a cache of maps.
        positions: (n, 2) int, y and x on the feature map.
    """

    features: np.ndarray
    labels: np.ndarray
    images: np.ndarray
    views: np.ndarray
    positions: np.ndarray


class Contents:
    """A summary of the selected cells. Memory does not grow with the features of a class, except for their norms.

    Attributes:
        selection: what was selected.
        moments: of each label id that occurs.
        counts: (image number, label id) -> number of cells.
        norms: (n,) float32, the Euclidean norm of every feature.
        features: (m, d) float16, all or an evenly spaced part of the features, at most `MOST_FEATURES`.
        places: labels (n,), views (n,) and positions (n, 2) of the cells; empty if no image is selected.
    """

    def __init__(self, selection: Selection) -> None:
        self.selection = selection
        self.moments: dict[int, describe.Moments] = collections.defaultdict(describe.Moments)
        self.counts: collections.Counter[tuple[int, int]] = collections.Counter()
        norms, places = [np.zeros(0, np.float32)], []
        features, step, n = np.zeros((0, selection.index.dim), np.float16), 1, 0
        for cells in _read(selection):
            for label in np.unique(cells.labels).tolist():
                of_label = cells.labels == label
                self.moments[label].add(cells.features[of_label])
                for image, count in collections.Counter(cells.images[of_label].tolist()).items():
                    self.counts[image, label] += count
            norms.append(np.linalg.norm(cells.features.astype(np.float32), axis=1))
            # Every `step`-th feature of all is kept; when they are too many, every other one of them stays.
            features = np.concatenate([features, cells.features[-n % step :: step]])
            n += len(cells.features)
            while len(features) > MOST_FEATURES:
                features, step = features[::2], 2 * step
            if selection.image is not None:
                places.append((cells.labels, cells.views, cells.positions))
        self.norms, self.features = np.concatenate(norms), features
        empty = (np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 2), np.int64))
        labels, views, positions = (np.concatenate(columns) for columns in zip(empty, *places, strict=True))
        self.places = (labels.astype(np.int64), views.astype(np.int64), positions.astype(np.int64))


def select(folder: pathlib.Path, class_name: str, image: str) -> Selection:
    """Return the selection of a class, an image, or both; an empty name selects all.

    Raises:
        errors.UserError: if the cache has no such class or image; the text lists near names.
        shard_index.ShardError: if the cache is missing or truncated.
    """
    index = shard_index.read(folder)
    near_names.check(str(folder), "class", [class_name] if class_name else [], index.classes)
    near_names.check(str(folder), "image", [image] if image else [], index.images)
    return Selection(
        folder,
        index,
        index.classes.index(class_name) if class_name else None,
        index.images.index(image) if image else None,
    )


def _read(selection: Selection) -> Iterator[Cells]:
    """Yield the selected cells, shard by shard or image by image."""
    return _read_rows(selection) if selection.index.kind == "rows" else _read_maps(selection)


def _read_rows(selection: Selection) -> Iterator[Cells]:
    for shard in selection.index.shards:
        offsets = shard.get("offsets", [])
        part = slice(None) if selection.label is None else slice(*offsets[selection.label : selection.label + 2])
        with hdf5.reading(shard_index.verify(selection.folder, shard)) as file:
            images = file["image"][part]
            chosen = np.full(len(images), True) if selection.image is None else images == selection.image
            if chosen.any():
                features = stored_features.read(file, part)[chosen]
                label, view, position = (file[name][part][chosen] for name in ("label", "view", "position"))
                yield Cells(features, label, images[chosen], view, position)


def _read_maps(selection: Selection) -> Iterator[Cells]:
    numbers = {name: number for number, name in enumerate(selection.index.images)}
    only = None if selection.image is None else {selection.index.images[selection.image]}
    for item in maps.read(selection.folder, only):
        labels = sampling.label_cells(item.mask, selection.index.stride)
        chosen = np.full(labels.shape, True) if selection.label is None else labels == selection.label
        n = int(chosen.sum())
        if n:
            image, view = np.full(n, numbers[item.image]), np.zeros(n, np.int64)
            yield Cells(item.features[chosen], labels[chosen], image, view, np.argwhere(chosen))


def report(contents: Contents) -> str:
    """Return a report: number of features, moments by class, and the images of a class or the positions in an image."""
    selection = contents.selection
    n_images = len({image for image, _ in contents.counts})
    unit = "rows" if selection.index.kind == "rows" else "cells"
    lines = [f"{selection.title}: {len(contents.norms)} {unit} in {n_images} image{'' if n_images == 1 else 's'}"]
    if not contents.counts:
        return lines[0]
    dim = selection.index.dim
    lines.append(
        f"  {'class':24}{unit:>9}{'mean':>9}{'std':>9}{'max':>9}{'non-zero':>10}{'dead':>6} (always zero, of {dim})"
    )
    lines += [f"  {selection.name(label):24}{moments}" for label, moments in sorted(contents.moments.items())]
    if selection.image is None:
        lines.append(f"  {'images with most':24}{unit:>9}")
        ordered = sorted(contents.counts.items(), key=lambda entry: (-entry[1], entry[0]))
        lines += [
            f"  {selection.index.images[image]:24}{count:9}" for (image, _), count in ordered[: errors.MAX_LISTED]
        ]
        if len(ordered) > errors.MAX_LISTED:
            lines.append(f"  and {len(ordered) - errors.MAX_LISTED} more images")
    else:
        labels, views, positions = contents.places
        lines.append("  positions on the feature map, as view:y,x")
        for label in sorted(contents.moments):
            of_label = np.flatnonzero(labels == label)
            some = of_label[: errors.MAX_LISTED]
            places = " ".join(f"{view}:{y},{x}" for view, (y, x) in zip(views[some], positions[some], strict=True))
            more = f" and {len(of_label) - len(some)} more" if len(of_label) > len(some) else ""
            lines.append(f"  {selection.name(label):24} {places}{more}")
    return "\n".join(lines)


def in_mask(mask: np.ndarray, label: int | None) -> np.ndarray:
    """Return a mask (H, W) uint16 with all classes other than `label` as background; unchanged if it is None."""
    return mask if label is None else np.where(mask == label, mask, label_ids.BACKGROUND).astype(mask.dtype)

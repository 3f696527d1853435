"""A cache of regions: which images fill each shard, writing a shard, and the index of all."""

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from zeroshot.cache import index, rows, shard_work
from zeroshot.zsi.regions import evaluation_regions

# Images of a shard at most: what a killed run loses, and what ranks share.
IMAGES = 64


@dataclasses.dataclass(frozen=True)
class Cache:
    """A cache of the regions of a list of images.

    Attributes:
        kind: `rows` of training images, or `regions` of evaluation images.
        dim: length of a feature.
        classes: class names in label order.
        images: image ids.
        sizes: for each image, a bound of the bytes of its regions.
        provenance: what made the features, as plain values.
        shard_bytes: largest size of a shard; a single larger image is a shard by itself.
        write: writes the regions of the images of these numbers to a file, which appears as a whole.
    """

    kind: str
    dim: int
    classes: Sequence[str]
    images: Sequence[str]
    sizes: Sequence[int]
    provenance: dict[str, Any]
    shard_bytes: int
    write: Callable[[pathlib.Path, range], None]

    def shards(self, work: pathlib.Path) -> list[shard_work.Shard]:
        """Return the plan of the shards, whose files are in `work`: consecutive images, by the bounds of their sizes."""
        groups: list[range] = []
        room = 0
        for number, size in enumerate(self.sizes):
            if size > room or not groups or len(groups[-1]) == IMAGES:
                groups.append(range(number, number))
                room = self.shard_bytes
            groups[-1] = range(groups[-1].start, number + 1)
            room -= size
        return [self._shard(work / f"shard-{position:05d}.h5", numbers) for position, numbers in enumerate(groups)]

    def _shard(self, path: pathlib.Path, numbers: range) -> shard_work.Shard:
        n_bytes = sum(self.sizes[numbers.start : numbers.stop])
        return shard_work.Shard(path, n_bytes, functools.partial(self.write, path, numbers))

    def publish(self, work: pathlib.Path, folder: pathlib.Path, shards: Sequence[shard_work.Shard]) -> None:
        """Replace `folder` by the finished shards, which are in `work`, and their index."""
        paths = [shard.path for shard in shards]
        content = index.Index(
            kind=self.kind,
            dim=self.dim,
            # A region is no cell of a grid.
            stride=1,
            classes=list(self.classes),
            images=list(self.images),
            shards=[index.entry(path, self.kind, len(self.classes)) for path in paths],
            provenance=self.provenance,
            presence=index.presence(paths, len(self.images)) if self.kind == "rows" else None,
        )
        shard_work.publish(work, folder, content)


def write_rows(of_image: Callable[[int], rows.Rows], path: pathlib.Path, numbers: range) -> None:
    """Write one shard of rows; `of_image` computes those of the image of a number."""
    tables = [of_image(number) for number in numbers]
    rows.write(path, {name: np.concatenate([table[name] for table in tables]) for name in tables[0]})


def write_evaluation(
    of_image: Callable[[int], evaluation_regions.EvaluationRegions], path: pathlib.Path, numbers: range
) -> None:
    """Write one shard of evaluation images; `of_image` computes the regions of the image of a number."""
    evaluation_regions.write(path, numbers, [of_image(number) for number in numbers])

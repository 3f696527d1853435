"""Facts about the image files of a split that stages need without the data set: checksums and the typical size."""

import pathlib
import statistics
from collections.abc import Sequence

from zeroshot.base import parallel, storage
from zeroshot.datasets import splits
from zeroshot.images import image_files


def checksums(root: pathlib.Path, split: splits.Split, workers: int) -> dict[str, str]:
    """Return the SHA-256 of the file of every image of a split, by its path below the data root, sorted."""
    paths = sorted({item.image for item in (*split.train, *split.unlabelled, *split.val)})
    found = parallel.in_order(lambda path: storage.sha256(root / path), paths, workers)
    return dict(zip(paths, found, strict=True))


def typical_side(root: pathlib.Path, items: Sequence[splits.Item]) -> int:
    """Return the median of the longest sides of images in pixels."""
    return round(statistics.median(max(image_files.read_size(root / item.image)) for item in items))

"""Published data sets: classes in label order, and the unseen classes of Bucher et al. 2019 (section 3.1)."""

import dataclasses
import re
import unicodedata
from collections.abc import Iterator, Sequence


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Class names of one data set.

    Attributes:
        classes: class names in label order, the background first.
        unseen: unseen classes; the split with K unseen classes uses the first K.
    """

    classes: tuple[str, ...]
    unseen: tuple[str, ...]


VOC = Dataset(
    classes=(
        "background",
        "aeroplane",
        "bicycle",
        "bird",
        "boat",
        "bottle",
        "bus",
        "car",
        "cat",
        "chair",
        "cow",
        "diningtable",
        "dog",
        "horse",
        "motorbike",
        "person",
        "pottedplant",
        "sheep",
        "sofa",
        "train",
        "tvmonitor",
    ),
    unseen=("cow", "motorbike", "aeroplane", "sofa", "cat", "tvmonitor", "train", "bottle", "chair", "pottedplant"),
)

# Pascal-Context: the 20 objects of VOC in VOC's order, one of them renamed, then 39 others. The order is that of the released class
# vectors.
CONTEXT = Dataset(
    classes=(
        *("table" if name == "diningtable" else name for name in VOC.classes),
        "bag",
        "bed",
        "bench",
        "book",
        "building",
        "cabinet",
        "ceiling",
        "cloth",
        "computer",
        "cup",
        "door",
        "fence",
        "floor",
        "flower",
        "food",
        "grass",
        "ground",
        "keyboard",
        "light",
        "mountain",
        "mouse",
        "curtain",
        "platform",
        "sign",
        "plate",
        "road",
        "rock",
        "shelves",
        "sidewalk",
        "sky",
        "snow",
        "bedclothes",
        "track",
        "tree",
        "truck",
        "wall",
        "water",
        "window",
        "wood",
    ),
    unseen=("cow", "motorbike", "sofa", "cat", "boat", "fence", "bird", "tvmonitor", "keyboard", "aeroplane"),
)

DATASETS = {"voc": VOC, "context": CONTEXT}

# Other spellings of class names in published class lists, in other lists and in word vectors.
SPELLINGS = {
    "aeroplane": ("airplane",),
    "bedclothes": ("bedcloth",),
    "cloth": ("clothes",),
    "diningtable": ("table",),
    "motorbike": ("motorcycle",),
    "table": ("diningtable",),
    "tvmonitor": ("tv", "tv/monitor"),
}


def same(name: str, other: str) -> bool:
    """Return whether two names mean the same class, ignoring the differences that `plain` ignores and those in `SPELLINGS`."""
    first, second = plain(name), plain(other)
    return first == second or first in SPELLINGS.get(second, ()) or second in SPELLINGS.get(first, ())


def plain(name: str) -> str:
    """Return a name in lower case without white space, underscores and hyphens: `pottedplant` for `Potted plant`.

    Names that differ only by how their accents are encoded are equal.
    """
    return re.sub(r"[\s_-]+", "", unicodedata.normalize("NFKC", name).casefold())


def alike(names: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield the positions (first, later) of names that `plain` makes equal; every later one once, with the first."""
    first: dict[str, int] = {}
    for number, name in enumerate(names):
        if (other := first.setdefault(plain(name), number)) != number:
            yield other, number

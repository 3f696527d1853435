"""Data sets as published: their classes in label order, and the classes that Bucher et al. 2019 call unseen (section 3.1)."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Names that belong together.

    Attributes:
        classes: in label order, the background first.
        unseen: the cumulative splits: each K takes the first K of these.
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

# Pascal-Context: VOC's objects in VOC's order, one of them renamed, then 39 more; in the order of the released class vectors.
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

# Other spellings in use, where they are met: the 59 names as they were first published, and names in other lists and word vectors.
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
    """Return whether two names are one class, up to spaces, case and the spellings in use."""
    first, second = plain(name), plain(other)
    return first == second or first in SPELLINGS.get(second, ()) or second in SPELLINGS.get(first, ())


def plain(name: str) -> str:
    """Return a name in lower case without spaces and underscores, as in `potted plant`."""
    return name.replace("_", "").replace(" ", "").lower()

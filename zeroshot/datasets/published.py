"""Published data sets: classes in label order, and the roles of their classes in three publications.

The unseen classes of `Dataset` are those of ZS3Net (Bucher et al. 2019, section 3.1). `SZN` has the roles in the configuration files of SZN
(Doshi, "Zero-Shot Semantic Segmentation", 2018).
"""

import dataclasses
import re
import unicodedata
from collections.abc import Iterator, Sequence


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Class names of one data set.

    Attributes:
        classes: class names in label order, the background first.
        unseen: unseen classes; the split with K unseen classes uses the first K. Empty where no such list is published.
        has_background: whether label 0 is the background; if not, its name is a mere place holder.
    """

    classes: tuple[str, ...]
    unseen: tuple[str, ...]
    has_background: bool = True


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

# Pascal-Context reduced to 33 labels, as SZN uses it; pixels of other classes are ignored. Since label 0 is a place holder, label v is the
# value v of the published masks (`33_context_labels`).
CONTEXT_33 = Dataset(
    classes=(
        *VOC.classes,
        "sky",
        "grass",
        "ground",
        "road",
        "building",
        "tree",
        "water",
        "mountain",
        "wall",
        "floor",
        "track",
        "keyboard",
        "ceiling",
    ),
    unseen=(),
    has_background=False,
)

DATASETS = {"voc": VOC, "context": CONTEXT, "context_33": CONTEXT_33}


@dataclasses.dataclass(frozen=True)
class Roles:
    """The roles of the classes of a data set; the classes in neither list are train_seen.

    Attributes:
        dataset: a key of `DATASETS`.
        train_unseen: classes with masks that the network is not trained on.
        unseen: classes without a mask in training.
    """

    dataset: str
    train_unseen: tuple[str, ...]
    unseen: tuple[str, ...]


# The name counts the train_seen, train_unseen and unseen classes. SZN calls the last split (31, 2, 2), but 31 is the number of all
# annotated classes: it trains on 29 of the 33.
SZN = {
    "voc_9_2_10": Roles(
        "voc",
        ("aeroplane", "horse"),
        ("bus", "car", "cow", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
    ),
    "voc_17_2_2": Roles("voc", ("aeroplane", "horse"), ("sheep", "train")),
    "voc_21_0_0": Roles("voc", (), ()),
    "context33_29_2_2": Roles("context_33", ("aeroplane", "horse"), ("sheep", "train")),
}


@dataclasses.dataclass(frozen=True)
class InstanceSplit:
    """Seen and unseen classes of COCO's instances, in the order of the columns of the released word vectors."""

    seen: tuple[str, ...]
    unseen: tuple[str, ...]

    @property
    def classes(self) -> tuple[str, ...]:
        """All class names in that order, the background first."""
        return ("background", *self.seen, *self.unseen)


def _listed(names: str) -> tuple[str, ...]:
    return tuple(names.split(", "))


# The splits of ZSI (Zheng et al. 2021), by the numbers of seen and unseen classes. 15 of COCO's 80 classes have no role in the first.
ZSI = {
    "coco_48_17": InstanceSplit(
        seen=_listed(
            "person, bicycle, car, motorcycle, truck, boat, bench, bird, horse, sheep, zebra, giraffe, backpack, "
            "handbag, skis, kite, surfboard, bottle, spoon, bowl, banana, apple, orange, broccoli, carrot, "
            "pizza, donut, chair, bed, tv, laptop, remote, microwave, oven, refrigerator, book, clock, vase, "
            "toothbrush, train, bear, suitcase, frisbee, fork, sandwich, toilet, mouse, toaster"
        ),
        unseen=_listed(
            "bus, dog, cow, elephant, umbrella, tie, skateboard, cup, knife, cake, couch, keyboard, sink, "
            "scissors, airplane, cat, snowboard"
        ),
    ),
    "coco_65_15": InstanceSplit(
        seen=_listed(
            "person, bicycle, car, motorcycle, bus, truck, boat, traffic light, fire hydrant, stop sign, bench, "
            "bird, dog, horse, sheep, cow, elephant, zebra, giraffe, backpack, umbrella, handbag, tie, skis, "
            "sports ball, kite, baseball bat, baseball glove, skateboard, surfboard, tennis racket, bottle, "
            "wine glass, cup, knife, spoon, bowl, banana, apple, orange, broccoli, carrot, pizza, donut, cake, "
            "chair, couch, potted plant, bed, dining table, tv, laptop, remote, keyboard, cell phone, microwave, "
            "oven, sink, refrigerator, book, clock, vase, scissors, teddy bear, toothbrush"
        ),
        unseen=_listed(
            "airplane, train, parking meter, cat, bear, suitcase, frisbee, snowboard, fork, sandwich, hot dog, "
            "toilet, mouse, toaster, hair drier"
        ),
    ),
}

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

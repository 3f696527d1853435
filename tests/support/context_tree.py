"""A small Pascal-Context in its published layout for tests: a VOC2010 root with trainval/<id>.mat, labels.txt and VOC's lists."""

import pathlib

import numpy as np
import PIL.Image
import scipy.io

from tests.support import voc_tree

# Ids of the 59 classes among the 459 labels, as in the published labels.txt, which is sorted by name.
IDS = {
    "aeroplane": 2, "bag": 9, "bed": 18, "bedclothes": 19, "bench": 22, "bicycle": 23, "bird": 25, "boat": 31, "book": 33,
    "bottle": 34, "building": 44, "bus": 45, "cabinet": 46, "car": 59, "cat": 65, "ceiling": 68, "chair": 72, "cloth": 80,
    "computer": 85, "cow": 98, "cup": 104, "curtain": 105, "dog": 113, "door": 115, "fence": 144, "floor": 158,
    "flower": 159, "food": 162, "grass": 187, "ground": 189, "horse": 207, "keyboard": 220, "light": 232,
    "motorbike": 258, "mountain": 259, "mouse": 260, "person": 284, "plate": 295, "platform": 296, "pottedplant": 308,
    "road": 324, "rock": 326, "sheep": 347, "shelves": 349, "sidewalk": 354, "sign": 355, "sky": 360, "snow": 366,
    "sofa": 368, "table": 397, "track": 415, "train": 416, "tree": 420, "truck": 424, "tvmonitor": 427, "wall": 440,
    "water": 445, "window": 454, "wood": 458,
}  # fmt: skip
N_LABELS = 459
# Ids that are not among the 59 classes: 0 is unlabelled, 1 is accordion.
OTHERS = (0, 1, 459)
# Image -> its classes, one to seven. In train, each class that is unseen in any published split has its own image.
_UNSEEN = ("aeroplane", "bird", "boat", "cat", "cow", "fence", "keyboard", "motorbike", "sofa", "tvmonitor")
_SEEN = [name for name in IDS if name not in _UNSEEN]
SHOWN = {
    "train": {name: [name] for name in _UNSEEN} | {f"seen{k}": _SEEN[7 * k : 7 * k + 7] for k in range(7)},
    "val": {"val": ["sofa", "sky", "table", "wood"]},
}
LISTS = {"train": "ImageSets/Main/train.txt", "val": "ImageSets/Main/val.txt"}


def add_image(root: pathlib.Path, id: str, ids: list[int]) -> None:
    """Write an image and its MATLAB file, which has 8 columns of the labels `ids` among the 459."""
    voc_tree.add_image(root / f"JPEGImages/{id}.jpg", len(id), size=(24, 32))
    label_map = enlarged(np.repeat(np.array([ids], dtype=np.uint16), 6, axis=0))
    (root / "trainval").mkdir(exist_ok=True)
    scipy.io.savemat(root / f"trainval/{id}.mat", {"LabelMap": label_map}, do_compression=True)


def names(**renamed: str) -> list[str]:
    """Return the 459 names in the order of their ids; `renamed` gives other names to some of the 59 classes."""
    of_id = {id: renamed.get(name, name) for name, id in IDS.items()} | {1: "accordion"}
    return [of_id.get(id, f"other {id}") for id in range(1, N_LABELS + 1)]


def add_names(root: pathlib.Path, listed: list[str]) -> None:
    """Write labels.txt with these names."""
    (root / "labels.txt").write_text("".join(f"{id}: {name}\n" for id, name in enumerate(listed, 1)))


def enlarged(cells: np.ndarray) -> np.ndarray:
    """Return a mask (24, 32) whose blocks of 4 x 4 pixels have the labels `cells` (6, 8), since a cell of a feature map has that size."""
    return cells.repeat(4, axis=0).repeat(4, axis=1)


def ids_of(shown: list[str]) -> np.ndarray:
    """Return label ids (24, 32) uint16: 4 columns for each class of `shown`; other columns have labels outside the 59 classes."""
    ids = np.zeros((6, 8), dtype=np.uint16)
    ids[:, : len(shown)] = [IDS[name] for name in shown]
    ids[:3, -1], ids[3:, -1] = OTHERS[1:]
    return enlarged(ids)


def make(root: pathlib.Path) -> pathlib.Path:
    """Write the dataset and return its root."""
    for name, shown in SHOWN.items():
        voc_tree.add_list(root / LISTS[name], list(shown))
    (root / "trainval").mkdir()
    for seed, (id, names_shown) in enumerate({**SHOWN["train"], **SHOWN["val"]}.items()):
        voc_tree.add_image(root / f"JPEGImages/{id}.jpg", seed, size=(24, 32))
        # The published files are compressed.
        scipy.io.savemat(root / f"trainval/{id}.mat", {"LabelMap": ids_of(names_shown)}, do_compression=True)
    add_names(root, names())
    return root


def add_pngs(root: pathlib.Path, order: list[str], first: int, other: int) -> None:
    """Write the masks as PNG files; the label of a class is `first` plus its position in `order`, `other` for all others."""
    for id, shown in {**SHOWN["train"], **SHOWN["val"]}.items():
        labels = np.full((6, 8), other, dtype=np.uint8)
        labels[:, : len(shown)] = [order.index(name) + first if name in order else other for name in shown]
        (root / "pngs").mkdir(exist_ok=True)
        PIL.Image.fromarray(enlarged(labels)).save(root / f"pngs/{id}.png")


def section(**changes: object) -> dict[str, object]:
    """Return the `data` section for this dataset, with the first published split."""
    masks = {"train_list": LISTS["train"], "val_list": LISTS["val"], "train_masks": None, "val_masks": None}
    return {**voc_tree.section(), "classes": "context", **masks, "n_unseen": 2, "unseen": None, **changes}


def labels(**changes: object) -> dict[str, object]:
    """Return the `labels` section for its MATLAB files."""
    return voc_tree.labels(**{"format": "context_mat", "folder": "trainval", "names": "labels.txt", **changes})

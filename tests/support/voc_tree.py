"""A small dataset in VOC's layout for tests: 6 x 8 pictures, each mask a few flat blocks."""

import pathlib

import numpy as np
import PIL.Image
import scipy.io

from zeroshot.base import params
from zeroshot.datasets import layout
from zeroshot.images import image_files

CLASSES = ("background", "cow", "dog", "sheep")
# id -> labels of the mask's columns; each label fills some of the 8 columns of 6 pixels.
TRAIN = {
    "a": (0, 0, 0, 0, 2, 2, 2, 255),
    "b": (0, 0, 3, 3, 3, 3, 255, 255),
    "c": (0, 1, 1, 1, 2, 2, 0, 255),
    "d": (1, 1, 1, 1, 1, 1, 1, 255),
}
VAL = {"v": (0, 1, 2, 3, 0, 0, 0, 255)}


def mask(columns: tuple[int, ...]) -> np.ndarray:
    """Return the (6, 8) uint8 mask with these columns."""
    return np.repeat(np.array([columns], dtype=np.uint8), 6, axis=0)


def add_image(path: pathlib.Path, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    PIL.Image.fromarray(pixels).save(path)


def add_list(path: pathlib.Path, ids: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{id}\n" for id in ids))


def make(root: pathlib.Path) -> pathlib.Path:
    """Write the dataset and return its root."""
    for seed, (id, columns) in enumerate({**TRAIN, **VAL}.items()):
        add_image(root / f"JPEGImages/{id}.png", seed)
        image_files.write_mask(root / f"SegmentationClass/{id}.png", mask(columns))
    # Lists in an order of their own: the split must not depend on it.
    add_list(root / "ImageSets/Segmentation/train.txt", ["c", "a", "d", "b"])
    add_list(root / "ImageSets/Segmentation/val.txt", list(VAL))
    add_list(root / "classes.txt", list(CLASSES))
    return root


def add_sbd(root: pathlib.Path, masks: dict[str, tuple[int, ...]], images_too: bool = True) -> None:
    """Add SBD entries, listed in train_noval.txt, as MATLAB structs like the published ones."""
    folder = root / "benchmark_RELEASE/dataset"
    (folder / "cls").mkdir(parents=True)
    for seed, (id, columns) in enumerate(masks.items(), 100):
        scipy.io.savemat(folder / f"cls/{id}.mat", {"GTcls": {"Segmentation": mask(columns), "Boundaries": [1, 2]}})
        if images_too:
            add_image(folder / f"img/{id}.jpg", seed)
    add_list(folder / "train_noval.txt", list(masks))


def settings(**changes: object) -> layout.Params:
    """Return the `data` section for this dataset, with `cow` unseen."""
    return params.build({**section(), **changes}, layout.Params, "data")


def section() -> dict[str, object]:
    """Return the `data` section of a params.yaml for this dataset."""
    return {
        "root": "data/toy",
        "classes": "classes.txt",
        "train_list": "ImageSets/Segmentation/train.txt",
        "val_list": "ImageSets/Segmentation/val.txt",
        "train_masks": "SegmentationClass",
        "val_masks": "SegmentationClass",
        "sbd": None,
        "n_unseen": None,
        "unseen": ["cow"],
        "exclude": "images",
    }


def labels(**changes: object) -> dict[str, object]:
    """Return the `labels` section of a params.yaml, with nothing to convert."""
    return {"format": "none", "folder": None, "names": None, "ids": "0-59", "order": "listed", **changes}

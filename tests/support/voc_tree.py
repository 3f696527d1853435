"""A small data set in the layout of VOC for tests: 6 x 8 images, whose masks have columns of one label."""

import pathlib

import numpy as np
import PIL.Image
import scipy.io

from zeroshot.base import params
from zeroshot.datasets import layout
from zeroshot.images import image_files

CLASSES = ("background", "cow", "dog", "sheep")
# Image id -> label of each of the 8 columns of its mask.
TRAIN = {
    "a": (0, 0, 0, 0, 2, 2, 2, 65535),
    "b": (0, 0, 3, 3, 3, 3, 65535, 65535),
    "c": (0, 1, 1, 1, 2, 2, 0, 65535),
    "d": (1, 1, 1, 1, 1, 1, 1, 65535),
}
VAL = {"v": (0, 1, 2, 3, 0, 0, 0, 65535)}


def mask(columns: tuple[int, ...]) -> np.ndarray:
    """Return the mask (6, 8) uint16 whose columns have these labels."""
    return np.repeat(np.array([columns], dtype=np.uint16), 6, axis=0)


def add_image(path: pathlib.Path, seed: int = 0, size: tuple[int, int] = (6, 8)) -> None:
    """Write a random image of `size`, height and width."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    PIL.Image.fromarray(pixels).save(path)


def add_list(path: pathlib.Path, ids: list[str]) -> None:
    """Write a list of image ids, one per line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{id}\n" for id in ids))


def make(root: pathlib.Path) -> pathlib.Path:
    """Write the dataset and return its root."""
    for seed, (id, columns) in enumerate({**TRAIN, **VAL}.items()):
        add_image(root / f"JPEGImages/{id}.png", seed)
        image_files.write_mask(root / f"SegmentationClass/{id}.png", mask(columns))
    # The list is not sorted, since the split must not depend on its order.
    add_list(root / "ImageSets/Segmentation/train.txt", ["c", "a", "d", "b"])
    add_list(root / "ImageSets/Segmentation/val.txt", list(VAL))
    add_list(root / "classes.txt", list(CLASSES))
    return root


def add_sbd(root: pathlib.Path, masks: dict[str, tuple[int, ...]], images_too: bool = True) -> None:
    """Write SBD masks as MATLAB structs in the published format, and list them in train_noval.txt."""
    folder = root / "benchmark_RELEASE/dataset"
    (folder / "cls").mkdir(parents=True)
    for seed, (id, columns) in enumerate(masks.items(), 100):
        scipy.io.savemat(
            folder / f"cls/{id}.mat", {"GTcls": {"Segmentation": mask(columns).astype(np.uint8), "Boundaries": [1, 2]}}
        )
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
        "background": "label_0",
        "train_list": "ImageSets/Segmentation/train.txt",
        "unlabelled_list": None,
        "val_list": "ImageSets/Segmentation/val.txt",
        "train_masks": "SegmentationClass",
        "val_masks": "SegmentationClass",
        "sbd": None,
        "drop_partly_labelled": False,
        "n_unseen": None,
        "unseen": ["cow"],
        "train_unseen": [],
        "exclude": "images",
    }


def labels(**changes: object) -> dict[str, object]:
    """Return the `labels` section of a params.yaml, with nothing to convert."""
    section = {"format": "none", "folder": None, "names": None, "ids": "0-59", "order": "listed", "reduce": None}
    return section | changes

"""The generated data set on disk, in VOC's layout, with a corpus that names its classes."""

import functools
import pathlib

import PIL.Image

from zeroshot.base import storage, text_files
from zeroshot.datasets import generated_folder
from zeroshot.datasets.toy import corpus, scenes
from zeroshot.images import image_files


def make(settings: scenes.Params, out: pathlib.Path, workers: int = 1) -> None:
    """Write the dataset to a temporary folder, and replace `out` when all files are written.

    Args:
        settings: the section `toy`.
        out: the data root.
        workers: processes that draw images; the files do not depend on their number.

    Raises:
        errors.UserError: if `out` contains anything but a dataset made by this function, which would be deleted.
    """
    with generated_folder.replacing(out, "make_toy", _is_toy) as root:
        (root / "JPEGImages").mkdir()
        counts = {"train": settings.n_train, "val": settings.n_val}
        names = generated_folder.draw_all(functools.partial(_write_scene, settings, root), counts, workers, "make_toy")
        for split, of_split in names.items():
            storage.write_text(root / "ImageSets" / "Segmentation" / f"{split}.txt", "\n".join(of_split) + "\n")
        storage.write_text(root / "classes.txt", "\n".join(scenes.class_names()) + "\n")
        storage.write_text(root / "corpus.txt", "\n".join(corpus.sentences(settings)) + "\n")


def _is_toy(root: pathlib.Path) -> bool:
    """Return whether a folder contains a dataset made by `make`, to judge by its class names."""
    try:
        return text_files.read_lines(root / "classes.txt") == list(scenes.class_names())
    except text_files.TextError:
        return False


def _write_scene(settings: scenes.Params, root: pathlib.Path, split: str, index: int) -> str:
    """Write an image and its mask, and return their name."""
    name = f"{split}_{index:05d}"
    image, mask = scenes.draw(settings, split, index)
    PIL.Image.fromarray(image).save(root / "JPEGImages" / f"{name}.png")
    image_files.write_mask(root / "SegmentationClass" / f"{name}.png", mask)
    return name

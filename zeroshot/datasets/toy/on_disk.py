"""The generated data set on disk, in VOC's layout, with a corpus that names its classes."""

import functools
import pathlib
from collections.abc import Sequence

import PIL.Image

from zeroshot.base import errors, parallel, progress, storage, text_files
from zeroshot.datasets.toy import corpus, scenes
from zeroshot.images import image_files

# Images that a process draws at a time.
_PART = 50


def make(settings: scenes.Params, out: pathlib.Path, workers: int = 1) -> None:
    """Write the dataset to a temporary folder, and replace `out` when all files are written.

    Args:
        settings: the section `toy`.
        out: the data root.
        workers: processes that draw images; the files do not depend on their number.

    Raises:
        errors.UserError: if `out` contains anything but a dataset made by this function, which would be deleted.
    """
    if out.exists() and not out.is_dir() or out.is_dir() and any(out.iterdir()) and not _is_toy(out):
        raise errors.UserError(
            f"{out}: contains other files than a dataset of make_toy; move them away or use another --data-root"
        )
    with storage.replacing_folder(out) as unfinished:
        _write(settings, unfinished, workers)


def _is_toy(root: pathlib.Path) -> bool:
    """Return whether a folder contains a dataset made by `make`, to judge by its class names."""
    try:
        return text_files.read_lines(root / "classes.txt") == list(scenes.class_names())
    except text_files.TextError:
        return False


def _write(settings: scenes.Params, root: pathlib.Path, workers: int) -> None:
    """Write images, masks, lists, class names and corpus into the empty folder `root`."""
    (root / "JPEGImages").mkdir()
    counts = {"train": settings.n_train, "val": settings.n_val}
    scene_numbers = [(split, index) for split, count in counts.items() for index in range(count)]
    parts = [scene_numbers[start : start + _PART] for start in range(0, len(scene_numbers), _PART)]
    written = parallel.each(functools.partial(_write_scenes, settings, root), parts, workers)
    for _ in progress.track(written, f"make_toy ({_PART} images each)", total=len(parts)):
        pass
    for split, count in counts.items():
        names = [_name(split, index) for index in range(count)]
        storage.write_text(root / "ImageSets" / "Segmentation" / f"{split}.txt", "\n".join(names) + "\n")
    storage.write_text(root / "classes.txt", "\n".join(scenes.class_names()) + "\n")
    storage.write_text(root / "corpus.txt", "\n".join(corpus.sentences(settings)) + "\n")


def _write_scenes(settings: scenes.Params, root: pathlib.Path, scene_numbers: Sequence[tuple[str, int]]) -> None:
    """Write image and mask of each (split, index)."""
    for split, index in scene_numbers:
        image, mask = scenes.draw(settings, split, index)
        PIL.Image.fromarray(image).save(root / "JPEGImages" / f"{_name(split, index)}.png")
        image_files.write_mask(root / "SegmentationClass" / f"{_name(split, index)}.png", mask)


def _name(split: str, index: int) -> str:
    return f"{split}_{index:05d}"

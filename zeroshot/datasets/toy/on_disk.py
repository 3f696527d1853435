"""The generated data set on disk, in VOC's layout, with a corpus that names its classes."""

import pathlib

import PIL.Image

from zeroshot.base import errors, progress, storage
from zeroshot.datasets.toy import corpus, scenes
from zeroshot.images import image_files


def make(settings: scenes.Params, out: pathlib.Path) -> None:
    """Write the dataset to a temporary folder, and replace `out` when all files are written.

    Raises:
        errors.UserError: if `out` contains anything but a dataset made by this function, which would be deleted.
    """
    if out.exists() and not out.is_dir() or out.is_dir() and any(out.iterdir()) and not _is_toy(out):
        raise errors.UserError(
            f"{out}: contains other files than a dataset of make_toy; move them away or use another --data-root"
        )
    with storage.replacing_folder(out) as unfinished:
        _write(settings, unfinished)


def _is_toy(root: pathlib.Path) -> bool:
    """Return whether a folder contains a dataset made by `make`, to judge by its class names."""
    names = root / "classes.txt"
    return names.is_file() and names.read_text(errors="replace").split() == list(scenes.class_names())


def _write(settings: scenes.Params, root: pathlib.Path) -> None:
    """Write images, masks, lists, class names and corpus into the empty folder `root`."""
    (root / "JPEGImages").mkdir()
    lists: dict[str, list[str]] = {"train": [], "val": []}
    numbers = [("train", index) for index in range(settings.n_train)] + [
        ("val", index) for index in range(settings.n_val)
    ]
    for split, index in progress.track(numbers, "make_toy"):
        name = f"{split}_{index:05d}"
        image, mask = scenes.draw(settings, split, index)
        PIL.Image.fromarray(image).save(root / "JPEGImages" / f"{name}.png")
        image_files.write_mask(root / "SegmentationClass" / f"{name}.png", mask)
        lists[split].append(name)
    for split, names in lists.items():
        storage.write_text(root / "ImageSets" / "Segmentation" / f"{split}.txt", "\n".join(names) + "\n")
    storage.write_text(root / "classes.txt", "\n".join(scenes.class_names()) + "\n")
    storage.write_text(root / "corpus.txt", "\n".join(corpus.sentences(settings)) + "\n")

"""Pascal-Context's annotations: MATLAB files with 459 labels, and the PNGs of 59 or 60 that others made of them.

Every convention becomes one: label 0 for pixels of none of the 59 classes, a class of its own as in the released code,
and 1 to 59 in the order of `published.CONTEXT`.
"""

import difflib
import pathlib

import numpy as np

from zeroshot.base import errors
from zeroshot.datasets import matlab, published
from zeroshot.images import label_ids

CLASSES = published.CONTEXT.classes


def read_mat(path: str | pathlib.Path) -> np.ndarray:
    """Read `LabelMap`, the label ids of one image among all 459 labels.

    Returns:
        (H, W) uint16 or uint8.

    Raises:
        images.ImageError: if the file is missing, broken, absurdly large, or holds no such matrix.
    """
    return matlab.check_mask(path, matlab.read(path, "LabelMap"), "LabelMap", (np.uint16, np.uint8))


def table_459(root: pathlib.Path, name: str, found: errors.Faults) -> np.ndarray:
    """Return what each label of `labels.txt` becomes, (n + 1,) uint8; label 0 and all but the 59 are the background.

    Args:
        root: the data root.
        name: the list of all labels below it, lines such as `1: accordion`, numbered from 1 without a gap.
        found: takes lines that cannot be read, and every class that the list lacks.
    """
    labels = _read_labels(root, name, found)
    table = np.full(len(labels) + 1, label_ids.BACKGROUND, dtype=np.uint8)
    plain = [published.plain(label) for label in labels]
    for label, class_name in enumerate(CLASSES[1:] if labels else (), 1):
        wanted = [class_name, *published.SPELLINGS.get(class_name, ())]
        spelling = next((spelling for spelling in wanted if spelling in plain), None)
        if spelling is None:
            near = difflib.get_close_matches(class_name, labels, n=1)
            found.add(
                f"class of the 59 that {name} lacks (it must be the list that came with the annotations)",
                f"{class_name}{f'; near: {near[0]}' if near else ''}",
            )
        else:
            table[1:][[other == spelling for other in plain]] = label
    return table


def table_png(ids: str, order: str) -> np.ndarray:
    """Return what each value of a ready-made PNG becomes, (256,) int64; -1 for values it must not hold.

    Args:
        ids: `0-59` where 0 is none of the classes and 1 to 59 are; `0-58` where these are and 255 is none of them.
        order: `listed` as in `published.CONTEXT`, or `alphabetical`.
    """
    names = sorted(CLASSES[1:]) if order == "alphabetical" else CLASSES[1:]
    labels = [CLASSES.index(name) for name in names]
    table = np.full(256, -1)
    if ids == "0-59":
        table[: len(CLASSES)] = [label_ids.BACKGROUND, *labels]
        table[label_ids.IGNORE_INDEX] = label_ids.IGNORE_INDEX
    else:
        table[: len(labels)] = labels
        table[label_ids.IGNORE_INDEX] = label_ids.BACKGROUND
    return table


def _read_labels(root: pathlib.Path, name: str, found: errors.Faults) -> list[str]:
    """Return the names in label order, none if a line is wrong."""
    try:
        lines = (root / name).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        found.add("unreadable list", f"{name}: {error.strerror if isinstance(error, OSError) else 'not UTF-8 text'}")
        return []
    kind = "label list must hold lines such as `1: accordion`, numbered from 1 without a gap"
    labels: list[str] = []
    for number, line in enumerate(lines, 1):
        id, _, label = (part.strip() for part in line.partition(":"))
        # Some lists name label 0 as well.
        if not line.strip() or id == "0":
            continue
        if id != str(len(labels) + 1) or not label:
            found.add(kind, f"{name}: line {number} is {line.strip()!r}, expected `{len(labels) + 1}: <name>`")
            return []
        labels.append(label)
    if not labels:
        found.add(kind, f"{name}: holds none")
    return labels

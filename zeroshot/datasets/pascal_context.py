"""Pascal-Context's annotations: MATLAB files with 459 labels, and PNGs with 59 or 60 labels that others derived from them.

All conventions are converted to one: labels 1 to 59 in the order of `published.CONTEXT`, and label 0 for all other pixels. As in the
released code of ZS3Net, label 0 is a class. SZN uses 33 of the 59 classes and no background (`published.CONTEXT_33`).
"""

import difflib
import pathlib

import numpy as np

from zeroshot.base import errors
from zeroshot.datasets import lists, matlab, published
from zeroshot.images import label_ids

CLASSES = published.CONTEXT.classes


def read_mat(path: str | pathlib.Path) -> np.ndarray:
    """Read `LabelMap`, the ids of one image among the 459 labels.

    Returns:
        (H, W) uint16 or uint8.

    Raises:
        image_files.ImageError: if the file is missing, broken, too large, or has no such matrix.
    """
    return matlab.check_mask(path, matlab.read(path, "LabelMap"), "LabelMap", (np.uint16, np.uint8))


def table_459(root: pathlib.Path, name: str, faults: errors.Faults) -> np.ndarray:
    """Return the label id for each of the 459 labels; label 0 and all but the 59 classes are the background.

    Args:
        root: the data root.
        name: file below the data root with all labels, in lines such as `1: accordion`, numbered from 1 without gaps.
        faults: receives lines that cannot be read, and classes that are missing in the list.

    Returns:
        (n + 1,) uint16, where n is the number of labels in the file.
    """
    labels = _read_labels(root, name, faults)
    table = np.full(len(labels) + 1, label_ids.BACKGROUND, dtype=label_ids.DTYPE)
    plain_labels = [published.plain(label) for label in labels]
    for label, class_name in enumerate(CLASSES[1:] if labels else (), 1):
        spellings = [class_name, *published.SPELLINGS.get(class_name, ())]
        spelling = next((spelling for spelling in spellings if spelling in plain_labels), None)
        if spelling is None:
            near = difflib.get_close_matches(class_name, labels, n=1)
            faults.add(
                f"class of the 59 that is missing in {name} (use the list that is published with the annotations)",
                f"{class_name}{f'; similar: {near[0]}' if near else ''}",
            )
        else:
            table[1:][[label_name == spelling for label_name in plain_labels]] = label
    return table


def table_png(ids: str, order: str) -> np.ndarray:
    """Return the label id for each value that a converted 8-bit PNG stores: (256,) int64, -1 for values that are not allowed.

    Args:
        ids: `0-59` if the classes are 1 to 59 and 0 means none of them; `0-58` if the classes are 0 to 58 and 255 means none; `0-33` if the
            classes are 1 to 33 in the order of `published.CONTEXT_33`, and 0 means none, which is ignored.
        order: order of the 59 classes, `listed` as in `published.CONTEXT` or `alphabetical`.
    """
    if ids == "0-33":
        table = np.full(256, -1)
        table[: len(published.CONTEXT_33.classes)] = np.arange(len(published.CONTEXT_33.classes))
        table[[label_ids.BACKGROUND, label_ids.IGNORE_IN_8_BITS]] = label_ids.IGNORE_INDEX
        return table
    names = sorted(CLASSES[1:]) if order == "alphabetical" else CLASSES[1:]
    labels = [CLASSES.index(name) for name in names]
    table = np.full(256, -1)
    if ids == "0-59":
        table[: len(CLASSES)] = [label_ids.BACKGROUND, *labels]
        table[label_ids.IGNORE_IN_8_BITS] = label_ids.IGNORE_INDEX
    else:
        table[: len(labels)] = labels
        table[label_ids.IGNORE_IN_8_BITS] = label_ids.BACKGROUND
    return table


def reduced(table: np.ndarray) -> np.ndarray:
    """Return a table of labels of `published.CONTEXT` as one of labels of `published.CONTEXT_33`, which has 33 of its classes, by name.

    The background and the other 26 classes become ignored.

    Args:
        table: (n,) label of each source id, as from `table_459` or `table_png`; -1 for a source id that is not allowed.

    Returns:
        (n,) int64.
    """
    labels = np.full(len(CLASSES), label_ids.IGNORE_INDEX)
    for label, name in enumerate(published.CONTEXT_33.classes[1:], 1):
        labels[next(place for place, other in enumerate(CLASSES) if published.same(name, other))] = label
    result = table.astype(np.int64)
    is_class = (result >= 0) & (result < len(CLASSES))
    result[is_class] = labels[result[is_class]]
    return result


def _read_labels(root: pathlib.Path, name: str, faults: errors.Faults) -> list[str]:
    """Return the names in label order; empty if a line is wrong."""
    lines = lists.read_lines(root, name, faults)
    kind = "label list must have lines such as `1: accordion`, numbered from 1 without gaps"
    labels: list[str] = []
    for number, line in enumerate(lines, 1):
        id, _, label = (part.strip() for part in line.partition(":"))
        # Some lists also name label 0.
        if not line or id == "0":
            continue
        if id != str(len(labels) + 1) or not label:
            faults.add(kind, f"{name}: line {number} is {line!r}, expected `{len(labels) + 1}: <name>`")
            return []
        labels.append(label)
    if lines and not labels:
        faults.add(kind, f"{name}: has no labels")
    return labels

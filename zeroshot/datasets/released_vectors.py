"""Class vectors released with ZS3Net and ZSI: their checksum identifies them and tells the class of each row."""

import hashlib
from collections.abc import Sequence

import numpy as np

from zeroshot.base import errors
from zeroshot.datasets import published
from zeroshot.images import label_ids

# SHA-256 of the rows, one per class, as little-endian float32, so that the file format does not matter -> the class of each row.
_CLASSES = {
    "ed66371966f5cb65507a8cbb26e8628c485fd24097185e8a25934a50fcf9f200": published.VOC.classes,
    "1e1e6e08aa8774cb0acc72f87444fcfe9138af9049d1faa89ec6dfb68eaf5e96": published.CONTEXT.classes,
    "36cb25c719fb4ede839d9ff231d9dfcf7c4c6dfd92841b248b886ff23b6bf6a3": published.ZSI["coco_48_17"].classes,
    "0d53e280f3e35b12e9e85a1d453beeef56fcbc7d26702d2dc831c0dcf4127581": published.ZSI["coco_65_15"].classes,
}


class ClassOrderError(errors.UserError):
    """Raised if released vectors are used for other classes; the text lists every wrong row."""


def check_order(vectors: np.ndarray, names: Sequence[str], where: str) -> None:
    """Check that the rows of released vectors match the classes; other vectors, and the background row, are not checked.

    Args:
        vectors: (C, d) float32.
        names: C class names in label order.
        where: the file, for messages.

    Raises:
        ClassOrderError: if classes have rows of other classes; the text lists them.
    """
    classes = _classes(vectors)
    if classes is None:
        return
    rows = list(zip(names, classes, strict=True))[label_ids.BACKGROUND + 1 :]
    mismatches = [
        f"  row {label}: is {row}, the class is {name}"
        for label, (name, row) in enumerate(rows, label_ids.BACKGROUND + 1)
        if not published.same(name, row)
    ]
    if mismatches:
        listing = "\n".join(mismatches)
        raise ClassOrderError(
            f"{where}: these released vectors are in another order than the classes, {len(mismatches)} rows:\n{listing}\n"
            "Use the data set's own class list (data.classes: voc or context), or order the rows by it"
        )


def arrange(matrix: np.ndarray, names: Sequence[str], where: str) -> np.ndarray:
    """Return the rows of classes from a matrix with one row, or as released with ZSI one column, per class.

    Released vectors are found by the names of their classes, whatever the order of `names`, which may be some of the classes. Any other
    matrix must be in label order.

    Args:
        matrix: (n, d) or (d, n) of any type.
        names: C class names in label order, the background first.
        where: the file, for messages.

    Returns:
        (C, d) of the matrix's type if it is known; else the matrix, with rows and columns swapped if it has C columns and not C rows.

    Raises:
        ClassOrderError: if released vectors lack a class; the text lists all that they lack.
    """
    if matrix.ndim != 2 or matrix.dtype.kind != "f":
        return matrix
    for rows in (matrix, matrix.T):
        classes = _classes(rows)
        if classes is not None:
            return rows[_places(names, classes, where)]
    return matrix.T if len(matrix) != len(names) == matrix.shape[1] else matrix


def _classes(rows: np.ndarray) -> tuple[str, ...] | None:
    """Return the class of each row of released vectors; None for others."""
    return _CLASSES.get(hashlib.sha256(np.ascontiguousarray(rows, "<f4").tobytes()).hexdigest())


def _places(names: Sequence[str], classes: Sequence[str], where: str) -> list[int]:
    places, missing = [label_ids.BACKGROUND], []
    for name in names[label_ids.BACKGROUND + 1 :]:
        same = [place for place, other in enumerate(classes) if published.same(name, other)]
        exact = [place for place in same if published.plain(classes[place]) == published.plain(name)]
        if same:
            places.append((exact or same)[0])
        else:
            missing.append(name)
    if missing:
        raise ClassOrderError(
            f"{where}: these released vectors have no row for {', '.join(missing[: errors.MAX_LISTED])}; use another source of vectors"
        )
    return places

"""Check of the class vectors released with ZS3Net: their checksum identifies them, and their rows must match the classes."""

import hashlib
from collections.abc import Sequence

import numpy as np

from zeroshot.base import errors
from zeroshot.datasets import published
from zeroshot.images import label_ids

# SHA-256 of the rows as little-endian float32, so that the file format does not matter.
_DATASETS = {
    "ed66371966f5cb65507a8cbb26e8628c485fd24097185e8a25934a50fcf9f200": published.VOC,
    "1e1e6e08aa8774cb0acc72f87444fcfe9138af9049d1faa89ec6dfb68eaf5e96": published.CONTEXT,
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
    dataset = _DATASETS.get(hashlib.sha256(np.ascontiguousarray(vectors, "<f4").tobytes()).hexdigest())
    if dataset is None:
        return
    rows = list(zip(names, dataset.classes, strict=True))[label_ids.BACKGROUND + 1 :]
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

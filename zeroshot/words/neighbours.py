"""Which classes lie nearest to which in the embedding space."""

import csv
import io
from collections.abc import Iterator

import numpy as np

from zeroshot.words import class_embeddings

COLUMNS = ("class", "rank", "neighbour", "cosine")


def nearest(classes: class_embeddings.ClassEmbeddings, n: int = 5) -> Iterator[tuple[str, int, str, float]]:
    """Yield (class, rank from 1, neighbour, cosine) for the `n` nearest other classes of every class, in label order.

    Cosines are rounded to six decimals before they are ranked, and ties go to the lower label. A zero vector has no
    direction: its class has no neighbours and is nobody's.
    """
    vectors = classes.vectors.astype(np.float64)
    norms = np.linalg.norm(vectors, axis=1)
    labels = np.flatnonzero(norms)
    unit = vectors[labels] / norms[labels, None]
    cosines = np.round(unit @ unit.T, 6) + 0.0  # (C, C); adding zero turns -0.0 into 0.0
    np.fill_diagonal(cosines, -np.inf)
    for row, label in zip(cosines, labels, strict=True):
        order = np.argsort(-row, kind="stable")[: min(n, len(labels) - 1)]
        for rank, other in enumerate(order, 1):
            yield classes.names[label], rank, classes.names[labels[other]], float(row[other])


def to_csv(classes: class_embeddings.ClassEmbeddings) -> str:
    """Return the neighbour table as CSV text with the header `COLUMNS`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows((name, rank, other, f"{cosine:.6f}") for name, rank, other, cosine in nearest(classes))
    return text.getvalue()

"""From the vectors of a source to those of the methods: the background, normalisation, and a check that classes can be told apart."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import scipy.spatial

from zeroshot.base import errors
from zeroshot.images import label_ids
from zeroshot.words import class_vectors

# Distance of two directions that differ by rounding only. The rounding of float32 and of numbers with six digits in a text file stays
# below it.
SAME_DIRECTION = 1e-5


def finish(
    vectors: np.ndarray,
    names: Sequence[str],
    background: Literal["vector", "zero", "mean"],
    normalise: Literal["none", "unit", "largest"],
) -> np.ndarray:
    """Apply the background rule and then the normalisation.

    Args:
        vectors: (C, d) float32 in label order.
        names: C class names.
        background: `vector` leaves row 0 unchanged, `zero` sets it to zero, `mean` sets it to the mean of the other rows.
        normalise: `unit` scales every row to length 1, `largest` divides all rows by the length of the longest row (as in the
            vectors released with ZS3Net), `none` changes nothing. A background row that was set to zero remains zero.

    Returns:
        (C, d) float32.

    Raises:
        class_vectors.ClassVectorError: if vectors are not finite, or are zero and cannot be normalised; the text lists their classes.
    """
    result = _with_background(vectors, names, background)
    norms = np.linalg.norm(result, axis=1, keepdims=True)
    zero_allowed = {label_ids.BACKGROUND} if background == "zero" else set()
    zero = [name for label, name in enumerate(names) if norms[label] == 0 and label not in zero_allowed]
    if normalise == "unit":
        if zero:
            raise class_vectors.ClassVectorError(
                f"embeddings.normalise=unit needs vectors that are not zero; those of {', '.join(zero)} are. "
                "Use `none` or `largest`, or, for the background, embeddings.background=zero"
            )
        result /= np.where(norms == 0, 1, norms)
    elif normalise == "largest":
        if not norms.max():
            raise class_vectors.ClassVectorError(
                "embeddings.normalise=largest needs a vector that is not zero; all are. Use `none`"
            )
        result /= norms.max()
    return result.astype(np.float32)


def finish_further(
    further: np.ndarray,
    further_names: Sequence[str],
    vectors: np.ndarray,
    background: Literal["vector", "zero", "mean"],
    normalise: Literal["none", "unit", "largest"],
) -> np.ndarray:
    """Normalise vectors of further classes (n, d) float32 as `finish` does those of `vectors`, which do not change.

    Raises:
        class_vectors.ClassVectorError: if a further vector is zero or not finite; the text lists the classes.
    """
    bad = [
        name for name, row in zip(further_names, further, strict=True) if not np.isfinite(row).all() or not row.any()
    ]
    if bad:
        raise class_vectors.ClassVectorError(
            f"vectors of {', '.join(bad)} are zero, or contain NaN or infinite numbers"
        )
    norms = np.linalg.norm(further.astype(np.float64), axis=1, keepdims=True)
    if normalise == "largest":
        norms = np.linalg.norm(_with_background(vectors, [""] * len(vectors), background), axis=1).max()
    return (further / (1 if normalise == "none" else norms)).astype(np.float32)


def _with_background(
    vectors: np.ndarray, names: Sequence[str], background: Literal["vector", "zero", "mean"]
) -> np.ndarray:
    """Return the vectors as float64 after the rule for row 0; an error names the classes with numbers that are not finite."""
    infinite = [name for name, row in zip(names, vectors, strict=True) if not np.isfinite(row).all()]
    if infinite:
        raise class_vectors.ClassVectorError(
            f"vectors of {', '.join(infinite)} contain NaN or infinite numbers; correct the source"
        )
    result = vectors.astype(np.float64)
    if background == "zero":
        result[label_ids.BACKGROUND] = 0
    elif background == "mean":
        result[label_ids.BACKGROUND] = np.delete(result, label_ids.BACKGROUND, axis=0).mean(axis=0)
    return result


def check_distinct(vectors: np.ndarray, names: Sequence[str], where: str) -> None:
    """Check that the final vectors tell all classes apart.

    Two classes whose vectors have the same direction are the same class for every method that uses cosines, and a zero vector has no
    direction. The background may be zero, since it is the only class of its kind.

    Args:
        vectors: (C, d) float32 from `finish`.
        names: C class names.
        where: the file of the source, for messages.

    Raises:
        class_vectors.ClassVectorError: if a class other than the background has a zero vector, or classes have the same direction up to
            rounding; the text lists them all.
    """
    faults = [f"{name!r} has a zero vector" for name in without_direction(vectors, names)]
    faults += [
        f"{first!r} and {second!r} have the same vector, up to its length"
        for first, second in same_direction(vectors, names)
    ]
    if faults:
        listing = "\n".join(f"  {fault}" for fault in faults[: errors.MAX_LISTED])
        more = f"\n  and {len(faults) - errors.MAX_LISTED} more" if len(faults) > errors.MAX_LISTED else ""
        raise class_vectors.ClassVectorError(
            f"{where}: classes cannot be told apart, {len(faults)} fault{'s' if len(faults) > 1 else ''}:\n{listing}{more}\n"
            "Correct the source, or give these classes other words in embeddings.aliases; two names of one thing are one class"
        )


def without_direction(vectors: np.ndarray, names: Sequence[str]) -> list[str]:
    """Return the classes, other than the background, with a zero vector among the vectors (C, d)."""
    return [
        name
        for label, (name, row) in enumerate(zip(names, vectors, strict=True))
        if not row.any() and label != label_ids.BACKGROUND
    ]


def same_direction(vectors: np.ndarray, names: Sequence[str]) -> list[tuple[str, str]]:
    """Return the pairs of classes whose vectors (C, d) have the same direction up to rounding, in label order."""
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    labels = np.flatnonzero(norms).tolist()
    pairs = _close_pairs(vectors[labels] / norms[labels], SAME_DIRECTION)
    return [(names[labels[first]], names[labels[second]]) for first, second in pairs]


def _close_pairs(points: np.ndarray, distance: float) -> list[list[int]]:
    """Return the pairs [i, j], i < j, of points (n, d) closer than `distance`, in ascending order, without comparing all pairs."""
    # A projection makes no distance larger, and in few dimensions a k-d tree is fast. Twice the distance allows for rounding.
    directions = np.linalg.qr(np.random.default_rng(0).normal(size=(points.shape[1], min(points.shape[1], 8))))[0]
    pairs = scipy.spatial.cKDTree(points @ directions).query_pairs(2 * distance, output_type="ndarray")
    close = np.linalg.norm(points[pairs[:, 0]] - points[pairs[:, 1]], axis=1) < distance
    return sorted(pairs[close].tolist())

"""One vector per class from word vectors: aliases, names of several words, the background, normalisation."""

import dataclasses
import difflib
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import scipy.spatial

from zeroshot.base import errors
from zeroshot.images import label_ids
from zeroshot.words import word_vectors

Aliases = Mapping[str, str | Sequence[str]]
# Distance of two directions that differ by rounding only. The rounding of float32 and of numbers with six digits in a text file stays
# below it.
SAME_DIRECTION = 1e-5
_SEPARATORS = re.compile(r"[\s_-]+")


class ClassVectorError(errors.UserError):
    """Raised if class names and vectors do not match; the text lists every fault."""


def lookup_words(names: Sequence[str], aliases: Aliases) -> set[str]:
    """Return every word whose vector `combine` may look up for `names`."""
    options = [option for name in names for option in _options(name, aliases)]
    return {spelling for option in options for word in option for spelling in word}


def combine(
    names: Sequence[str],
    words: word_vectors.WordVectors,
    aliases: Aliases,
    background: Literal["vector", "zero", "mean"],
) -> tuple[np.ndarray, list[list[str]]]:
    """Make one vector per class name.

    A class with an alias has the mean vector of the alias's words. For other classes, the whole name is looked up first, as written or
    with its parts joined by `_` or `-`; then the mean over its parts, split at white space, `_` and `-`, is taken. Every word is looked
    up as written, then in lower case; accents may be composed or not. A mean requires the vectors of all its words.

    Args:
        names: C class names in label order, the background first.
        words: vectors of all of `lookup_words(names, aliases)` that the source contains.
        aliases: class name -> the word or words to use for it.
        background: with `zero` and `mean`, label 0 is not looked up and its row is zero.

    Returns:
        The vectors, (C, d) float32, and the words used for each class; the list is empty for a class that is not looked up.

    Raises:
        ClassVectorError: if aliases name unknown classes or names have no vector; the text lists them all, the first with similar words.
    """
    faults = [
        f"embeddings.aliases: no class is named {alias!r}{_suggest(difflib.get_close_matches(alias, names, n=1))}"
        for alias in aliases
        if alias not in names
    ]
    used: list[list[str]] = []
    for label, name in enumerate(names):
        looked_up = label != label_ids.BACKGROUND or background == "vector"
        hits = _look_up(name, words, aliases) if looked_up else []
        used.append(hits)
        if looked_up and not hits:
            # Each search takes tenths of a second.
            searched = words if len(faults) < errors.MAX_LISTED else dataclasses.replace(words, vocabulary=())
            faults.append(_describe_missing(name, searched, aliases))
    if faults:
        listing = "\n".join(f"  {fault}" for fault in faults)
        raise ClassVectorError(
            f"class names and word vectors do not match, {len(faults)} fault{'s' if len(faults) > 1 else ''}:\n{listing}\n"
            "Set the word or words to use in embeddings.aliases, for example `tvmonitor: [television, monitor]`"
        )
    dim = len(next(words.vectors[word] for hits in used for word in hits))
    vectors = np.zeros((len(names), dim), np.float32)
    for row, hits in zip(vectors, used, strict=True):
        if hits:
            row[:] = np.mean([words.vectors[word] for word in hits], axis=0, dtype=np.float64)
    return vectors, used


def from_matrix(matrix: np.ndarray, names: Sequence[str], where: str) -> np.ndarray:
    """Check a given class matrix, whose rows must be in label order.

    Args:
        matrix: (C, d) of any float type.
        names: C class names.
        where: the file, for messages.

    Returns:
        (C, d) float32.

    Raises:
        ClassVectorError: if the matrix has another shape or type.
    """
    if matrix.ndim != 2 or matrix.dtype.kind != "f" or not matrix.shape[1]:
        raise ClassVectorError(
            f"{where}: needs a matrix of floats, one row per class; found shape {matrix.shape} of type {matrix.dtype}"
        )
    if len(matrix) != len(names):
        raise ClassVectorError(
            f"{where}: has {len(matrix)} rows for {len(names)} classes ({names[0]} to {names[-1]}); "
            "it needs one row per class, in label order, the background first"
        )
    return matrix.astype(np.float32)


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
        ClassVectorError: if vectors are not finite, or are zero and cannot be normalised; the text lists their classes.
    """
    result = _with_background(vectors, names, background)
    norms = np.linalg.norm(result, axis=1, keepdims=True)
    zero_allowed = {label_ids.BACKGROUND} if background == "zero" else set()
    zero = [name for label, name in enumerate(names) if norms[label] == 0 and label not in zero_allowed]
    if normalise == "unit":
        if zero:
            raise ClassVectorError(
                f"embeddings.normalise=unit needs vectors that are not zero; those of {', '.join(zero)} are. "
                "Use `none` or `largest`, or, for the background, embeddings.background=zero"
            )
        result /= np.where(norms == 0, 1, norms)
    elif normalise == "largest":
        if not norms.max():
            raise ClassVectorError("embeddings.normalise=largest needs a vector that is not zero; all are. Use `none`")
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
        ClassVectorError: if a further vector is zero or not finite; the text lists the classes.
    """
    bad = [
        name for name, row in zip(further_names, further, strict=True) if not np.isfinite(row).all() or not row.any()
    ]
    if bad:
        raise ClassVectorError(f"vectors of {', '.join(bad)} are zero, or contain NaN or infinite numbers")
    norms = np.linalg.norm(further.astype(np.float64), axis=1, keepdims=True)
    if normalise == "largest":
        norms = np.linalg.norm(_with_background(vectors, [""] * len(vectors), background), axis=1).max()
    return (further / (1 if normalise == "none" else norms)).astype(np.float32)


def _with_background(
    vectors: np.ndarray, names: Sequence[str], background: Literal["vector", "zero", "mean"]
) -> np.ndarray:
    """Return the vectors as float64 after the rule for row 0; a ClassVectorError names classes with numbers that are not finite."""
    infinite = [name for name, row in zip(names, vectors, strict=True) if not np.isfinite(row).all()]
    if infinite:
        raise ClassVectorError(f"vectors of {', '.join(infinite)} contain NaN or infinite numbers; correct the source")
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
        ClassVectorError: if a class other than the background has a zero vector, or classes have the same direction up to rounding;
            the text lists them all.
    """
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    faults = [
        f"{name!r} has a zero vector"
        for label, name in enumerate(names)
        if not norms[label] and label != label_ids.BACKGROUND
    ]
    labels = np.flatnonzero(norms)
    unit = vectors[labels] / norms[labels]
    for first, second in _close_pairs(unit, SAME_DIRECTION):
        faults.append(f"{names[labels[first]]!r} and {names[labels[second]]!r} have the same vector, up to its length")
    if faults:
        listing = "\n".join(f"  {fault}" for fault in faults[: errors.MAX_LISTED])
        more = f"\n  and {len(faults) - errors.MAX_LISTED} more" if len(faults) > errors.MAX_LISTED else ""
        raise ClassVectorError(
            f"{where}: classes cannot be told apart, {len(faults)} fault{'s' if len(faults) > 1 else ''}:\n{listing}{more}\n"
            "Correct the source, or give these classes other words in embeddings.aliases; two names of one thing are one class"
        )


def _close_pairs(points: np.ndarray, distance: float) -> list[list[int]]:
    """Return the pairs [i, j], i < j, of points (n, d) closer than `distance`, in ascending order, without comparing all pairs."""
    # A projection makes no distance larger, and in few dimensions a k-d tree is fast. Twice the distance allows for rounding.
    directions = np.linalg.qr(np.random.default_rng(0).normal(size=(points.shape[1], min(points.shape[1], 8))))[0]
    pairs = scipy.spatial.cKDTree(points @ directions).query_pairs(2 * distance, output_type="ndarray")
    close = np.linalg.norm(points[pairs[:, 0]] - points[pairs[:, 1]], axis=1) < distance
    return sorted(pairs[close].tolist())


def _options(name: str, aliases: Aliases) -> list[list[list[str]]]:
    """Return the options for the vector of `name`, best first: each is a list of words, each word a list of spellings."""
    if name in aliases:
        alias = aliases[name]
        return [[_spellings(word) for word in ([alias] if isinstance(alias, str) else alias)]]
    parts = [part for part in _SEPARATORS.split(name) if part]
    return [[_spellings(name, "_".join(parts), "-".join(parts))], [_spellings(part) for part in parts]]


def _spellings(*words: str) -> list[str]:
    """Return how sources may spell the words: as written, in lower case, and both with composed and with separate accents."""
    cases = [*words, *(word.lower() for word in words)]
    return list(
        dict.fromkeys([*cases, *(unicodedata.normalize(form, word) for form in ("NFC", "NFD") for word in cases)])
    )


def _look_up(name: str, words: word_vectors.WordVectors, aliases: Aliases) -> list[str]:
    """Return the words whose mean is the vector of `name`; an empty list if no option has all its words."""
    for option in _options(name, aliases):
        hits = [_first_known(spellings, words) for spellings in option]
        known = [hit for hit in hits if hit is not None]
        if hits and len(known) == len(hits):
            return known
    return []


def _describe_missing(name: str, words: word_vectors.WordVectors, aliases: Aliases) -> str:
    missing = [spellings for spellings in _options(name, aliases)[-1] if _first_known(spellings, words) is None]
    first_spellings = list(dict.fromkeys(spellings[0] for spellings in missing)) or [name]
    searched = dict.fromkeys(word.lower() for word in [name, *first_spellings])
    # A pair is written as in embeddings.aliases.
    compounds = [f"[{', '.join(pair)}]" for word in searched if (pair := words.compound(word))]
    near = dict.fromkeys([*(match for word in searched for match in words.near(word)), *compounds])
    return f"{name!r}: no vector for {', '.join(map(repr, first_spellings))}{_suggest(list(near))}"


def _first_known(spellings: list[str], words: word_vectors.WordVectors) -> str | None:
    return next((spelling for spelling in spellings if spelling in words.vectors), None)


def _suggest(near: Sequence[str]) -> str:
    return f"; similar: {', '.join(near)}" if near else ""

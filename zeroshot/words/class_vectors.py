"""One vector per class from word vectors: aliases, names of several words, and class matrices."""

import dataclasses
import difflib
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from zeroshot.base import errors
from zeroshot.images import label_ids
from zeroshot.words import word_vectors

Aliases = Mapping[str, str | Sequence[str]]
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


def from_matrix(
    matrix: np.ndarray,
    names: Sequence[str],
    where: str,
    background: Literal["vector", "zero", "mean"] = "vector",
) -> np.ndarray:
    """Check a given class matrix, whose rows must be in label order.

    Args:
        matrix: (C, d) of any float type; with a `background` of `zero` or `mean` also (C - 1, d), without a row for label 0.
        names: C class names.
        where: the file, for messages.
        background: as in `combine`; a missing row 0 becomes zero.

    Returns:
        (C, d) float32.

    Raises:
        ClassVectorError: if the matrix has another shape or type.
    """
    if matrix.ndim != 2 or matrix.dtype.kind != "f" or not matrix.shape[1]:
        raise ClassVectorError(
            f"{where}: needs a matrix of floats, one row per class; found shape {matrix.shape} of type {matrix.dtype}"
        )
    if len(matrix) == len(names) - 1 and background != "vector":
        matrix = np.concatenate([np.zeros_like(matrix, shape=(1, matrix.shape[1])), matrix])
    if len(matrix) != len(names):
        raise ClassVectorError(
            f"{where}: has {len(matrix)} rows for {len(names)} classes ({names[0]} to {names[-1]}); "
            "it needs one row per class, in label order, the background first; with embeddings.background zero or mean it needs none for "
            "the background"
        )
    return matrix.astype(np.float32)


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

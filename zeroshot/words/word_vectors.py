"""Vectors of single words, wherever they come from."""

import dataclasses
import difflib
import pathlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from zeroshot.base import errors

# Files and models list frequent words first. Comparing one name with this many words takes some tenths of a second.
NEAR_VOCABULARY = 20_000

Track = Callable[[Iterable[Any]], Iterable[Any]]


class WordVectorError(errors.UserError):
    """Raised when word vectors cannot be trained, read or fetched."""


@dataclasses.dataclass(frozen=True)
class WordVectors:
    """The vectors of the words that were asked for.

    Attributes:
        vectors: word -> (d,) float32; words without a vector are left out.
        vocabulary: the first `NEAR_VOCABULARY` words of the source, in its order, for suggestions.
        files: the files that the vectors came from.
    """

    vectors: Mapping[str, np.ndarray]
    vocabulary: tuple[str, ...]
    files: tuple[pathlib.Path, ...]

    def near(self, word: str, n: int = 3) -> list[str]:
        """Return up to `n` words of the vocabulary spelt like `word`, the nearest first."""
        return difflib.get_close_matches(word, self.vocabulary, n=n)

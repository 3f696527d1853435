"""Vectors of single words, from any source."""

import dataclasses
import difflib
import pathlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from zeroshot.base import errors

# Number of words compared with a missing name. Files list frequent words first, and the comparison takes tenths of a second.
NEAR_VOCABULARY = 20_000

Track = Callable[[Iterable[Any]], Iterable[Any]]


class WordVectorError(errors.UserError):
    """Raised if word vectors cannot be trained, read or downloaded."""


@dataclasses.dataclass(frozen=True)
class WordVectors:
    """The vectors of the words that were looked up.

    Attributes:
        vectors: word -> (d,) float32; words without a vector are absent.
        vocabulary: the first `NEAR_VOCABULARY` words of the source, in its order, for suggestions in messages.
        files: the files that contain the vectors.
    """

    vectors: Mapping[str, np.ndarray]
    vocabulary: tuple[str, ...]
    files: tuple[pathlib.Path, ...]

    def near(self, word: str, n: int = 3) -> list[str]:
        """Return up to `n` words of the vocabulary with a spelling similar to `word`, the most similar first."""
        return difflib.get_close_matches(word, self.vocabulary, n=n)

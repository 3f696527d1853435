"""Vectors of single words, from any source."""

import dataclasses
import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, BinaryIO

import numpy as np

from zeroshot.base import errors

# Number of words compared with a missing name. Files list frequent words first, and the comparison takes tenths of a second.
NEAR_VOCABULARY = 20_000

# Longest line of a file of word vectors or a corpus, in bytes. A vector of 10,000 numbers has about 250 kB and a long article 1 MB, but
# one line of a small compressed file may have gigabytes.
MAX_LINE = 16 * 2**20

Track = Callable[[Iterable[Any]], Iterable[Any]]


class WordVectorError(errors.UserError):
    """Raised if word vectors cannot be trained, read or downloaded."""


def lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield the lines of a file, at most `MAX_LINE` bytes each.

    Raises:
        ValueError: at a longer line.
    """
    number = 0
    while line := file.readline(MAX_LINE + 1):
        number += 1
        if len(line) > MAX_LINE:
            raise ValueError(f"line {number} is longer than {MAX_LINE:,} bytes; break it into several (`fold -s`)")
        yield line


@dataclasses.dataclass(frozen=True)
class WordVectors:
    """The vectors of the words that were looked up.

    Attributes:
        vectors: word -> (d,) float32; words without a vector are absent.
        vocabulary: the first `NEAR_VOCABULARY` words of the source, in its order, for suggestions in messages.
    """

    vectors: Mapping[str, np.ndarray]
    vocabulary: tuple[str, ...]

    def near(self, word: str, n: int = 3) -> list[str]:
        """Return up to `n` words of the vocabulary with a spelling similar to `word`, the most similar first."""
        return difflib.get_close_matches(word, self.vocabulary, n=n)

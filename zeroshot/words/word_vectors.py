"""Vectors of single words, from any source."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, BinaryIO

import numpy as np
import rapidfuzz

from zeroshot.base import errors

# Number of words compared with a missing name. Files list frequent words first, and the comparison takes tenths of a second.
NEAR_VOCABULARY = 400_000
# Least similarity of a similar word, in per cent: twice the letters in common, in order, divided by all letters of both words.
NEAR_SIMILARITY = 70
# Words of a compound are among so many of the first words. Among the rarer ones are fragments of every other word.
COMPOUND_VOCABULARY = 100_000

# Longest line of a file of word vectors or a corpus, in bytes. A vector of 10,000 numbers has about 250 kB and a long article 1 MB, but
# one line of a small compressed file may have gigabytes.
MAX_LINE = 16 * 2**20

Track = Callable[[Iterable[Any]], Iterable[Any]]
# Receives the vectors of all words of a source, (n, d) at a time, in the order of the source; from a file in n = 1 rows of float32.
Consumer = Callable[[np.ndarray], None]


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
        scorer = rapidfuzz.fuzz.ratio
        matches = rapidfuzz.process.extract(word, self.vocabulary, scorer=scorer, limit=n, score_cutoff=NEAR_SIMILARITY)
        return [match for match, _, _ in matches]

    def compound(self, word: str) -> tuple[str, str] | None:
        """Return the two frequent words that `word` consists of, or None: tv and monitor for `tvmonitor`.

        Each has two letters or more. Of several pairs, the one whose rarer word is the most frequent is returned.
        """
        ranks = {known: rank for rank, known in enumerate(self.vocabulary[:COMPOUND_VOCABULARY])}
        pairs = [(word[:cut], word[cut:]) for cut in range(2, len(word) - 1)]
        known = [pair for pair in pairs if ranks.keys() >= set(pair)]
        return min(known, key=lambda pair: max(ranks[part] for part in pair), default=None)

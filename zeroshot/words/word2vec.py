"""Training word2vec on a plain-text corpus.

Skip-gram with negative sampling: Mikolov et al., "Distributed representations of words and phrases and their
compositionality", 2013. ZS3Net takes its class embeddings from word2vec (Bucher et al. 2019, section 4).
"""

import logging
import pathlib
import zlib
from collections.abc import Collection, Iterator

import gensim.models
import gensim.models.word2vec
import gensim.utils
import numpy as np

from zeroshot.base import user_files
from zeroshot.words import word_vectors

# gensim's defaults: the learning rate falls linearly from the first to the second over all epochs.
ALPHA = 0.025
MIN_ALPHA = 0.0001
# gensim trains on at most this number of words of a sentence, so longer ones are divided.
MAX_SENTENCE = gensim.models.word2vec.MAX_WORDS_IN_BATCH


def _hash(word: str) -> int:
    # Python's hash of a string differs between processes.
    return zlib.crc32(word.encode())


class _Corpus:
    """The sentences of a corpus; each iteration reads the file again.

    The same as gensim's `LineSentence`, but a line has a limit, and a byte order mark is not a part of the first word.
    """

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path

    def __iter__(self) -> Iterator[list[str]]:
        with gensim.utils.open(str(self.path), "rb") as file:
            for number, line in enumerate(word_vectors.lines(file)):
                words = line.decode("utf-8" if number else "utf-8-sig").split()
                yield from (words[first : first + MAX_SENTENCE] for first in range(0, len(words), MAX_SENTENCE))


def train(
    path: str | pathlib.Path,
    lookup_words: Collection[str],
    *,
    dim: int,
    window: int,
    min_count: int,
    epochs: int,
    negative: int,
    seed: int,
    track: word_vectors.Track = iter,
    consume: word_vectors.Consumer | None = None,
) -> word_vectors.WordVectors:
    """Train skip-gram vectors on the corpus at `path` and return those of the given words.

    With one worker and a fixed hash, the result depends only on the corpus, the options and the seed.

    Args:
        path: UTF-8 text, one sentence per line, words separated by white space; may be compressed (`.gz`, `.bz2`).
        lookup_words: the words whose vectors are returned.
        dim: d, the number of dimensions.
        window: largest distance, in words, between a word and a context word.
        min_count: words that occur less often are ignored.
        epochs: passes over the corpus.
        negative: noise words per context word.
        seed: seed of the initial vectors, the window sizes and the noise words.
        track: called with the epochs, for a progress bar.
        consume: called with the vectors of all words.

    Raises:
        WordVectorError: if the corpus cannot be read or no word occurs `min_count` times.
        user_files.FileError: if the file cannot be opened.
    """
    path = pathlib.Path(path)
    user_files.head(path)
    corpus = _Corpus(path)
    model = gensim.models.Word2Vec(
        vector_size=dim, window=window, min_count=min_count, negative=negative, seed=seed,
        sg=1, hs=0, alpha=ALPHA, min_alpha=MIN_ALPHA, workers=1, hashfxn=_hash,
    )  # fmt: skip
    # On a small corpus, gensim logs warnings that do not apply here.
    logging.getLogger("gensim").setLevel(logging.ERROR)
    try:
        model.build_vocab(corpus)
    except (EOFError, OSError, ValueError, zlib.error) as error:
        raise word_vectors.WordVectorError(f"{path}: cannot be read as UTF-8 text: {error}") from None
    except RuntimeError as error:
        raise word_vectors.WordVectorError(f"{path}: no vocabulary could be built: {error}") from None
    if not len(model.wv):
        raise word_vectors.WordVectorError(
            f"{path}: no word occurs embeddings.min_count={min_count} times; use a longer corpus or a smaller min_count"
        )
    alphas = np.linspace(ALPHA, MIN_ALPHA, epochs + 1).tolist()
    for epoch in track(range(epochs)):
        model.train(
            corpus,
            total_examples=model.corpus_count,
            epochs=1,
            start_alpha=alphas[epoch],
            end_alpha=alphas[epoch + 1],
        )
    if consume is not None:
        consume(model.wv.vectors)
    return word_vectors.WordVectors(
        vectors={word: model.wv[word] for word in lookup_words if word in model.wv},
        vocabulary=tuple(map(str, model.wv.index_to_key[: word_vectors.NEAR_VOCABULARY])),
    )

"""Reading gensim's saved `KeyedVectors` (`.kv`), a pickle, without running its code."""

import pathlib
from collections.abc import Collection

import numpy as np

from zeroshot.words import pickles, word_vectors


class _Saved:
    """Stands in for the class of a saved object and receives its attributes."""


# The first name is of gensim 4, the others are of gensim 3.
_STAND_INS = {
    ("gensim.models.keyedvectors", name): _Saved
    for name in ("KeyedVectors", "Word2VecKeyedVectors", "EuclideanKeyedVectors", "Vocab")
}


def read(
    path: str | pathlib.Path, lookup_words: Collection[str], consume: word_vectors.Consumer | None = None
) -> word_vectors.WordVectors:
    """Read the vectors of the given words, and hand those of all words to `consume`.

    gensim saves large arrays in `<file>.vectors.npy` in the same folder. Such a pair is refused, because `embeddings.path` names one
    file, and DVC would not notice when the other one changes.

    Raises:
        WordVectorError: if the file is not a saved KeyedVectors, or its vectors are not in it.
        PickleError: if the pickle is damaged or contains anything but arrays and plain types.
    """
    path = pathlib.Path(path)
    saved = pickles.read(path, _STAND_INS)
    fields = vars(saved) if isinstance(saved, _Saved) else {}
    words = fields.get("index_to_key", fields.get("index2word"))
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise word_vectors.WordVectorError(
            f"{path}: is not a saved KeyedVectors; write one with `model.wv.save(..., sep_limit=2**40)`, in one file, "
            "or a word2vec file with `model.wv.save_word2vec_format(...)`"
        )
    arrays = [fields[name].value for name in ("vectors", "syn0") if isinstance(fields.get(name), pickles.Array)]
    if not arrays:
        raise word_vectors.WordVectorError(
            f"{path}: contains no vectors. gensim saved them in a second file ({path.name}.vectors.npy), and DVC would not notice when "
            "that file changes. Save all in one file: load it with `keyed = gensim.models.KeyedVectors.load(...)`, then save a word2vec "
            "file with `keyed.save_word2vec_format(..., binary=True)`, or a .kv file with `keyed.save(..., sep_limit=2**40)`"
        )
    matrix = arrays[0]
    if matrix.ndim != 2 or len(matrix) < len(words):
        raise word_vectors.WordVectorError(f"{path}: contains {len(words)} words but vectors of shape {matrix.shape}")
    if consume is not None:
        consume(matrix[: len(words)])
    rows = {word: row for row, word in enumerate(words)}
    return word_vectors.WordVectors(
        vectors={word: np.array(matrix[rows[word]], dtype=np.float32) for word in lookup_words if word in rows},
        vocabulary=tuple(words[: word_vectors.NEAR_VOCABULARY]),
    )

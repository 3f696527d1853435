"""Reading gensim's saved `KeyedVectors` (`.kv`), a pickle, without running its code."""

import pathlib
from collections.abc import Collection

import numpy as np

from zeroshot.words import arrays, pickles, word_vectors


class _Saved:
    """Stands in for the class of a saved object and receives its attributes."""


# The first name is of gensim 4, the others are of gensim 3.
_STAND_INS = {
    ("gensim.models.keyedvectors", name): _Saved
    for name in ("KeyedVectors", "Word2VecKeyedVectors", "EuclideanKeyedVectors", "Vocab")
}


def read(path: str | pathlib.Path, lookup_words: Collection[str]) -> word_vectors.WordVectors:
    """Read the vectors of the given words.

    gensim saves large arrays in `<file>.vectors.npy` in the same folder. They are memory-mapped, so that memory use is small.

    Raises:
        WordVectorError: if the file is not a saved KeyedVectors, or `<file>.vectors.npy` is missing.
        PickleError: if the pickle is damaged or contains anything but arrays and plain types.
    """
    path = pathlib.Path(path)
    saved = pickles.read(path, _STAND_INS)
    fields = vars(saved) if isinstance(saved, _Saved) else {}
    words = fields.get("index_to_key", fields.get("index2word"))
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise word_vectors.WordVectorError(
            f"{path}: is not a saved KeyedVectors; write one with `model.wv.save(...)` "
            "or a word2vec file with `model.wv.save_word2vec_format(...)`"
        )
    matrix, files = _matrix(path, fields)
    if matrix.ndim != 2 or len(matrix) < len(words):
        raise word_vectors.WordVectorError(f"{path}: contains {len(words)} words but vectors of shape {matrix.shape}")
    rows = {word: row for row, word in enumerate(words)}
    return word_vectors.WordVectors(
        vectors={word: np.array(matrix[rows[word]], dtype=np.float32) for word in lookup_words if word in rows},
        vocabulary=tuple(words[: word_vectors.NEAR_VOCABULARY]),
        files=files,
    )


def _matrix(path: pathlib.Path, fields: dict) -> tuple[np.ndarray, tuple[pathlib.Path, ...]]:
    for name in ("vectors", "syn0"):
        if isinstance(fields.get(name), pickles.Array):
            return fields[name].value, (path,)
        array_file = path.with_name(f"{path.name}.{name}.npy")
        if array_file.is_file():
            return arrays.map_npy(array_file), (path, array_file)
    raise word_vectors.WordVectorError(f"{path}: contains no vectors; put {path.name}.vectors.npy into the same folder")

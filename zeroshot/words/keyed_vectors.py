"""Reading gensim's saved `KeyedVectors` (`.kv`) without running the pickle that it is."""

import pathlib
from collections.abc import Collection

import numpy as np

from zeroshot.words import arrays, pickles, word_vectors


class _Saved:
    """Receives the attributes of a saved object."""


# gensim 4, then the names of gensim 3.
_STAND_INS = {
    ("gensim.models.keyedvectors", name): _Saved
    for name in ("KeyedVectors", "Word2VecKeyedVectors", "EuclideanKeyedVectors", "Vocab")
}


def read(path: str | pathlib.Path, wanted: Collection[str]) -> word_vectors.WordVectors:
    """Read the vectors of the `wanted` words.

    Large arrays lie beside the file, in `<file>.vectors.npy`; they are mapped, not loaded, so memory stays small.

    Raises:
        WordVectorError: if the file is no saved KeyedVectors, or its side file is missing.
        PickleError: if the pickle is damaged or asks for anything else than arrays.
    """
    path = pathlib.Path(path)
    saved = pickles.read(path, _STAND_INS)
    fields = vars(saved) if isinstance(saved, _Saved) else {}
    words = fields.get("index_to_key", fields.get("index2word"))
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise word_vectors.WordVectorError(
            f"{path}: is no saved KeyedVectors; write one with `model.wv.save(...)` "
            "or a word2vec file with `model.wv.save_word2vec_format(...)`"
        )
    matrix, files = _matrix(path, fields)
    if matrix.ndim != 2 or len(matrix) < len(words):
        raise word_vectors.WordVectorError(f"{path}: holds {len(words)} words but vectors of shape {matrix.shape}")
    rows = {word: row for row, word in enumerate(words)}
    return word_vectors.WordVectors(
        vectors={word: np.array(matrix[rows[word]], dtype=np.float32) for word in wanted if word in rows},
        vocabulary=tuple(words[: word_vectors.NEAR_VOCABULARY]),
        files=files,
    )


def _matrix(path: pathlib.Path, fields: dict) -> tuple[np.ndarray, tuple[pathlib.Path, ...]]:
    for name in ("vectors", "syn0"):
        if isinstance(fields.get(name), pickles.Array):
            return fields[name].value, (path,)
        side = path.with_name(f"{path.name}.{name}.npy")
        if side.is_file():
            return arrays.map_npy(side), (path, side)
    raise word_vectors.WordVectorError(f"{path}: has no vectors inside; {path.name}.vectors.npy must lie beside it")

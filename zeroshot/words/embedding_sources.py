"""Class vectors from any of the sources, before the background rule and the normalisation."""

import dataclasses
import pathlib
from collections.abc import Callable, Sequence

import numpy as np

from zeroshot.words import (
    arrays,
    class_embeddings,
    class_vectors,
    downloads,
    glove,
    vector_files,
    word2vec,
    word_vectors,
)

# Sources of class vectors that know no other words.
WITHOUT_VOCABULARY = ("matrix", "one_hot")


@dataclasses.dataclass(frozen=True)
class Source:
    """Class vectors as read from a source.

    Attributes:
        vectors: (C, d) float32 in label order.
        words: for each class, the words whose mean is its vector; empty for a matrix, for one-hot vectors and for a background that
            is not looked up.
        file: the file that was read. DVC hashes it as `embeddings.path`, or as a file in that folder.
        package: the name and version of the Python package that it belongs to, or None.
    """

    vectors: np.ndarray
    words: list[list[str]]
    file: pathlib.Path
    package: str | None = None

    def provenance(self, params: class_embeddings.Params) -> dict[str, str]:
        """Return text attributes for `class_embeddings.write`, none of which depends on the vectors."""
        attributes = {"source": params.source, "background": params.background, "normalise": params.normalise}
        return attributes | ({"package": self.package} if self.package else {})


def load(
    names: Sequence[str],
    path: str | pathlib.Path,
    params: class_embeddings.Params,
    track: word_vectors.Track = iter,
    consume: word_vectors.Consumer | None = None,
    arrange: Callable[[np.ndarray, Sequence[str], str], np.ndarray] | None = None,
) -> Source:
    """Read, train or make the vectors of the classes `names`.

    Args:
        names: C class names in label order, the background first.
        path: the corpus, the vector file, the matrix, the downloader's folder, or an empty file, depending on `params.source`.
        params: section `embeddings`.
        track: called with the epochs or the lines of a file, for a progress bar.
        consume: called with the vectors of all words of the source, among them those of no class; never by the sources
            `WITHOUT_VOCABULARY`.
        arrange: called with the matrix of source `matrix`, the names and the file's name; returns one row per class. Without it the
            rows must be in label order.

    Raises:
        errors.UserError: (a subclass) if the source cannot be read or does not match the names.
    """
    path = pathlib.Path(path)
    if not path.exists():
        raise word_vectors.WordVectorError(f"{path}: does not exist; set embeddings.path for source `{params.source}`")
    if path.is_dir() != (params.source == "downloader"):
        kind = "a folder" if params.source == "downloader" else "a file"
        raise word_vectors.WordVectorError(f"{path}: source `{params.source}` needs {kind}")
    if params.source in class_embeddings.WITHOUT_FILE and path.stat().st_size:
        raise word_vectors.WordVectorError(
            f"{path}: is not empty, as a file named none must be; `git restore` brings it back"
        )
    if params.source == "matrix":
        matrix = arrays.read(path)
        if arrange is not None:
            matrix = arrange(matrix, names, str(path))
        matrix = class_vectors.from_matrix(matrix, names, str(path), params.background)
        return Source(matrix, [[] for _ in names], path)
    if params.source == "one_hot":
        return Source(np.eye(len(names), dtype=np.float32), [[] for _ in names], path)
    if params.source == "downloader":
        path = downloads.fetch(path, str(params.name))
    looked_up = names if params.background == "vector" else names[1:]
    words = _words(path, class_vectors.lookup_words(looked_up, params.aliases), params, track, consume)
    vectors, used = class_vectors.combine(names, words, params.aliases, params.background)
    if params.source == "glove":
        return Source(vectors, used, glove.matrix_path(), glove.version())
    return Source(vectors, used, path)


def _words(
    path: pathlib.Path,
    lookup_words: set[str],
    params: class_embeddings.Params,
    track: word_vectors.Track,
    consume: word_vectors.Consumer | None,
) -> word_vectors.WordVectors:
    if params.source == "word2vec":
        return word2vec.train(
            path,
            lookup_words,
            dim=params.dim,
            window=params.window,
            min_count=params.min_count,
            epochs=params.epochs,
            negative=params.negative,
            seed=params.seed,
            track=track,
            consume=consume,
        )
    if params.source == "glove":
        return glove.read(lookup_words, consume)
    return vector_files.read(path, lookup_words, track, consume)

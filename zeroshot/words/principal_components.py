"""Class vectors reduced to few dimensions by principal components of the whole vocabulary (Doshi 2018, who has j = 20).

The thesis fits them on all vectors of word2vec, not on its classes. Its tool is unknown, and its own files for different j agree only
roughly in their first coordinates; here the components for a smaller j are the first ones for a larger j. Vectors are taken relative to
the mean of the vocabulary, as scikit-learn does. So does the thesis, it seems: at j = 200 its classes have a lower mean cosine (0.175 on
VOC) than their raw vectors (0.188).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import sklearn.decomposition

from zeroshot.base import errors, params
from zeroshot.words import embedding_sources, normalisation

# Words of one update: 40 MB at 300 dimensions. It must be more than the dimensions of any word vectors.
BATCH = 16_384
# A standard deviation below this share of the largest is the rounding of float32, and its direction is noise.
ROUNDING = 1e-6
KEPT = "vectors as they are, without principal components"


@params.section
class Params:
    """The `pca` section of szn/params.yaml, which documents every key."""

    dim: params.Count | None


class ReductionError(errors.UserError):
    """Raised if vectors cannot be reduced to `pca.dim` dimensions."""


class Reduction:
    """Principal components of a vocabulary, fitted while its source is read, and the reduction of class vectors to the first j.

    scikit-learn's `IncrementalPCA` keeps all d components after every batch. So the result is that of its `PCA` over the whole
    vocabulary, up to rounding in float64, and GoogleNews (3 million words, 3.6 GB) needs the memory of a batch and, on one slow core,
    five minutes. The batches have a fixed size, so that equal vectors give equal bytes, no matter in what portions they arrive. Each
    component has a fixed sign: its coordinate with the largest absolute value is positive.

    With j = d nothing is fitted, and vectors stay as they are.
    """

    def __init__(self, dim: int, where: str) -> None:
        """Prepare a reduction to `dim` = j dimensions; `where` is the source of the word vectors, for messages."""
        self.dim = dim
        self.where = where
        self.n_words = 0
        self._pca = sklearn.decomposition.IncrementalPCA(copy=False)
        self._batch = np.empty((0, 0))
        self._n_waiting = 0

    def add(self, vectors: np.ndarray) -> None:
        """Take the vectors of the next words, (n, d) of any float type.

        Raises:
            ReductionError: if j is larger than d, or a vector contains NaN or infinite numbers.
        """
        self._check_dim(vectors.shape[1])
        if vectors.shape[1] == self.dim:
            return
        if not self.n_words:
            self._batch = np.empty((BATCH, vectors.shape[1]))
        while len(vectors):
            portion = vectors[: BATCH - self._n_waiting]
            self._batch[self._n_waiting : self._n_waiting + len(portion)] = portion
            self._n_waiting += len(portion)
            self.n_words += len(portion)
            vectors = vectors[len(portion) :]
            if self._n_waiting == BATCH:
                self._update()

    def reduce(self, vectors: np.ndarray) -> np.ndarray:
        """Project vectors onto the first j components, relative to the mean of the vocabulary.

        The mean over the words of a name may be taken before or after, since the projection is affine.

        Args:
            vectors: (C, d) float32.

        Returns:
            (C, j) float32; `vectors` themselves if j = d.

        Raises:
            ReductionError: if j is larger than d or than the number of dimensions in which the vocabulary varies.
        """
        self._check_dim(vectors.shape[1])
        if vectors.shape[1] == self.dim:
            return vectors
        if self._n_waiting:
            self._update()
        deviations = np.asarray(self._pca.singular_values_)
        rank = int((deviations > ROUNDING * deviations[0]).sum())
        if self.dim > rank:
            raise ReductionError(
                f"pca.dim: is {self.dim}, but the {self.n_words:,} word vectors of {self.where} vary in {rank} dimensions only; "
                f"{f'set at most {rank}, or ' if rank else ''}null for the vectors as they are, or use a source with more words"
            )
        return self._pca.transform(vectors.astype(np.float64))[:, : self.dim].astype(np.float32)

    def components(self) -> dict[str, list[Any]] | None:
        """Return what `reduce` did, as plain numbers: the `mean` (d) and `components` (j, d); None where vectors stay as they are."""
        if not self.n_words:
            return None
        return {
            "mean": np.asarray(self._pca.mean_).tolist(),
            "components": np.asarray(self._pca.components_)[: self.dim].tolist(),
        }

    def describe(self) -> str:
        """Return in words what `reduce` did."""
        if not self.n_words:
            return KEPT
        share = np.asarray(self._pca.explained_variance_ratio_)[: self.dim].sum()
        return f"{self.dim} principal components of {self.n_words} words, with {100 * share:.1f} % of their variance"

    def _check_dim(self, largest: int) -> None:
        if self.dim > largest:
            raise ReductionError(
                f"pca.dim: is {self.dim}, but the word vectors of {self.where} have {largest} dimensions; set at most {largest}, or null "
                "for the vectors as they are"
            )

    def _update(self) -> None:
        batch = self._batch[: self._n_waiting]
        finite = np.isfinite(batch).all(axis=1)
        if not finite.all():
            word = self.n_words - len(batch) + int(np.flatnonzero(~finite)[0]) + 1
            raise ReductionError(
                f"{self.where}: the vector of word {word:,} contains NaN or infinite numbers, so no principal components can be fitted; "
                "correct the source"
            )
        # A vocabulary of one word, or of equal vectors, has no variance to divide by; `reduce` refuses it.
        with np.errstate(invalid="ignore", divide="ignore"):
            self._pca.partial_fit(batch)
        self._n_waiting = 0


def start(params: Params, source: str, where: str) -> Reduction | None:
    """Return the reduction that the section `pca` asks for, or None if vectors stay as they are.

    Args:
        params: section `pca`.
        source: key `source` of the section `embeddings`.
        where: the file of the source, for messages.

    Raises:
        ReductionError: if the source has no vocabulary to fit components to.
    """
    if params.dim is None:
        return None
    if source in embedding_sources.WITHOUT_VOCABULARY:
        raise ReductionError(
            f"pca.dim: is {params.dim}, but embeddings.source={source} has no vocabulary to fit principal components to; set pca.dim: "
            "null, which takes the vectors as they are"
        )
    return Reduction(params.dim, where)


def check_classes(full: np.ndarray, reduced: np.ndarray, names: Sequence[str], where: str) -> str | None:
    """Check that the class vectors can be used, and return a warning if few dimensions make classes indistinguishable.

    Two classes with one direction *before* the reduction are a fault of the source, as in the main pipeline. After it they follow from
    the chosen j: in one dimension there are two directions only. The thesis compares j from 1 on, so that is no error. The nearest class
    by cosine is then the one with the lowest label of its direction; only the squared error of the loss `mse`, which depends on lengths,
    still tells the classes apart.

    Args:
        full: (C, d) float32, finished vectors without reduction; with d = 1, as in a ready matrix, their directions are only warned of.
        reduced: (C, j) float32, finished vectors for use.
        names: C class names.
        where: the file of the source, for messages.

    Raises:
        class_vectors.ClassVectorError: if d > 1 and classes have a zero vector, or the same direction, in `full`.
        ReductionError: if a class other than the background has a zero vector in `reduced`.
    """
    if full.shape[1] > 1:
        normalisation.check_distinct(full, names, where)
    zero = normalisation.without_direction(reduced, names)
    if zero:
        raise ReductionError(
            f"{where}: the {reduced.shape[1]}-d vectors of {', '.join(zero)} are zero, and have no direction; set pca.dim to more "
            "dimensions or correct the source"
        )
    alike = {name for pair in normalisation.same_direction(reduced, names) for name in pair}
    if not alike:
        return None
    return (
        f"{len(alike)} of {len(names)} classes have the direction of another class in {reduced.shape[1]} dimension"
        f"{'s' if reduced.shape[1] > 1 else ''}, so cosines cannot tell them apart; more dimensions can"
    )

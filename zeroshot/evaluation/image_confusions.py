"""The confusion matrix of every evaluation image, sparse: from it follow the metrics, and how much they depend on the choice of images."""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence

import h5py
import numpy as np
import scipy.sparse

from zeroshot.base import hdf5, storage


@dataclasses.dataclass(frozen=True)
class ImageConfusions:
    """Counts of pixels by image, true class and predicted class.

    Attributes:
        images: ids of the n images.
        n_classes: C.
        counts: by protocol, sparse (n, C * C) int64; entry (image, truth * C + prediction).
    """

    images: tuple[str, ...]
    n_classes: int
    counts: dict[str, scipy.sparse.csr_matrix]

    def total(self, protocol: str) -> np.ndarray:
        """Return the confusion matrix (C, C) int64 of all images together."""
        return np.asarray(self.counts[protocol].sum(axis=0), np.int64).reshape(self.n_classes, self.n_classes)


def by_truth(confusions: ImageConfusions, labels_of: Mapping[str, Sequence[int]]) -> scipy.sparse.csr_matrix:
    """Return the matrices (n, C * C) int64 that take the rows of some true classes from one protocol, and those of others from another.

    Args:
        confusions: the matrices.
        labels_of: protocol -> the label ids of the true classes that are taken from it; at least one protocol.
    """
    parts = []
    for protocol, labels in labels_of.items():
        counts = confusions.counts[protocol].tocoo()
        kept = np.isin(counts.col // confusions.n_classes, list(labels))
        entries = (counts.data[kept], (counts.row[kept], counts.col[kept]))
        parts.append(scipy.sparse.csr_matrix(entries, shape=counts.shape))
    return sum(parts[1:], parts[0])


def stack(
    images: Sequence[str], matrices: Sequence[Mapping[str, scipy.sparse.csr_matrix]], n_classes: int
) -> ImageConfusions:
    """Return the matrices (1, C * C) of single images, by protocol, as one."""
    names = matrices[0] if matrices else ()
    counts = {name: scipy.sparse.vstack([one[name] for one in matrices], format="csr") for name in names}
    return ImageConfusions(tuple(images), n_classes, counts)


def write(path: str | pathlib.Path, confusions: ImageConfusions) -> None:
    """Write the matrices to an HDF5 file; equal matrices give equal bytes."""
    with storage.replacing(pathlib.Path(path)) as temporary, hdf5.writing(temporary) as file:
        file.attrs["n_classes"] = confusions.n_classes
        file.create_dataset("images", data=[image.encode() for image in confusions.images], track_times=False)
        for name, matrix in confusions.counts.items():
            for part in ("data", "indices", "indptr"):
                values = getattr(matrix, part).astype(np.int64)
                file.create_dataset(f"{name}/{part}", data=values, compression="gzip", track_times=False)


def read(path: str | pathlib.Path) -> ImageConfusions:
    """Read what `write` wrote."""
    with hdf5.reading(pathlib.Path(path)) as file:
        images = tuple(image.decode() for image in file["images"][:])
        n_classes = int(file.attrs["n_classes"])
        shape = (len(images), n_classes**2)
        parts = ("data", "indices", "indptr")
        counts = {
            name: scipy.sparse.csr_matrix(tuple(group[part][:] for part in parts), shape=shape)
            for name, group in file.items()
            if isinstance(group, h5py.Group)
        }
    return ImageConfusions(images, n_classes, counts)

"""Class embeddings: one vector per class in label order, their file, and the table of nearest classes."""

import csv
import dataclasses
import io
import json
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Literal

import numpy as np
import pydantic

from zeroshot.base import errors, hdf5, params, storage, text_files

# What makes a file of class vectors again.
_REMEDY = "`dvc repro embed_classes`, that of SZN or ZSI with `dvc repro szn/dvc.yaml:embed` or `dvc repro zsi/dvc.yaml:embed`"
# Sources that read no file -> what they do instead. DVC needs a path, so theirs is that of an empty file.
WITHOUT_FILE = {
    "glove": "reads an installed package (source `vectors` reads a file of GloVe)",
    "one_hot": "makes the vectors itself",
}

Words = Annotated[tuple[str, ...], pydantic.Field(min_length=1)]
# With the tags, messages have the faults of one kind, not of both.
Alias = Annotated[
    Annotated[str, pydantic.Tag("text")] | Annotated[Words, pydantic.Tag("words")],
    pydantic.Discriminator(lambda value: "words" if isinstance(value, list | tuple) else "text"),
]


@params.section
class Params:
    """The `embeddings` section of params.yaml, which documents every key."""

    source: Literal["word2vec", "glove", "vectors", "downloader", "matrix", "one_hot"]
    path: params.DataPath
    name: str | None
    normalise: Literal["none", "unit", "largest"]
    dim: params.Count
    seed: params.Seed
    aliases: dict[str, Alias]
    background: Literal["vector", "zero", "mean"]
    window: params.Count
    min_count: params.Count
    epochs: params.Count
    negative: params.Count

    @pydantic.field_validator("path")
    @classmethod
    def _none_without_file(cls, path: str, info: pydantic.ValidationInfo) -> str:
        source = info.data.get("source")
        if source in WITHOUT_FILE and pathlib.PurePath(path).name != "none":
            raise ValueError(
                f"source `{source}` {WITHOUT_FILE[source]}, so path must be data/pretrained/none, an empty file, not {path}"
            )
        return path

    @pydantic.field_validator("aliases")
    @classmethod
    def _composed_names(cls, aliases: dict[str, str | Words]) -> dict[str, str | Words]:
        # Class names are read with composed accents.
        return {text_files.normalise(name): words for name, words in aliases.items()}

    @pydantic.field_validator("name")
    @classmethod
    def _required_by_downloader(cls, name: str | None, info: pydantic.ValidationInfo) -> str | None:
        if info.data.get("source") == "downloader" and not name:
            raise ValueError("source `downloader` needs the name of a gensim-downloader model")
        return name


class EmbeddingsError(errors.UserError):
    """Raised if a file of class embeddings cannot be used."""


@dataclasses.dataclass(frozen=True)
class ClassEmbeddings:
    """One vector per class.

    Attributes:
        names: C class names in label order.
        vectors: (C, d) float32; the row index is the label id.
    """

    names: tuple[str, ...]
    vectors: np.ndarray


def write(path: str | pathlib.Path, embeddings: ClassEmbeddings, provenance: Mapping[str, str]) -> None:
    """Write class embeddings as HDF5; equal arguments give equal bytes.

    Args:
        path: the file, replaced atomically.
        embeddings: the names and vectors.
        provenance: text attributes with the origin of the vectors, for human readers only.
    """
    with storage.replacing(path) as temporary, hdf5.writing(temporary) as file:
        vectors = np.ascontiguousarray(embeddings.vectors, dtype="<f4")
        dataset = file.create_dataset("vectors", data=vectors, dtype="<f4", track_times=False)
        # The names are a dataset of bytes, not HDF5's text of variable length: where such a text is damaged, the library never returns.
        names = np.frombuffer(json.dumps(list(embeddings.names)).encode(), np.uint8)
        file.create_dataset("names", data=names, track_times=False)
        for key in sorted(provenance):
            dataset.attrs[key] = provenance[key]


def read(path: str | pathlib.Path) -> ClassEmbeddings:
    """Read a file made by `write`.

    Raises:
        EmbeddingsError: if the file is missing, damaged or not a file of class embeddings.
    """
    try:
        with hdf5.reading(path) as file:
            vectors = np.asarray(file["vectors"][()], np.float32)
            names = tuple(json.loads(file["names"][()].tobytes()))
    except hdf5.HDF5Error as error:
        raise EmbeddingsError(str(error)) from None
    except (TypeError, ValueError) as error:
        raise EmbeddingsError(f"{path}: contains no class embeddings ({error}); make it with {_REMEDY}") from None
    if vectors.ndim != 2 or len(vectors) != len(names):
        raise EmbeddingsError(
            f"{path}: contains {len(names)} names but vectors of shape {vectors.shape}; delete it, and make it with {_REMEDY}"
        )
    return ClassEmbeddings(names, vectors)


def read_of(path: pathlib.Path, names: Sequence[str]) -> np.ndarray | None:
    """Read the vectors of exactly these classes, or None from an empty file.

    Args:
        path: a file made by `write`, or an empty file.
        names: c class names.

    Returns:
        (c, d) float32; None if the file is empty.

    Raises:
        EmbeddingsError: for the reasons of `read`, or if the file has other classes or another order of classes.
    """
    if path.is_file() and not path.stat().st_size:
        return None
    embeddings = read(path)
    if embeddings.names != tuple(names):
        raise EmbeddingsError(
            f"{path}: contains vectors of {', '.join(embeddings.names)}; needed are those of {', '.join(names)}"
        )
    return embeddings.vectors


def read_rows(path: pathlib.Path, names: Sequence[str]) -> np.ndarray:
    """Read the vectors of some classes by name.

    Args:
        path: a file made by `write`, which may have more classes.
        names: c class names.

    Returns:
        (c, d) float32.

    Raises:
        EmbeddingsError: for the reasons of `read`, or if the file lacks a class; the text names all that it lacks.
    """
    embeddings = read(path)
    rows = {name: row for row, name in enumerate(embeddings.names)}
    missing = [name for name in names if name not in rows]
    if missing:
        raise EmbeddingsError(
            f"{path}: contains no vectors of {', '.join(missing[: errors.MAX_LISTED])}; make it again with {_REMEDY}"
        )
    return embeddings.vectors[[rows[name] for name in names]]


NEIGHBOUR_COLUMNS = ("class", "rank", "neighbour", "cosine")


def nearest(classes: ClassEmbeddings, n: int = 5) -> Iterator[tuple[str, int, str, float]]:
    """Yield (class, rank from 1, neighbour, cosine) for the `n` nearest other classes of every class, in label order.

    Cosines are rounded to six decimals before ranking, and the lower label wins a tie. A zero vector has no direction, so its class
    has no neighbours and is not a neighbour of any class.
    """
    vectors = classes.vectors.astype(np.float64)
    norms = np.linalg.norm(vectors, axis=1)
    labels = np.flatnonzero(norms)
    unit = vectors[labels] / norms[labels, None]
    cosines = np.round(unit @ unit.T, 6) + 0.0  # (C, C); adding zero turns -0.0 into 0.0
    np.fill_diagonal(cosines, -np.inf)
    for row, label in zip(cosines, labels, strict=True):
        order = np.argsort(-row, kind="stable")[: min(n, len(labels) - 1)]
        for rank, other in enumerate(order, 1):
            yield classes.names[label], rank, classes.names[labels[other]], float(row[other])


def neighbours_csv(classes: ClassEmbeddings) -> str:
    """Return the neighbour table as CSV text with the header `NEIGHBOUR_COLUMNS`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(NEIGHBOUR_COLUMNS)
    writer.writerows((name, rank, other, f"{cosine:.6f}") for name, rank, other, cosine in nearest(classes))
    return text.getvalue()

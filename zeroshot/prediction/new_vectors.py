"""Vectors of new classes, from the source that the vectors of a model's classes came from."""

import functools
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from zeroshot.base import errors, params
from zeroshot.images import label_ids
from zeroshot.prediction import model
from zeroshot.words import class_embeddings, embedding_sources, normalisation, word_vectors

# Least cosine of the vector of an old class with the one that the model was trained with. Other sources, and sources trained with other
# options, are below; rounding is far above.
_SAME_SOURCE = 0.99
_REMEDY = "give the same source in --vectors"


def with_aliases(embeddings: dict[str, Any], aliases: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    """Return the section `embeddings` with the words of further classes."""
    return {
        **embeddings,
        "aliases": {**embeddings["aliases"], **{name: list(words) for name, words in aliases.items()}},
    }


def make(
    embeddings: dict[str, Any],
    stored: np.ndarray,
    old: Sequence[str],
    new: Sequence[str],
    aliases: Mapping[str, tuple[str, ...]],
    path: pathlib.Path | None,
    track: word_vectors.Track,
    components: model.Components | None = None,
) -> tuple[np.ndarray, dict[str, list[str]]]:
    """Return the vectors (C + n, d_a) float32 of the old and the new classes, and the words of each new class by name.

    Args:
        embeddings: the section `embeddings` of the model.
        stored: (C, d_a) float32, the vectors of the old classes, which stay as they are.
        old: their names.
        new: names of the n new classes.
        aliases: name of a new class -> the words to look up for it.
        path: the source; None: where it was when the model was trained.
        track: called with the epochs or the lines of the source, for a progress bar.
        components: principal components that the vectors were reduced to, or None.

    Raises:
        errors.UserError: if the source has no vector of a new class, has other vectors than the model was trained with, or a new class
            has the vector of another one.
    """
    if not new:
        return stored, {}
    options = params.build(with_aliases(embeddings, aliases), class_embeddings.Params, "embeddings", "model file")
    if options.source in embedding_sources.WITHOUT_VOCABULARY:
        raise errors.UserError(
            f"this model was trained with class vectors from embeddings.source={options.source}, which has no other words; train it with "
            "word vectors to add classes"
        )
    try:
        source = embedding_sources.load([*old, *new], path or options.path, options, track)
    except errors.UserError as error:
        raise errors.UserError(
            f"{error}\nFor a new class, give the words in --words, and the place of the vectors in --vectors"
        ) from error
    where, n = str(path or options.path), len(old)
    finish = functools.partial(normalisation.finish, background=options.background, normalise=options.normalise)
    vectors = source.vectors
    fits = components is None or vectors.shape[1] == len(components["mean"])
    if components is not None and fits:
        mean, axes = components["mean"].numpy(), components["components"].numpy()
        vectors = ((vectors - mean) @ axes.T).astype(np.float32)
    found = finish(vectors[:n], old)
    if not fits or found.shape != stored.shape:
        raise errors.UserError(f"{where}: has vectors of another length than the model was trained with; {_REMEDY}")
    cosines = (found * stored).sum(1) / np.maximum(
        np.linalg.norm(found, axis=1) * np.linalg.norm(stored, axis=1), 1e-12
    )
    cosines[np.linalg.norm(stored, axis=1) == 0] = 1.0
    if options.background == "mean":
        # The mean was taken over the classes of the training.
        cosines[label_ids.BACKGROUND] = 1.0
    if cosines.min() < _SAME_SOURCE:
        raise errors.UserError(
            f"{where}: has other vectors than the model was trained with, for example for `{old[int(cosines.argmin())]}`; {_REMEDY}"
        )
    further = normalisation.finish_further(vectors[n:], new, vectors[:n], options.background, options.normalise)
    # Few principal components may give different words one direction, which is no fault of the source.
    whole = np.concatenate([finish(source.vectors[:n], old), source.vectors[n:]])
    normalisation.check_distinct(whole, [*old, *new], where)
    return np.concatenate([stored, further]), dict(zip(new, source.words[n:], strict=True))

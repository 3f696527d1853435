"""Classes added to a model by their names, and classes removed from it."""

import collections
import dataclasses
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from zeroshot.base import errors, params
from zeroshot.cache import pools
from zeroshot.figures import colours
from zeroshot.images import label_ids
from zeroshot.pixel_classifiers import pixel_classifier
from zeroshot.prediction import accuracy, model
from zeroshot.words import class_embeddings, embedding_sources, normalisation, word_vectors
from zeroshot.zs3net.classifiers import fine_tuning, new_classes
from zeroshot.zs3net.generators import registry

# Least cosine of the vector of an old class with the one that the model was trained with. Other sources, and sources trained with other
# options, are below; rounding is far above.
_SAME_SOURCE = 0.99


@dataclasses.dataclass(frozen=True)
class Extended:
    """A model with new classes.

    Attributes:
        content: the entries of its model file.
        words: name of each new class -> the words whose mean is its vector; a class that comes back has the vector that it had.
        before: name of each old class -> share of its features that the old model labels right, in per cent.
        after: the same for all classes and the new model.
        losses: of old classes to new ones, as in `accuracy.losses`.
    """

    content: dict[str, Any]
    words: dict[str, list[str]]
    before: dict[str, float]
    after: dict[str, float]
    losses: tuple[accuracy.Loss, ...]


def add(
    content: dict[str, Any],
    names: Sequence[str],
    aliases: Mapping[str, tuple[str, ...]],
    vectors_path: pathlib.Path | None,
    track: word_vectors.Track = iter,
    follow: Callable[[Iterator[Any], int], Iterator[Any]] = lambda epochs, n: epochs,
) -> Extended:
    """Add classes to a model: word vector, synthetic features, rows of the last layer, bias (paper section 2.2, step 2).

    A class that was removed comes back with its label id.

    The rows of the old classes stay as they are. The new classes get the bias that cross-validation found for classes which are known from
    synthetic features alone.

    Args:
        content: the entries of the model file.
        names: of the new classes.
        aliases: name of a new class -> the words to look up for it.
        vectors_path: the source of word vectors; None: where it was when the model was trained.
        track: called with the epochs or the lines of the source, for a progress bar.
        follow: called with the epochs of the training and their number, for a progress bar.

    Raises:
        errors.UserError: if the model cannot learn classes, has one of the names, or the word vectors do not have them.
    """
    ingredients = content["ingredients"]
    if ingredients is None:
        raise errors.UserError(
            "this model has no generator, so it cannot learn a class from its name; use the model of zs3net or zs5net"
        )
    old = pixel_classifier.PixelClassifier(**content["classifier"])
    old_names = content["names"]
    _check_names([old_names[label] for label in sorted(old.labels.tolist())], names)
    further = [name for name in names if name not in old_names]
    back = [name for name in aliases if name not in further]
    if back:
        raise errors.UserError(
            f"--words: `{back[0]}` comes back with the vector that it had; add it under another name"
        )
    checkpoint = ingredients["generator"]
    vectors, words = _vectors(ingredients["embeddings"], old_names, further, aliases, vectors_path, checkpoint, track)
    generator = registry.load_dict({**checkpoint, "embeddings": torch.from_numpy(vectors)}, torch.device("cpu"))
    pool = pools.Pool(**ingredients["pool"])
    real = pools.restrict(pool, torch.isin(pool.labels.repeat_interleave(pool.starts.diff()), old.labels))
    options = params.build(ingredients["classifier"], fine_tuning.Params, "classifier", "model file")
    everyone = [*old_names, *further]
    labels = [everyone.index(name) for name in names]
    epochs = follow(new_classes.add(old, real, generator, labels, options), options.epochs)
    ((_, trained),) = collections.deque(epochs, maxlen=1)
    trained = _with_bias(trained, labels, ingredients["seen_bias"] - old.seen_bias)
    changed = {
        "names": everyone,
        "colours": torch.from_numpy(colours.colours(len(everyone)).copy()),
        "classifier": dataclasses.asdict(trained),
        "figures": None,
        "ingredients": {
            **ingredients,
            "generator": {**checkpoint, "embeddings": torch.from_numpy(vectors)},
            "embeddings": _with_aliases(ingredients["embeddings"], aliases),
        },
    }
    features = accuracy.features(trained.labels.tolist(), real, generator)
    return Extended(
        {**content, **changed},
        {name: words.get(name, []) for name in names},
        accuracy.shares(old, features, everyone),
        accuracy.shares(trained, features, everyone),
        tuple(accuracy.losses(old, trained, features, everyone, torch.from_numpy(vectors))),
    )


def remove(content: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Return the entries of a model without some classes. The label ids of the others stay as they are.

    Raises:
        errors.UserError: if the model has no class of a name, or one is the background.
    """
    classifier = pixel_classifier.PixelClassifier(**content["classifier"])
    present = sorted(classifier.labels.tolist())
    gone = model.labels_of(content["names"], present, names)
    if label_ids.BACKGROUND in gone:
        raise errors.UserError(f"`{content['names'][label_ids.BACKGROUND]}` is the background, which every model has")
    left = classifier.of([label for label in present if label not in gone])
    return {**content, "classifier": dataclasses.asdict(left), "figures": None}


def _check_names(old: Sequence[str], new: Sequence[str]) -> None:
    twice = [name for number, name in enumerate(new) if name in new[:number]]
    known = [name for name in new if name in old]
    if known:
        raise errors.UserError(
            f"the model has {', '.join(f'`{name}`' for name in known)} already; to learn a class again, remove it first"
        )
    if twice or not all(new):
        raise errors.UserError(f"each new class needs a name of its own, found {', '.join(map(repr, new))}")


def _with_aliases(embeddings: dict[str, Any], aliases: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    return {
        **embeddings,
        "aliases": {**embeddings["aliases"], **{name: list(words) for name, words in aliases.items()}},
    }


def _vectors(
    embeddings: dict[str, Any],
    old: Sequence[str],
    new: Sequence[str],
    aliases: Mapping[str, tuple[str, ...]],
    path: pathlib.Path | None,
    checkpoint: dict[str, Any],
    track: word_vectors.Track,
) -> tuple[np.ndarray, dict[str, list[str]]]:
    """Return the vectors (C + n, d_a) float32 of the old and the new classes, and the words of each new class by name."""
    if not new:
        return checkpoint["embeddings"].numpy(), {}
    options = params.build(_with_aliases(embeddings, aliases), class_embeddings.Params, "embeddings", "model file")
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
    n = len(old)
    found = normalisation.finish(source.vectors[:n], old, options.background, options.normalise)
    stored = checkpoint["embeddings"].numpy()
    cosines = (found * stored).sum(1) / np.maximum(
        np.linalg.norm(found, axis=1) * np.linalg.norm(stored, axis=1), 1e-12
    )
    cosines[np.linalg.norm(stored, axis=1) == 0] = 1.0
    if options.background == "mean":
        # The mean was taken over the classes of the training.
        cosines[label_ids.BACKGROUND] = 1.0
    if found.shape != stored.shape or cosines.min() < _SAME_SOURCE:
        raise errors.UserError(
            f"{path or options.path}: has other vectors than the model was trained with, for example for `{old[int(cosines.argmin())]}`; "
            "give the same source in --vectors"
        )
    further = normalisation.finish_further(
        source.vectors[n:], new, source.vectors[:n], options.background, options.normalise
    )
    vectors = np.concatenate([stored, further])
    normalisation.check_distinct(vectors, [*old, *new], str(path or options.path))
    return vectors, dict(zip(new, source.words[n:], strict=True))


def _with_bias(
    classifier: pixel_classifier.PixelClassifier, labels: Sequence[int], bias: float
) -> pixel_classifier.PixelClassifier:
    """Return the classifier with `bias` added to the logits of some classes."""
    chosen = torch.isin(classifier.labels, torch.tensor(list(labels)))
    return dataclasses.replace(classifier, bias=classifier.bias + bias * chosen)

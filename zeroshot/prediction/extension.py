"""Classes added to a model by their names, and classes removed from it."""

import collections
import dataclasses
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch.nn import functional

from zeroshot.base import errors, params
from zeroshot.cache import pools
from zeroshot.figures import colours
from zeroshot.images import label_ids
from zeroshot.pixel_classifiers import masked_classifier, pixel_classifier
from zeroshot.prediction import accuracy, model, new_vectors
from zeroshot.szn import joint_embedding
from zeroshot.words import word_vectors
from zeroshot.zs3net.classifiers import fine_tuning, new_classes
from zeroshot.zs3net.generators import registry

# Called with the epochs of a training and their number, for a progress bar.
Follow = Callable[[Iterator[Any], int], Iterator[Any]]


@dataclasses.dataclass(frozen=True)
class Extended:
    """A model with new classes.

    Attributes:
        content: the entries of its model file.
        words: name of each new class -> the words whose mean is its vector; a class that comes back has the vector that it had.
        before: name of each old class -> share of its features that the old model labels right, in per cent; empty for szn.
        after: the same for all classes and the new model.
        losses: of old classes to new ones, as in `accuracy.losses`.
        nearest: of models of szn, name of each new class -> the other class with the nearest vector, and the cosine of the two.
    """

    content: dict[str, Any]
    words: dict[str, list[str]]
    before: dict[str, float]
    after: dict[str, float]
    losses: tuple[accuracy.Loss, ...]
    nearest: dict[str, tuple[str, float]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class _Request:
    """The classes to add.

    Attributes:
        names: of the new classes.
        labels: their label ids; a class that was removed comes back with its own.
        everyone: the names of all classes, old, removed and new, in label order.
        further: the names that the model never had.
        aliases, vectors_path, track, follow: as in `add`.
    """

    names: Sequence[str]
    labels: list[int]
    everyone: list[str]
    further: list[str]
    aliases: Mapping[str, tuple[str, ...]]
    vectors_path: pathlib.Path | None
    track: word_vectors.Track
    follow: Follow


def check_out(path: pathlib.Path, out: pathlib.Path) -> None:
    """Check that the new model would not replace the one that it is made from.

    Raises:
        errors.UserError: if both are one file.
    """
    if out.exists() and path.exists() and out.samefile(path):
        raise errors.UserError(f"--out: {out} is the model itself, which would be replaced; give another file")


def add(
    content: dict[str, Any],
    names: Sequence[str],
    aliases: Mapping[str, tuple[str, ...]],
    vectors_path: pathlib.Path | None,
    track: word_vectors.Track = iter,
    follow: Follow = lambda epochs, n: epochs,
) -> Extended:
    """Add classes to a model by their names. The rows of the old classes stay as they are.

    A class that was removed comes back with its label id. In models of zs3net it is then a class without masks.

    zs3net: word vector, synthetic features, rows of the last layer, bias (paper section 2.2, step 2). The new classes get the bias that
    cross-validation found for classes which are known from synthetic features alone.

    szn: a row is the product of the class vector and the embedding head, and nothing is trained. A new class is on the unseen side; one
    that comes back has the role that it had.

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
            "this model has no generator and no class vectors, so it cannot learn a class from its name; use the model of zs3net, zs5net "
            "or szn"
        )
    classifier, old_names = model.classifier_of(content), content["names"]
    _check_names([old_names[label] for label in sorted(classifier.labels.tolist())], names)
    further = [name for name in names if name not in old_names]
    back = [name for name in aliases if name not in further]
    if back:
        raise errors.UserError(
            f"--words: `{back[0]}` comes back with the vector that it had; add it under another name"
        )
    everyone = [*old_names, *further]
    labels = [everyone.index(name) for name in names]
    request = _Request(names, labels, everyone, further, aliases, vectors_path, track, follow)
    return _by_vectors(content, request) if "vectors" in ingredients else _by_generator(content, request)


def _by_generator(content: dict[str, Any], request: _Request) -> Extended:
    """Add classes to a model of zs3net."""
    ingredients, labels, everyone = content["ingredients"], request.labels, request.everyone
    old = pixel_classifier.PixelClassifier(**content["classifier"])
    checkpoint = ingredients["generator"]
    made, words = new_vectors.make(
        ingredients["embeddings"], checkpoint["embeddings"].numpy(), content["names"], request.further,
        request.aliases, request.vectors_path, request.track,
    )  # fmt: skip
    vectors = torch.from_numpy(made)
    generator = registry.load_dict({**checkpoint, "embeddings": vectors}, torch.device("cpu"))
    pool = pools.Pool(**ingredients["pool"])
    real = pools.restrict(pool, torch.isin(pool.labels.repeat_interleave(pool.starts.diff()), old.labels))
    options = params.build(ingredients["classifier"], fine_tuning.Params, "classifier", "model file")
    epochs = request.follow(new_classes.add(old, real, generator, labels, options), options.epochs)
    ((_, trained),) = collections.deque(epochs, maxlen=1)
    trained = _with_bias(trained, labels, ingredients["seen_bias"] - old.seen_bias)
    changed = {
        "generator": {**checkpoint, "embeddings": vectors},
        "embeddings": new_vectors.with_aliases(ingredients["embeddings"], request.aliases),
    }
    features = accuracy.features(trained.labels.tolist(), real, generator)
    return Extended(
        _changed(content, everyone, trained, changed),
        {name: words.get(name, []) for name in request.names},
        accuracy.shares(old, features, everyone),
        accuracy.shares(trained, features, everyone),
        tuple(accuracy.losses(old, trained, features, everyone, vectors)),
    )


def _by_vectors(content: dict[str, Any], request: _Request) -> Extended:
    """Add classes to a model of szn."""
    ingredients, labels = content["ingredients"], request.labels
    old = model.classifier_of(content)
    made, words = new_vectors.make(
        ingredients["embeddings"], ingredients["vectors"].numpy(), content["names"], request.further,
        request.aliases, request.vectors_path, request.track, ingredients["pca"],
    )  # fmt: skip
    vectors = torch.from_numpy(made)
    head = content["backbone"]["network"]
    unseen = [label for label in labels if label not in {*ingredients["train_seen"], *content["train_unseen"]}]
    seen = [label for label in labels if label not in unseen]
    rows = joint_embedding.of_labels(head["classifier.weight"], head["classifier.bias"], vectors, seen, unseen)
    on_unseen_side = ~torch.isin(rows.labels, torch.tensor(ingredients["train_seen"]))
    extended = _joined(old, rows, on_unseen_side)
    changed = {
        "vectors": vectors,
        "embeddings": new_vectors.with_aliases(ingredients["embeddings"], request.aliases),
    }
    return Extended(
        _changed(content, request.everyone, extended, changed),
        {name: words.get(name, []) for name in request.names},
        {},
        {},
        (),
        _nearest(request, vectors, extended.labels),
    )


def _joined(
    old: masked_classifier.Classifier, rows: pixel_classifier.PixelClassifier, on_unseen_side: torch.Tensor
) -> masked_classifier.Classifier:
    """Return a classifier with the rows of further classes, which are on the unseen side where `on_unseen_side` (n,) bool is true."""
    if isinstance(old, masked_classifier.MaskedClassifier):
        joined = _joined(old.classifier, rows, on_unseen_side)
        return dataclasses.replace(old, classifier=joined, unseen_side=torch.cat([old.unseen_side, on_unseen_side]))
    tensors = {
        name: torch.cat([getattr(old, name), getattr(rows, name)]) for name in ("weight", "bias", "labels", "unseen")
    }
    return dataclasses.replace(old, **tensors)


def _nearest(request: _Request, vectors: torch.Tensor, present: torch.Tensor) -> dict[str, tuple[str, float]]:
    """Return `Extended.nearest` of vectors (C, j) in label order and the label ids (n,) of the model."""
    unit = functional.normalize(vectors, dim=1)
    found = {}
    for name, label in zip(request.names, request.labels, strict=True):
        others = present[present != label]
        cosines = unit[others] @ unit[label]
        best = int(cosines.argmax())
        found[name] = (request.everyone[int(others[best])], float(cosines[best]))
    return found


def _changed(
    content: dict[str, Any],
    names: Sequence[str],
    classifier: masked_classifier.Classifier,
    ingredients: dict[str, Any],
) -> dict[str, Any]:
    """Return the entries of a model with other classes and changed ingredients."""
    return {
        **content,
        "names": list(names),
        "colours": torch.from_numpy(colours.colours(len(names)).copy()),
        "classifier": dataclasses.asdict(classifier),
        "figures": None,
        "ingredients": {**content["ingredients"], **ingredients},
    }


def remove(content: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Return the entries of a model without some classes. The label ids of the others stay as they are.

    Raises:
        errors.UserError: if the model has no class of a name, or one is the background.
    """
    classifier = model.classifier_of(content)
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


def _with_bias(
    classifier: pixel_classifier.PixelClassifier, labels: Sequence[int], bias: float
) -> pixel_classifier.PixelClassifier:
    """Return the classifier with `bias` added to the logits of some classes."""
    chosen = torch.isin(classifier.labels, torch.tensor(list(labels)))
    return dataclasses.replace(classifier, bias=classifier.bias + bias * chosen)

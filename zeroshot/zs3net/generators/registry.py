"""The generators that params.yaml can name; building, saving and loading them.

To add one, write a file beside this one with a subclass of `generator.Generator`, and add a line to GENERATORS. `mlp.py` is the
shortest example. The subclass has three methods:

    __init__(options, embeddings, feature_dim)
        Creates the untrained layers, on the CPU.
    sample(labels, random) -> Tensor
        Features (..., d) on `device` for labels (...,) int64; all noise comes from `random`.
    epochs(real, context) -> Iterator[dict]
        Trains in place and yields {epoch, loss, ...} after each epoch. `real` is the pool of features of seen classes; `context` is
        the places of its rows in their scenes (scenes.py), or None.

Stages, cross-validation and self-training then work with it unchanged. If it has its own parameters, they are a section dataclass in its
file and a field with its name in `Params`; it reads them with `self.section()`.
"""

import pathlib
from collections.abc import Sequence
from typing import Annotated, Any

import pydantic
import torch

from zeroshot.base import checkpoints, params, training, user_files
from zeroshot.zs3net.generators import gan, generator, graph, mlp

GENERATORS: dict[str, type[generator.Generator]] = {"mlp": mlp.MLP, "gan": gan.GAN, "graph": graph.GraphContext}


def check_name(name: str) -> str:
    """Return `name` if a generator has this name.

    Raises:
        ValueError: if none has.
    """
    if name not in GENERATORS:
        raise ValueError(f"there is no generator of this name; known are {', '.join(GENERATORS)}")
    return name


@params.section
class Params(generator.Options):
    """The section `gmmn`; see params.yaml."""

    generator: Annotated[str, pydantic.AfterValidator(check_name)]
    gan: gan.Params
    graph: graph.Params


class Checkpoint(checkpoints.Configured):
    """What `save_dict` returns."""

    feature_dim: int
    embeddings: torch.Tensor
    network: dict[str, Any]


def build(
    options: generator.Options, embeddings: torch.Tensor, feature_dim: int, device: torch.device
) -> generator.Generator:
    """Return the untrained generator that `options` name; its initial weights depend on `options.seed` alone.

    Args:
        options: the section `gmmn`.
        embeddings: (C, d_a) float32, of all classes in label order.
        feature_dim: d, the length of a feature.
        device: where to train it and to sample from it.
    """
    training.seed_torch(options.seed)
    return GENERATORS[options.generator](options, embeddings, feature_dim).to(device)


def save_dict(trained: generator.Generator) -> dict[str, Any]:
    """Return a generator as plain values and tensors for a checkpoint."""
    return {
        "config": params.to_dict(trained.options),
        "feature_dim": trained.feature_dim,
        "embeddings": trained.embeddings,
        "network": trained.state_dict(),
    }


def load(path: pathlib.Path, device: torch.device, classes: Sequence[str], dim: int) -> generator.Generator:
    """Read a generator from the file of train_gmmn, ready to sample.

    Args:
        path: the file.
        device: where to sample.
        classes: the names of the classes that it must generate, in label order.
        dim: the length of the features that it must generate.

    Raises:
        checkpoints.CheckpointError: if the file is missing, damaged, or a generator of other classes or features.
    """
    checkpoint = checkpoints.load(path, Checkpoint)
    fault = None
    if checkpoint["feature_dim"] != dim:
        fault = f"it generates features of length {checkpoint['feature_dim']}, and the cached ones have {dim}"
    elif checkpoint.get("classes", list(classes)) != list(classes) or len(checkpoint["embeddings"]) != len(classes):
        fault = "its classes are not those of the split"
    if fault:
        raise checkpoints.CheckpointError(f"{path}: is a generator of another run: {fault}; {user_files.REMEDY}")
    return load_dict(checkpoint, device)


def load_dict(checkpoint: dict[str, Any], device: torch.device) -> generator.Generator:
    """Rebuild a generator from what `save_dict` returned, ready to sample."""
    # Files of older versions of this code have no number format.
    config = {"precision": "float32", **checkpoint["config"]}
    options = params.build(config, Params, "gmmn", "generator checkpoint")
    loaded = build(options, checkpoint["embeddings"], checkpoint["feature_dim"], device)
    checkpoints.load_weights(loaded, checkpoint["network"], "generator checkpoint")
    loaded.train(options.sampling_dropout)
    return loaded

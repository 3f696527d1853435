"""Stage one of SZN: the network's parameters, its losses, and loading."""

from typing import Any, Literal

import pydantic
import torch
from torch.nn import functional

from zeroshot.base import errors, params
from zeroshot.networks import (
    augmentation,
    backbone,
    embedding_losses,
    optimisation,
    pretraining,
    segmentation_network,
    supervised_training,
    weights,
)
from zeroshot.pixel_classifiers import compatibility

SECTION = "network"
# The parameter with the learning rate.
LR_KEY = f"{SECTION}.lr"
# What the outputs are: a class vector (FCN-JE), or a score for each class (FCN-S).
Target = Literal["embedding", "softmax"]


@params.section
class Params:
    """The section `network` of szn/params.yaml, which documents every key."""

    encoder: weights.Encoder
    weights: params.DataPath
    pretraining: pretraining.Pretraining
    freeze: Literal["nothing", "stem", "encoder"]
    loss: Literal["cosine", "mse"]
    optimizer: Literal["adam", "sgd"]
    lr: params.Positive
    epochs: params.Count
    batch_size: params.Count
    seed: params.Seed
    augmentation: augmentation.Params | None
    bias_lr_multiplier: params.Positive
    momentum: params.Fraction
    weight_decay: params.NonNegative
    dropout: params.Fraction
    loss_at: Literal["image", "features"]
    repeat_threshold: params.Fraction
    output_stride: Literal[8, 16]
    separable: bool
    precision: Literal["float32", "bfloat16"]

    @pydantic.field_validator("batch_size")
    @classmethod
    def _batch_statistics(cls, batch_size: int, info: pydantic.ValidationInfo) -> int:
        encoder = info.data.get("encoder", "vgg16_fcn32s")
        if batch_size == 1 and encoder != "vgg16_fcn32s":
            raise ValueError(f"{encoder} has batch normalisation, which needs 2 images or more")
        return batch_size

    @pydantic.field_validator("augmentation")
    @classmethod
    def _one_size(cls, value: Any, info: pydantic.ValidationInfo) -> Any:
        if value is None and info.data.get("batch_size", 1) > 1:
            raise ValueError(
                "null gives whole images, which differ in size, so it needs batch_size: 1 (and encoder: vgg16_fcn32s)"
            )
        return value

    def recipe(self) -> optimisation.Recipe:
        """Return the recipe of training."""
        return optimisation.constant(self.optimizer, self.lr, self.bias_lr_multiplier, self.momentum, self.weight_decay)


class Checkpoint(backbone.Checkpoint):
    """The file of a trained network; `seen` and `names` are those of train_seen."""

    target: Target


def criterion(loss: str, vectors: torch.Tensor, names: tuple[str, ...]) -> supervised_training.Criterion:
    """Return the loss of outputs that are class vectors.

    Args:
        loss: `cosine`, one minus the cosine of output and class vector; or `mse`, their squared distance. Either is averaged over valid
            pixels; the mse is summed over channels.
        vectors: (c, j) float32 vectors of the classes of train_seen.
        names: their names, for errors.

    Raises:
        errors.UserError: if a vector is zero, and the loss is the cosine.
    """
    if loss == "mse":
        return embedding_losses.squared_error_criterion(vectors)
    zero = [name for name, vector in zip(names, vectors, strict=True) if not vector.any()]
    if zero:
        raise errors.UserError(
            f"{SECTION}.loss: is cosine, and the vectors of these classes are zero, which have no direction: {', '.join(zero)}; "
            "set embeddings.background to vector or mean, or the loss to mse"
        )
    return compatibility.cosine_criterion(functional.normalize(vectors, dim=1))


def warning(loss: str, dim: int) -> str | None:
    """Return a warning if outputs of this length cannot learn class vectors, else None.

    The cosine of two numbers is 1 or -1, so it has no gradient.
    """
    if loss == "cosine" and dim == 1:
        return f"{SECTION}.loss: is cosine, which has no gradient for vectors of length 1, so nothing is learnt; set pca.dim to 2 or more"
    return None


def load(checkpoint: dict[str, Any]) -> segmentation_network.SegmentationNetwork:
    """Rebuild a trained network from its checkpoint, in evaluation mode."""
    return backbone.load(checkpoint, Params, SECTION)

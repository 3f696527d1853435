"""Recipes of optimisation: the optimiser of a network, and its learning rate by step."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Literal

import torch

from zeroshot.base import training

# Parameters with their names.
Named = Sequence[tuple[str, torch.nn.Parameter]]


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How training changes the weights.

    Attributes:
        optimizer: makes the optimiser from the parameters of the encoder and all others. Each of its groups has `scale`, the factor on the
            learning rate.
        lr: returns the learning rate of a step, counted from 0, of a number of steps.
    """

    optimizer: Callable[[Named, Named], torch.optim.Optimizer]
    lr: Callable[[int, int], float]


def polynomial_sgd(lr: float, head_lr_multiplier: float, momentum: float, weight_decay: float) -> Recipe:
    """Return DeepLab's recipe: SGD with polynomial decay, and a factor on the learning rate of all parameters after the encoder."""

    def optimizer(encoder: Named, head: Named) -> torch.optim.Optimizer:
        groups = [
            {"params": [parameter for _, parameter in named], "scale": scale}
            for named, scale in ((encoder, 1.0), (head, head_lr_multiplier))
        ]
        return torch.optim.SGD(groups, lr=lr, momentum=momentum, weight_decay=weight_decay)

    return Recipe(optimizer, lambda step, total: lr * training.poly(step, total))


def constant(
    name: Literal["adam", "sgd"], lr: float, bias_lr_multiplier: float, momentum: float, weight_decay: float
) -> Recipe:
    """Return FCN's recipe: a constant learning rate, with a factor for biases, and no weight decay of biases.

    Args:
        name: the optimiser; Adam has PyTorch's default betas.
        lr: learning rate of all parameters but biases.
        bias_lr_multiplier: factor on the learning rate of biases.
        momentum: of SGD; Adam ignores it.
        weight_decay: of all parameters but biases.
    """

    def optimizer(encoder: Named, head: Named) -> torch.optim.Optimizer:
        named = [*encoder, *head]
        groups = [
            {
                "params": [parameter for key, parameter in named if (key.rpartition(".")[2] == "bias") == biases],
                "scale": bias_lr_multiplier if biases else 1.0,
                "weight_decay": 0.0 if biases else weight_decay,
            }
            for biases in (False, True)
        ]
        return torch.optim.Adam(groups, lr=lr) if name == "adam" else torch.optim.SGD(groups, lr=lr, momentum=momentum)

    return Recipe(optimizer, lambda step, total: lr)

"""Shared parts of the training loops: seeding, the learning-rate schedule, and the check that a loss is finite."""

import math

import numpy as np
import torch

from zeroshot.base import errors

# A last epoch whose loss is this many times that of an untrained model has diverged. A high learning rate that still learns stays near
# or below the untrained model; one that does not exceeds it a thousandfold within a few steps.
EXPLODED = 10.0


class DivergedError(errors.UserError):
    """Raised when a loss is not finite, or finite and exploded."""


def check_finite(loss: float, what: str, epoch: int, step: int, lr_key: str) -> float:
    """Return `loss` if it is finite.

    Args:
        loss: the loss of a step.
        what: the training, for the text.
        epoch: counted from 0.
        step: of the epoch, counted from 0.
        lr_key: the parameter with the learning rate of this training, for the text.

    Raises:
        DivergedError: if the loss is NaN or infinite; the text names the training, the epoch, the step and the key.
    """
    if not math.isfinite(loss):
        raise DivergedError(f"{what}: the loss is {loss} in epoch {epoch}, step {step}; lower {lr_key}")
    return loss


def check_not_exploded(loss: float, untrained: float, what: str, lr_key: str) -> None:
    """Refuse a training whose loss grew far above that of an untrained model.

    Args:
        loss: the mean over the last epoch.
        untrained: the loss before the first step, or that of a constant prediction. Losses below 10 are never refused.
        what: the training, for the text.
        lr_key: the parameter with the learning rate of this training, for the text.

    Raises:
        DivergedError: if the loss is more than `EXPLODED` times that of the untrained model; the text names the training and the key.
    """
    if loss > EXPLODED * max(untrained, 1.0):
        raise DivergedError(
            f"{what}: the loss of the last epoch is {loss:.3g}, and that of an untrained model {untrained:.3g}: the training diverged;"
            f" lower {lr_key}"
        )


def seed_torch(*entropy: int) -> None:
    """Seed torch's global generator (dropout, initial weights) with several non-negative integers, for example (seed, epoch)."""
    torch.manual_seed(int(np.random.SeedSequence(entropy).generate_state(1)[0]))


def poly(step: int, total: int, power: float = 0.9) -> float:
    """Return the learning-rate factor (1 - step / total) ** power, the polynomial decay of DeepLab."""
    return (1 - step / total) ** power

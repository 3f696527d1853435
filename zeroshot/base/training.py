"""Shared parts of the training loops: seeding, the learning-rate schedule, and the check that a loss is finite."""

import math

import numpy as np
import torch

from zeroshot.base import errors


class DivergedError(errors.UserError):
    """Raised when a loss is not finite."""


def check_finite(loss: float, what: str, epoch: int, step: int) -> float:
    """Return `loss` if it is finite.

    Raises:
        DivergedError: if the loss is NaN or infinite; the text names the training, the epoch and the step.
    """
    if not math.isfinite(loss):
        raise DivergedError(f"{what}: the loss is {loss} in epoch {epoch}, step {step}; lower the learning rate")
    return loss


def seed_torch(*entropy: int) -> None:
    """Seed torch's global generator (dropout, initial weights) with several non-negative integers, for example (seed, epoch)."""
    torch.manual_seed(int(np.random.SeedSequence(entropy).generate_state(1)[0]))


def poly(step: int, total: int, power: float = 0.9) -> float:
    """Return the learning-rate factor (1 - step / total) ** power, the polynomial decay of DeepLab."""
    return (1 - step / total) ** power

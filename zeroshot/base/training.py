"""What the training loops share: seeding, the learning-rate schedule, and the refusal of a loss that is no number."""

import math

import numpy as np
import torch

from zeroshot.base import errors


class DivergedError(errors.UserError):
    """Raised when a loss is not finite."""


def check_finite(loss: float, what: str, epoch: int, step: int) -> float:
    """Return `loss`, or raise DivergedError naming the training, the epoch and the step."""
    if not math.isfinite(loss):
        raise DivergedError(f"{what}: the loss is {loss} in epoch {epoch}, step {step}; lower the learning rate")
    return loss


def seed_torch(*entropy: int) -> None:
    """Seed torch's global generator (dropout, initial weights) from several non-negative integers, for example (seed, epoch)."""
    torch.manual_seed(int(np.random.SeedSequence(entropy).generate_state(1)[0]))


def poly(step: int, total: int, power: float = 0.9) -> float:
    """Return the polynomial decay (1 - step / total) ** power of DeepLab's recipe."""
    return (1 - step / total) ** power

"""A section of parameters with a value of every kind."""

from typing import Literal

from zeroshot.base import params


@params.section
class Kernel:
    """A section within the section."""

    kind: Literal["gaussian", "laplace"]
    bandwidths: tuple[params.Positive, ...]


@params.section
class Options:
    """The section, named `train` in errors."""

    lr: params.Positive
    momentum: params.Fraction
    weight_decay: params.NonNegative
    epochs: params.Count
    flip: bool
    name: str
    seed: params.Seed
    kernel: Kernel


GOOD = """
lr: 0.01
momentum: 0.9
weight_decay: 0.0
epochs: 3
flip: true
name: toy
seed: 0
kernel:
  kind: gaussian
  bandwidths: [0.5, 1.0]
"""

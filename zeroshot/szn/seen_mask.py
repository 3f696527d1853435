"""The seen mask: a two-way head on cached features that guesses whether the network was trained on a pixel's class (SZN, stage two)."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

import pydantic
import torch
from torch import nn
from torch.nn import functional

from zeroshot.base import params, training
from zeroshot.cache import pools, rows
from zeroshot.szn import role_folds


@params.section
class Calibration:
    """The section `seen_mask.calibration`; see szn/params.yaml."""

    enabled: bool
    hold_out: role_folds.Role
    thresholds: Annotated[tuple[params.Float, ...], pydantic.Field(min_length=1)]
    folds: params.Count
    held_out: params.Count


@params.section
class Params:
    """The section `seen_mask` of szn/params.yaml."""

    candidates: Literal["unseen_and_train_unseen", "unseen"]
    void: Literal["ignored", "unseen"]
    class_balance: params.Fraction
    epochs: params.Count
    steps_per_epoch: params.Count
    batch_size: params.Count
    lr: params.Positive
    seed: params.Seed
    calibration: Calibration
    dropout: params.Fraction
    weight_decay: params.NonNegative
    pool_per_class: params.Count


# The log-odds of "seen": weight (d,) and bias (), float32.
LogOdds = tuple[torch.Tensor, torch.Tensor]
UNSEEN, SEEN = 0, 1

# Faults of the parameters, named by `zeroshot check` before the network is trained, and by stage two.
NO_TRAIN_UNSEEN = (
    "split.train_unseen: is empty, so nothing teaches the seen mask what an unseen class looks like; name some classes"
)
NO_IGNORED_PIXELS = (
    "seen_mask.void: is unseen, but no ignored pixel is cached; set features.ignored_pixels: true and, in params.yaml, "
    "data.drop_partly_labelled: false, or void to ignored"
)
UNSEEN_AMONG_IGNORED = (
    "seen_mask.void: is unseen, but with data.exclude: pixels the ignored pixels are those of unseen classes, so the mask would learn "
    "from their labels; set void to ignored, or data.exclude: images"
)


def learnt_labels(seen: Sequence[int], options: Params) -> list[int]:
    """Return the labels of the rows that teach the mask: those of the classes with masks and, where `void` says so, of ignored pixels."""
    return [*seen, *([rows.UNLABELLED] if options.void == "unseen" else [])]


def fit(
    real: pools.Pool, train_seen: Sequence[int], options: Params, device: torch.device
) -> Iterator[tuple[dict[str, float], LogOdds]]:
    """Train the head with two-way cross-entropy: 1 for a class that the network was trained on, 0 for any other.

    The two outputs of the original are two-way softmax, whose log-odds are their difference, so the mask is one linear function.

    Args:
        real: features of the classes with masks, and of ignored pixels if those count as unseen.
        train_seen: label ids of the classes that the network was trained on.
        options: the section `seen_mask`.
        device: the device to train on.

    Yields:
        after each epoch {epoch, loss} and the log-odds so far, on `device`.

    Raises:
        training.DivergedError: at the first loss that is not finite, or after the last epoch if its loss has exploded.
    """
    training.seed_torch(options.seed)
    random = torch.Generator().manual_seed(options.seed)
    head = nn.Linear(real.features.shape[1], 2).to(device)
    optimizer = torch.optim.Adam(head.parameters(), lr=options.lr, weight_decay=options.weight_decay)
    is_seen = torch.isin(real.labels, torch.tensor(list(train_seen)))
    targets = torch.where(is_seen, SEEN, UNSEEN)
    odds = real.sizes**options.class_balance
    untrained, key = None, "seen_mask.lr"
    for epoch in range(options.epochs):
        total = 0.0
        for step in range(options.steps_per_epoch):
            classes = torch.multinomial(odds, options.batch_size, replacement=True, generator=random)
            features = functional.dropout(pools.draw(real, classes, random).to(device), options.dropout)
            loss = functional.cross_entropy(head(features), targets[classes].to(device))
            total += training.check_finite(loss.item(), "train_seenmask", epoch, step, key)
            untrained = loss.item() if untrained is None else untrained
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        mean = total / options.steps_per_epoch
        if epoch == options.epochs - 1 and untrained is not None:
            training.check_not_exploded(mean, untrained, "train_seenmask", key)
        weight, bias = head.weight.detach(), head.bias.detach()
        yield {"epoch": epoch, "loss": mean}, (weight[SEEN] - weight[UNSEEN], bias[SEEN] - bias[UNSEEN])

"""Fine-tuning of the last layer on real seen and synthetic unseen features (paper section 2.2, step 2)."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

import pydantic
import torch
from torch.nn import functional

from zs3 import calibration, gmmn, params, pixel_classifier, pools, training


@params.section
class Params:
    """The section `classifier`; see params.yaml."""

    trained_rows: Literal["all", "unseen"]
    class_balance: params.Fraction
    synthetic_ratio: params.Positive
    distillation: params.NonNegative
    pool_per_class: params.Count
    batch_size: Annotated[int, pydantic.Field(ge=2)]
    epochs: params.Count
    steps_per_epoch: params.Count
    lr: params.Positive
    weight_decay: params.NonNegative
    calibration: calibration.Params
    seed: params.Seed


def fit(
    start: pixel_classifier.PixelClassifier,
    real: pools.Pool,
    generator: gmmn.Generator,
    unseen: Sequence[int],
    options: Params,
) -> Iterator[tuple[dict[str, float], pixel_classifier.PixelClassifier]]:
    """Train a classifier of seen and unseen classes with cross-entropy.

    Args:
        start: the backbone's last layer over the seen classes of `real`; its rows are where the new ones start.
        real: features of the seen classes.
        generator: makes the features of the unseen classes, one kind of fresh ones at every step.
        unseen: label ids without real features.
        options: seen classes are drawn with probability proportional to real.sizes ** class_balance (0: all alike, 1: as in
            the images); an unseen class as often as `synthetic_ratio` average seen ones.

    Yields:
        after each epoch {epoch, loss} and the classifier so far.

    Raises:
        training.DivergedError: at the first loss that is not finite.
    """
    device = generator.embeddings.device
    random = torch.Generator().manual_seed(options.seed)
    training.seed_torch(options.seed)
    before = start.to(device)
    model = _extend(before, unseen)
    n_seen = len(before.labels)
    model.weight.requires_grad_()
    model.bias.requires_grad_()
    optimizer = torch.optim.AdamW([model.weight, model.bias], lr=options.lr, weight_decay=options.weight_decay)
    row_of_label = torch.full((256,), -1)
    row_of_label[model.labels.cpu()] = torch.arange(len(model.labels))
    n_synthetic = _synthetic_count(len(real.labels), len(unseen), options)
    odds = real.sizes**options.class_balance
    for epoch in range(options.epochs):
        total = 0.0
        for step in range(options.steps_per_epoch):
            classes = torch.multinomial(odds, options.batch_size - n_synthetic, replacement=True, generator=random)
            x = pools.draw(real, classes, random).to(device)
            target = row_of_label[real.labels[classes]].to(device)
            with torch.no_grad():
                taught = before.logits(x)
                wanted = torch.tensor(unseen, dtype=torch.int64)[
                    torch.randint(max(len(unseen), 1), (n_synthetic,), generator=random)
                ]
                fake = generator.sample(wanted, random)
            logits = model.logits(torch.cat([x, fake]))
            loss = functional.cross_entropy(logits, torch.cat([target, row_of_label[wanted].to(device)]))
            if options.distillation:
                loss = loss + options.distillation * _distance(logits[: len(x), :n_seen], taught)
            total += training.check_finite(loss.item(), "classifier", epoch, step)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if options.trained_rows == "unseen":
                _restore(model, before)
        yield {"epoch": epoch, "loss": total / options.steps_per_epoch}, _freeze(model)


def _extend(start: pixel_classifier.PixelClassifier, unseen: Sequence[int]) -> pixel_classifier.PixelClassifier:
    """Return `start` with a row of zeros for every unseen class after its own."""
    zeros = start.weight.new_zeros(len(unseen), start.weight.shape[1])
    return pixel_classifier.PixelClassifier(
        weight=torch.cat([start.weight, zeros]),
        bias=torch.cat([start.bias, zeros.sum(1)]),
        labels=torch.cat([start.labels, torch.tensor(list(unseen), dtype=torch.int64, device=zeros.device)]),
        unseen=torch.cat([start.unseen, torch.ones(len(unseen), dtype=torch.bool, device=zeros.device)]),
    )


@torch.no_grad()
def _restore(model: pixel_classifier.PixelClassifier, before: pixel_classifier.PixelClassifier) -> None:
    """Put the rows of `before`, the first of `model`, back; without their gradient, weight decay would still move them."""
    model.weight[: len(before.labels)] = before.weight
    model.bias[: len(before.labels)] = before.bias


def _freeze(model: pixel_classifier.PixelClassifier) -> pixel_classifier.PixelClassifier:
    return pixel_classifier.PixelClassifier(
        model.weight.detach().clone(), model.bias.detach().clone(), model.labels, model.unseen
    )


def _synthetic_count(n_seen: int, n_unseen: int, options: Params) -> int:
    """Return how many features of a batch are synthetic; at least one is real."""
    share = options.synthetic_ratio * n_unseen / (n_seen + options.synthetic_ratio * n_unseen)
    return min(round(share * options.batch_size), options.batch_size - 1)


def _distance(logits: torch.Tensor, taught: torch.Tensor) -> torch.Tensor:
    """Return the Kullback-Leibler divergence of softmax(logits) from softmax(taught), both (n, c), averaged over rows."""
    return functional.kl_div(logits.log_softmax(1), taught.log_softmax(1), reduction="batchmean", log_target=True)

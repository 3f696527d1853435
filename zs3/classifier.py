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
    init: Literal["backbone", "uniform"]
    class_balance: params.Fraction
    synthetic_ratio: params.Positive
    unseen_weight: params.Positive
    distillation: params.NonNegative
    pool_per_class: params.Count
    batch_size: Annotated[int, pydantic.Field(ge=2)]
    epochs: params.Count
    steps_per_epoch: params.Count
    optimizer: Literal["adamw", "sgd"]
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
        start: the backbone's last layer over the seen classes of `real`; its rows are where the new ones start, unless `init`
            is `uniform`.
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
    model = _initial(before, unseen, options, random)
    n_seen = len(before.labels)
    model.weight.requires_grad_()
    model.bias.requires_grad_()
    optimizer, schedule = _optimizer([model.weight, model.bias], options)
    class_weights = torch.where(model.unseen, options.unseen_weight, 1.0)
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
            targets = torch.cat([target, row_of_label[wanted].to(device)])
            loss = functional.cross_entropy(logits, targets, class_weights)
            if options.distillation:
                loss = loss + options.distillation * _distance(logits[: len(x), :n_seen], taught)
            total += training.check_finite(loss.item(), "classifier", epoch, step)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            if options.trained_rows == "unseen":
                _restore(model, before)
        yield {"epoch": epoch, "loss": total / options.steps_per_epoch}, _freeze(model)


def _initial(
    start: pixel_classifier.PixelClassifier, unseen: Sequence[int], options: Params, random: torch.Generator
) -> pixel_classifier.PixelClassifier:
    """Return the rows of `start` and then one of zeros for every unseen class; `init: uniform` draws what learns from U[0, 1)."""
    device, n_seen = start.weight.device, len(start.labels)
    rows = torch.zeros(n_seen + len(unseen), start.weight.shape[1] + 1, device=device)
    rows[:n_seen] = torch.cat([start.weight, start.bias[:, None]], dim=1)
    if options.init == "uniform":
        learning = slice(0 if options.trained_rows == "all" else n_seen, None)
        rows[learning] = torch.rand(rows.shape, generator=random)[learning].to(device)
    return pixel_classifier.PixelClassifier(
        weight=rows[:, :-1].clone(),
        bias=rows[:, -1].clone(),
        labels=torch.cat([start.labels, torch.tensor(list(unseen), dtype=torch.int64, device=device)]),
        unseen=torch.cat([start.unseen, torch.ones(len(unseen), dtype=torch.bool, device=device)]),
    )


def _optimizer(
    parameters: list[torch.Tensor], options: Params
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """Return AdamW at a constant rate, or stochastic gradient descent with DeepLab's momentum and decay, as in the release."""
    total = options.epochs * options.steps_per_epoch
    if options.optimizer == "adamw":
        optimizer = torch.optim.AdamW(parameters, lr=options.lr, weight_decay=options.weight_decay)
        return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
    optimizer = torch.optim.SGD(parameters, lr=options.lr, momentum=0.9, weight_decay=options.weight_decay)
    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: training.poly(step, total))


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

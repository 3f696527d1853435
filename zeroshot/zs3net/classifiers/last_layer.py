"""Training of the last layer alone on cached features: the loop that fine-tuning and self-training share (paper section 2.2)."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Literal, Protocol

import torch
from torch.nn import functional

from zeroshot.base import training
from zeroshot.zs3net import pixel_classifier
from zeroshot.zs3net.classifiers import batches

TrainedRows = Literal["all", "unseen"]
Optimizer = Literal["adamw", "sgd"]


class Options(Protocol):
    """What a section of params.yaml must have to train a last layer."""

    @property
    def trained_rows(self) -> TrainedRows: ...

    @property
    def epochs(self) -> int: ...

    @property
    def steps_per_epoch(self) -> int: ...

    @property
    def lr(self) -> float: ...

    @property
    def weight_decay(self) -> float: ...

    @property
    def seed(self) -> int: ...


def train(
    start: pixel_classifier.PixelClassifier,
    parts: Sequence[batches.Part],
    options: Options,
    what: str,
    optimizer: Optimizer = "adamw",
    unseen_weight: float = 1.0,
    teacher: pixel_classifier.PixelClassifier | None = None,
    distillation: float = 0.0,
) -> Iterator[tuple[dict[str, float], pixel_classifier.PixelClassifier]]:
    """Train a copy of `start` with cross-entropy on the features of all sources together.

    Args:
        start: over all classes of the parts; on the device to train on.
        parts: of every batch, in this order.
        options: with trained_rows `unseen`, the rows of seen classes stay exactly those of `start`.
        what: the name of the training in errors.
        optimizer: AdamW at a constant rate, or stochastic gradient descent with DeepLab's momentum and decay, as in the release.
        unseen_weight: weight of unseen classes in the cross-entropy, that of seen ones being 1.
        teacher: over the seen classes of `start`; needed for distillation.
        distillation: weight of staying near the teacher's answers over the seen classes on features of the first part.

    Yields:
        after each epoch {epoch, loss} and the classifier so far, its seen bias that of `start`, which training leaves out.

    Raises:
        training.DivergedError: at the first loss that is not finite.
    """
    device = start.weight.device
    random = torch.Generator().manual_seed(options.seed)
    training.seed_torch(options.seed)
    weight, bias = (tensor.clone().requires_grad_() for tensor in (start.weight, start.bias))
    descent, schedule = _descent([weight, bias], optimizer, options)
    class_weights = torch.where(start.unseen, unseen_weight, 1.0)
    row_of_label = torch.full((256,), -1)
    row_of_label[start.labels.cpu()] = torch.arange(len(start.labels))
    seen = ~start.unseen
    for epoch in range(options.epochs):
        total = 0.0
        for step in range(options.steps_per_epoch):
            features, labels = zip(*(part.draw(random) for part in parts), strict=True)
            features = [x.to(device) for x in features]
            logits = torch.addmm(bias, torch.cat(features), weight.T)
            loss = functional.cross_entropy(logits, row_of_label[torch.cat(labels)].to(device), class_weights)
            if teacher is not None and distillation:
                taught = torch.addmm(teacher.bias, features[0], teacher.weight.T)
                loss = loss + distillation * _distance(logits[: len(taught), seen], taught)
            total += training.check_finite(loss.item(), what, epoch, step)
            descent.zero_grad()
            loss.backward()
            descent.step()
            schedule.step()
            if options.trained_rows == "unseen":
                # Without their gradient weight decay would still move them.
                with torch.no_grad():
                    weight[seen], bias[seen] = start.weight[seen], start.bias[seen]
        yield {"epoch": epoch, "loss": total / options.steps_per_epoch}, _with_rows(start, weight, bias)


def _descent(
    parameters: list[torch.Tensor], name: Optimizer, options: Options
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    total = options.epochs * options.steps_per_epoch
    if name == "adamw":
        descent = torch.optim.AdamW(parameters, lr=options.lr, weight_decay=options.weight_decay)
        return descent, torch.optim.lr_scheduler.LambdaLR(descent, lambda step: 1.0)
    descent = torch.optim.SGD(parameters, lr=options.lr, momentum=0.9, weight_decay=options.weight_decay)
    return descent, torch.optim.lr_scheduler.LambdaLR(descent, lambda step: training.poly(step, total))


def extend(start: pixel_classifier.PixelClassifier, unseen: Sequence[int]) -> pixel_classifier.PixelClassifier:
    """Return `start` with a row of zeros for every unseen class after its own."""
    zeros = start.weight.new_zeros(len(unseen), start.weight.shape[1])
    return pixel_classifier.PixelClassifier(
        weight=torch.cat([start.weight, zeros]),
        bias=torch.cat([start.bias, zeros.sum(1)]),
        labels=torch.cat([start.labels, torch.tensor(list(unseen), dtype=torch.int64, device=zeros.device)]),
        unseen=torch.cat([start.unseen, torch.ones(len(unseen), dtype=torch.bool, device=zeros.device)]),
    )


def _with_rows(
    start: pixel_classifier.PixelClassifier, weight: torch.Tensor, bias: torch.Tensor
) -> pixel_classifier.PixelClassifier:
    return dataclasses.replace(start, weight=weight.detach().clone(), bias=bias.detach().clone())


def _distance(logits: torch.Tensor, taught: torch.Tensor) -> torch.Tensor:
    """Return the Kullback-Leibler divergence of softmax(logits) from softmax(taught), both (n, c), averaged over rows."""
    return functional.kl_div(logits.log_softmax(1), taught.log_softmax(1), reduction="batchmean", log_target=True)

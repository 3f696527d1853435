"""Training of the last layer on cached features: the loop that fine-tuning and self-training share (paper section 2.2)."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Literal, Protocol

import torch
from torch.nn import functional

from zeroshot.base import training
from zeroshot.pixel_classifiers import pixel_classifier
from zeroshot.zs3net.classifiers import batches

TrainedRows = Literal["all", "unseen"]
Optimizer = Literal["adamw", "sgd"]


class Options(Protocol):
    """The keys that a section of params.yaml needs to train a last layer."""

    @property
    def trained_rows(self) -> TrainedRows: ...

    @property
    def epochs(self) -> int: ...

    @property
    def steps_per_epoch(self) -> int | None: ...

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
    name: str,
    optimizer_name: Optimizer = "adamw",
    unseen_weight: float = 1.0,
    teacher: pixel_classifier.PixelClassifier | None = None,
    distillation: float = 0.0,
    among_unseen: float = 0.0,
    frozen: torch.Tensor | None = None,
) -> Iterator[tuple[dict[str, float], pixel_classifier.PixelClassifier]]:
    """Train a copy of `start` with cross-entropy on batches of several parts.

    Args:
        start: initial classifier of all classes of the parts, on the device to train on.
        parts: the parts of every batch, in this order.
        options: with trained_rows `unseen`, the rows of seen classes stay exactly those of `start`.
        name: the section of params.yaml, which errors name.
        optimizer_name: AdamW at a constant rate, or stochastic gradient descent with DeepLab's momentum and decay, as in the released code.
        unseen_weight: weight of unseen classes in the cross-entropy; seen classes have weight 1.
        teacher: classifier of some classes of `start`; needed for distillation.
        distillation: weight of the divergence from the teacher's probabilities of its classes, on features of the first part.
        among_unseen: weight of a second cross-entropy, of the features of unseen classes over the rows of unseen classes alone. It tells
            unseen classes apart, whatever the logits of seen classes are.
        frozen: (n,) bool, rows that stay exactly those of `start`. None: those of seen classes with trained_rows `unseen`, else none.

    Yields:
        after each epoch {epoch, loss} and the classifier so far. Training ignores the seen bias and leaves it as in `start`.

    Raises:
        training.DivergedError: at the first loss that is not finite, or after the last epoch if its loss has exploded.
    """
    if options.steps_per_epoch is None:
        raise TypeError("the number of steps must be known here (fine_tuning.with_steps)")
    device = start.weight.device
    steps = options.steps_per_epoch
    random = torch.Generator().manual_seed(options.seed)
    training.seed_torch(options.seed)
    weight, bias = (tensor.clone().requires_grad_() for tensor in (start.weight, start.bias))
    optimizer, schedule = _optimizer_and_schedule([weight, bias], optimizer_name, options, options.epochs * steps)
    class_weights = torch.where(start.unseen, unseen_weight, 1.0)
    row_of_label = torch.full((int(start.labels.max()) + 1,), -1)
    row_of_label[start.labels.cpu()] = torch.arange(len(start.labels))
    if frozen is None:
        frozen = ~start.unseen & (options.trained_rows == "unseen")
    taught = None if teacher is None else torch.isin(start.labels, teacher.labels)
    row_among_unseen = torch.cumsum(start.unseen, 0) - 1
    untrained, lr_key = None, f"{name}.lr"
    for epoch in range(options.epochs):
        total = 0.0
        for step in range(steps):
            features, labels = zip(*(part.draw(random) for part in parts), strict=True)
            features = [x.to(device) for x in features]
            logits = torch.addmm(bias, torch.cat(features), weight.T)
            target = row_of_label[torch.cat(labels)].to(device)
            loss = functional.cross_entropy(logits, target, class_weights)
            unseen = start.unseen[target]
            if among_unseen and unseen.any():
                inner = functional.cross_entropy(logits[unseen][:, start.unseen], row_among_unseen[target[unseen]])
                loss = loss + among_unseen * inner
            if teacher is not None and taught is not None and distillation:
                teacher_logits = torch.addmm(teacher.bias, features[0], teacher.weight.T)
                loss = loss + distillation * _divergence(logits[: len(teacher_logits), taught], teacher_logits)
            total += training.check_finite(loss.item(), name, epoch, step, lr_key)
            untrained = loss.item() if untrained is None else untrained
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            if frozen.any():
                # Weight decay would change these rows even with a gradient of zero.
                with torch.no_grad():
                    weight[frozen], bias[frozen] = start.weight[frozen], start.bias[frozen]
        if epoch == options.epochs - 1 and untrained is not None:
            training.check_not_exploded(total / steps, untrained, name, lr_key)
        yield {"epoch": epoch, "loss": total / steps}, _with_rows(start, weight, bias)


def _optimizer_and_schedule(
    parameters: list[torch.Tensor], name: Optimizer, options: Options, total_steps: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    if name == "adamw":
        optimizer = torch.optim.AdamW(parameters, lr=options.lr, weight_decay=options.weight_decay)
        return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
    optimizer = torch.optim.SGD(parameters, lr=options.lr, momentum=0.9, weight_decay=options.weight_decay)
    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: training.poly(step, total_steps))


def extend(
    start: pixel_classifier.PixelClassifier, labels: Sequence[int], unseen: bool = True
) -> pixel_classifier.PixelClassifier:
    """Return `start` with a row of zeros appended for each of `labels`, which are all `unseen` or all seen."""
    zeros = start.weight.new_zeros(len(labels), start.weight.shape[1])
    return dataclasses.replace(
        start,
        weight=torch.cat([start.weight, zeros]),
        bias=torch.cat([start.bias, zeros.sum(1)]),
        labels=torch.cat([start.labels, torch.tensor(list(labels), dtype=torch.int64, device=zeros.device)]),
        unseen=torch.cat([start.unseen, torch.full((len(labels),), unseen, device=zeros.device)]),
    )


def _with_rows(
    start: pixel_classifier.PixelClassifier, weight: torch.Tensor, bias: torch.Tensor
) -> pixel_classifier.PixelClassifier:
    return dataclasses.replace(start, weight=weight.detach().clone(), bias=bias.detach().clone())


def _divergence(logits: torch.Tensor, teacher_logits: torch.Tensor) -> torch.Tensor:
    """Return the Kullback-Leibler divergence of softmax(logits) from softmax(teacher_logits), both (n, c), averaged over rows."""
    return functional.kl_div(
        logits.log_softmax(1), teacher_logits.log_softmax(1), reduction="batchmean", log_target=True
    )

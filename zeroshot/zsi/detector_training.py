"""Training of the detector on seen classes, end to end from the encoder's initial weights (Zheng et al., section 4.2)."""

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch.utils import data

from zeroshot.base import ranks, training
from zeroshot.networks import data_parallel, training_images
from zeroshot.zsi import detector as zsi_detector
from zeroshot.zsi import encoders, instances_dataset, sections

# The learning rate of the first warm-up step, and after each decay, as a factor.
_WARMUP_START = 1 / 3
_DECAY = 0.1
_NAME = "train_detector"


def fit(
    detector: zsi_detector.Detector,
    dataset: instances_dataset.TrainingInstances,
    options: sections.Detector,
    device: torch.device,
    workers: int,
    state: dict[str, Any] | None = None,
) -> Iterator[tuple[dict[str, float], dict[str, Any]]]:
    """Train by the recipe of the section.

    Several ranks share each batch, and every rank gets the same detector. A loss is then the mean over the ranks of the loss of their
    images, where each draws its own anchors and regions.

    Args:
        detector: trained in place.
        dataset: the training images.
        options: the section `detector`.
        device: the device to train on.
        workers: loader processes; they do not change the result.
        state: the last state that an interrupted call yielded. Training resumes after its epoch, and the result is the same as without
            the interruption.

    Yields:
        After each epoch, a row {epoch, loss, every loss without its weight, lr} and the state to resume from.

    Raises:
        training.DivergedError: at the first loss that is not finite, or after the last epoch if the loss has exploded.
        errors.UserError: if the loader processes have too little shared memory, or the ranks cannot share a batch equally.
    """
    detector.to(device).train()
    encoders.train_mode(detector.backbone)
    optimizer = _optimizer(detector, options)
    first_epoch = 0
    if state is not None:
        detector.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        first_epoch = state["epoch"] + 1
    weights = {
        "box_reconstruction": options.box_head.reconstruction,
        "mask_reconstruction": options.mask_head.reconstruction,
    }
    ranks.check_batch(options.batch_size, len(dataset), sections.SECTION)
    compute = data_parallel.shared(_Losses(detector), device)
    lr = options.lr
    for epoch in range(first_epoch, options.epochs):
        # The samplers of torchvision draw anchors and regions with the global generator.
        training.seed_torch(options.seed, epoch, *ranks.seed())
        batches = dataset.batches(epoch, options.batch_size)
        batches = [ranks.share(keys) for keys in batches]
        loader = data.DataLoader(
            dataset,
            batch_sampler=batches,
            num_workers=workers,
            collate_fn=instances_dataset.collate,
        )
        sums: dict[str, float] = {}
        for step, (images, targets) in enumerate(training_images.loaded(loader)):
            lr = learning_rate(epoch, epoch * len(batches) + step, options)
            for group in optimizer.param_groups:
                group["lr"] = lr
            images = [image.to(device) for image in images]
            targets = [{name: value.to(device) for name, value in target.items()} for target in targets]
            with torch.autocast(device.type, torch.bfloat16, enabled=options.precision == "bfloat16"):
                losses = compute(images, targets)
            loss = torch.stack([weights.get(name, 1.0) * value for name, value in losses.items()]).sum()
            means = ranks.total(torch.stack([loss, *losses.values()]).detach()) / ranks.count()
            training.check_finite(means[0].item(), _NAME, epoch, step, sections.LR_KEY)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(detector.parameters(), options.clip_norm)
            optimizer.step()
            for name, value in zip(("loss", *losses), means.tolist(), strict=True):
                sums[name] = sums.get(name, 0.0) + value
        row = {name: value / len(batches) for name, value in sums.items()}
        if epoch == options.epochs - 1:
            # Objectness, classes and masks of a prediction of all alike. A state of the last epoch would count as a finished training.
            untrained = 2 * math.log(2) + math.log(detector.box_head.n_seen + 1)
            training.check_not_exploded(row["loss"], untrained, _NAME, sections.LR_KEY)
        yield (
            {"epoch": epoch, **row, "lr": lr},
            {"epoch": epoch, "network": detector.state_dict(), "optimizer": optimizer.state_dict()},
        )


class _Losses(torch.nn.Module):
    """The losses of a detector as the forward pass of a module."""

    def __init__(self, detector: zsi_detector.Detector) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, images: list[torch.Tensor], targets: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
        """Return `Detector.losses`; of several ranks, they depend on every weight, also on images without an object."""
        losses = self.detector.losses(images, targets)
        decoder = self.detector.mask_head.decoder
        # Without an object the decoder of masks does nothing, and the ranks wait for a gradient of every weight. PyTorch's option
        # `find_unused_parameters` would search for such weights in each step, and warn about the option if it finds none.
        if decoder is not None and ranks.count() > 1:
            losses["mask_reconstruction"] += 0 * torch.stack([weight.sum() for weight in decoder.parameters()]).sum()
        return losses


def learning_rate(epoch: int, step: int, options: sections.Detector) -> float:
    """Return the learning rate of a step: linear warm-up from a third, and a tenth of the rate after each epoch of `decay_after`.

    Args:
        epoch: counted from 0.
        step: of the training, counted from 0.
        options: the section.
    """
    warmup = (
        min(1.0, _WARMUP_START + (1 - _WARMUP_START) * step / options.warmup_steps) if options.warmup_steps else 1.0
    )
    return options.lr * warmup * _DECAY ** sum(epoch >= last for last in options.decay_after)


def _optimizer(detector: zsi_detector.Detector, options: sections.Detector) -> torch.optim.Optimizer:
    parameters = [parameter for parameter in detector.parameters() if parameter.requires_grad]
    if options.optimizer == "adamw":
        return torch.optim.AdamW(parameters, options.lr, weight_decay=options.weight_decay)
    return torch.optim.SGD(parameters, options.lr, momentum=options.momentum, weight_decay=options.weight_decay)

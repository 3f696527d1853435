"""Supervised training of the segmentation network on seen classes (paper section 2.2, step 0, and section 3.1)."""

import math
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import torch
from torch.nn import functional
from torch.utils import data

from zeroshot.base import ranks, training
from zeroshot.images import grids, label_ids
from zeroshot.networks import (
    backbone,
    data_parallel,
    optimisation,
    segmentation_network,
    semantic_head,
    training_images,
)

# Maps outputs (b, c, h, w) and targets (b, h, w) int64, indices of outputs or IGNORE_INDEX, to the summed loss of all other pixels.
Criterion = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def cross_entropy(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return the summed cross-entropy of all valid pixels, the criterion of the paper."""
    return functional.cross_entropy(logits, target, ignore_index=label_ids.IGNORE_INDEX, reduction="sum")


class Options(training_images.Options, Protocol):
    """The keys that a section of params.yaml needs for training, and its recipe."""

    @property
    def freeze(self) -> str: ...
    @property
    def epochs(self) -> int: ...
    @property
    def loss_at(self) -> str: ...
    @property
    def precision(self) -> str: ...
    def recipe(self) -> optimisation.Recipe: ...


def fit(
    network: segmentation_network.SegmentationNetwork,
    dataset: training_images.TrainingImages,
    options: Options,
    device: torch.device,
    workers: int,
    state: dict[str, Any] | None = None,
    criterion: Criterion = cross_entropy,
    semantic: semantic_head.SemanticHead | None = None,
    name: str = "training",
    lr_key: str = backbone.LR_KEY,
) -> Iterator[tuple[dict[str, float], dict[str, Any]]]:
    """Train by the recipe of `options`, by default with cross-entropy.

    Several ranks share each batch. Its loss and batch statistics are those of all its images, and every rank gets the same network.

    Args:
        network: trained in place.
        dataset: indexed by (epoch, position, index).
        options: a network's section of params.yaml.
        device: the device to train on.
        workers: loader processes; they do not change the result.
        state: the last state that an interrupted call yielded. Training resumes after its epoch, and the result is the same as without
            the interruption.
        criterion: the loss of the network's outputs.
        semantic: head of the semantic loss, trained together with the network. Its cross-entropy is added with its weight. None:
            no semantic loss.
        name: the training's name in errors.
        lr_key: the parameter with the learning rate; it and its section are for errors.

    Yields:
        After each epoch, a row {epoch, loss, lr} and the state to resume from. The loss is the weighted sum of all losses.

    Raises:
        training.DivergedError: at the first loss that is not finite, or after the last epoch if its cross-entropy has exploded.
        errors.UserError: if the loader processes have too little shared memory, or the ranks cannot share a batch equally.
    """
    modules: dict[str, torch.nn.Module] = {"network": network}
    if semantic is not None:
        modules["semantic"] = semantic
    for module in modules.values():
        module.to(device).to(memory_format=torch.channels_last).train()
    for module in _frozen(network, options.freeze):
        module.requires_grad_(False).eval()
    encoder = [*network.stem.named_parameters(), *network.trunk.named_parameters()]
    encoder_ids = {id(parameter) for _, parameter in encoder}
    parameters = [named for module in modules.values() for named in module.named_parameters()]
    head = [(key, parameter) for key, parameter in parameters if id(parameter) not in encoder_ids]
    recipe = options.recipe()
    optimizer = recipe.optimizer(encoder, head)
    first_epoch, lr = 0, recipe.lr(0, 1)
    if state is not None:
        for part, module in modules.items():
            module.load_state_dict(state[part])
        optimizer.load_state_dict(state["optimizer"])
        first_epoch = state["epoch"] + 1
    ranks.check_batch(options.batch_size, len(dataset.paths), lr_key.rpartition(".")[0])
    heads = data_parallel.shared(_Heads(network, semantic), device)
    criteria = [(1.0, criterion), *([] if semantic is None else [(semantic.weight, cross_entropy)])]
    probabilities = training_images.image_weights(dataset, options.repeat_threshold)
    for epoch in range(first_epoch, options.epochs):
        training.seed_torch(options.seed, epoch, *ranks.seed())
        batches = training_images.batches(probabilities, epoch, options)
        batches = [ranks.share(keys) for keys in batches]
        loader = data.DataLoader(dataset, batch_sampler=batches, num_workers=workers, pin_memory=device.type == "cuda")
        total = torch.zeros((), device=device)
        for step, (batch, target) in enumerate(training_images.loaded(loader)):
            lr = recipe.lr(epoch * len(batches) + step, options.epochs * len(batches))
            for group in optimizer.param_groups:
                group["lr"] = lr * group["scale"]
            batch = batch.to(device, memory_format=torch.channels_last)
            with torch.autocast(device.type, torch.bfloat16, enabled=options.precision == "bfloat16"):
                outputs = heads(batch)
            target = grids.add_margin(training_images.targets(target.to(device)), network.margin)
            losses = [
                weight * _loss(of_head.float(), target, network.stride, options.loss_at, head_criterion)
                for of_head, (weight, head_criterion) in zip(outputs, criteria, strict=True)
            ]
            loss = torch.stack(losses).sum()
            mean = ranks.total(loss) / ranks.count()
            training.check_finite(mean.item(), name, epoch, step, lr_key)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += mean.detach()
        row = {"epoch": epoch, "loss": total.item() / len(batches), "lr": lr}
        if epoch == options.epochs - 1 and criterion is cross_entropy:
            # The loss of a prediction of all outputs alike. A state of the last epoch would count as a finished training.
            heads_weight = 1.0 + (semantic.weight if semantic is not None else 0.0)
            untrained = heads_weight * math.log(network.classifier.out_channels)
            training.check_not_exploded(row["loss"], untrained, name, lr_key)
        module_states = {part: module.state_dict() for part, module in modules.items()}
        yield row, {"epoch": epoch, **module_states, "optimizer": optimizer.state_dict()}


class _Heads(torch.nn.Module):
    """A network with the head of the semantic loss, if there is one: all that a training step computes before its losses."""

    def __init__(
        self, network: segmentation_network.SegmentationNetwork, semantic: semantic_head.SemanticHead | None
    ) -> None:
        super().__init__()
        self.network, self.semantic = network, semantic

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Return the outputs of each head (b, c, h, w) for images (b, 3, H, W) uint8."""
        features = self.network.dropout(self.network.features(images))
        return [head(features) for head in (self.network.classifier, self.semantic) if head is not None]


def _frozen(network: segmentation_network.SegmentationNetwork, freeze: str) -> list[torch.nn.Module]:
    """Return the modules whose weights and batch statistics training does not change."""
    return {"nothing": [], "stem": [network.stem], "encoder": [network.stem, network.trunk]}[freeze]


def _loss(outputs: torch.Tensor, target: torch.Tensor, stride: int, loss_at: str, criterion: Criterion) -> torch.Tensor:
    """Return the mean loss over valid pixels of the image, or of the feature map, which needs about a twentieth of the operations.

    Both have the margin of the network. The mean over the ranks of what they return is the mean over the pixels of all ranks.
    """
    if loss_at == "image":
        outputs = grids.upsample(outputs, (target.shape[-2], target.shape[-1]), stride)
    else:
        target = grids.downsample(target, stride)
    n_valid = ranks.total((target != label_ids.IGNORE_INDEX).sum()).clamp(min=1)
    return criterion(outputs, target) / n_valid * ranks.count()

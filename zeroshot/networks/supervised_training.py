"""Supervised training of a segmentation network (paper section 2.2, step 0, and section 3.1)."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.nn import functional
from torch.utils import data

from zeroshot.base import training
from zeroshot.images import grids, label_ids
from zeroshot.networks import backbone, deeplab, semantic_head, training_images

# From outputs (b, c, h, w) and targets (b, h, w), rows of a class or 255, to the sum of the losses of all pixels that are not 255.
Criterion = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def cross_entropy(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return the criterion of the paper's network."""
    return functional.cross_entropy(logits, target, ignore_index=label_ids.IGNORE_INDEX, reduction="sum")


def fit(
    network: deeplab.DeepLabV3Plus,
    dataset: training_images.TrainingImages,
    options: backbone.Params,
    device: torch.device,
    workers: int,
    state: dict[str, Any] | None = None,
    criterion: Criterion = cross_entropy,
    semantic: semantic_head.SemanticHead | None = None,
) -> Iterator[tuple[dict[str, float], dict[str, Any]]]:
    """Train with SGD and polynomial decay, by default with cross-entropy.

    Args:
        network: trained in place.
        dataset: indexed by (epoch, position, index).
        options: the recipe.
        device: where to train.
        workers: loader processes; they change the speed, not the result.
        state: what an earlier, interrupted call yielded last; training goes on after it as if never interrupted.
        criterion: the loss of the network's outputs.
        semantic: trained along as part of the head, its cross-entropy added with its weight; None: no such loss.

    Yields:
        After each epoch its row {epoch, loss, lr} and the state to go on from; the loss is the sum of both.

    Raises:
        training.DivergedError: at the first loss that is not finite.
    """
    modules: dict[str, torch.nn.Module] = {"network": network}
    if semantic is not None:
        modules["semantic"] = semantic
    for module in modules.values():
        module.to(device).to(memory_format=torch.channels_last).train()
    for part in _frozen(network, options.freeze):
        part.requires_grad_(False).eval()
    trunk = [*network.stem.parameters(), *network.trunk.parameters()]
    in_trunk = {id(parameter) for parameter in trunk}
    every = [parameter for module in modules.values() for parameter in module.parameters()]
    head = [parameter for parameter in every if id(parameter) not in in_trunk]
    optimizer = torch.optim.SGD(
        [{"params": trunk, "scale": 1.0}, {"params": head, "scale": options.head_lr_multiplier}],
        lr=options.lr, momentum=options.momentum, weight_decay=options.weight_decay,
    )  # fmt: skip
    first, lr = 0, options.lr
    if state is not None:
        for name, module in modules.items():
            module.load_state_dict(state[name])
        optimizer.load_state_dict(state["optimizer"])
        first = state["epoch"] + 1
    draw_weights = training_images.image_weights(dataset, options.repeat_threshold)
    for epoch in range(first, options.epochs):
        training.seed_torch(options.seed, epoch)
        batches = training_images.batches(draw_weights, epoch, options)
        loader = data.DataLoader(dataset, batch_sampler=batches, num_workers=workers, pin_memory=device.type == "cuda")
        total = torch.zeros((), device=device)
        for step, (batch, target) in enumerate(loader):
            lr = options.lr * training.poly(epoch * len(batches) + step, options.epochs * len(batches))
            for group in optimizer.param_groups:
                group["lr"] = lr * group["scale"]
            batch = batch.to(device, memory_format=torch.channels_last)
            with torch.autocast(device.type, torch.bfloat16, enabled=options.precision == "bfloat16"):
                features = network.dropout(network.features(batch))
                heads = [(1.0, network.classifier(features), criterion)]
                if semantic is not None:
                    heads.append((semantic.weight, semantic(features), cross_entropy))
            target = target.to(device)
            losses = [weight * _loss(outputs.float(), target, options.loss_at, own) for weight, outputs, own in heads]
            loss = torch.stack(losses).sum()
            training.check_finite(loss.item(), "train_backbone", epoch, step)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach()
        row = {"epoch": epoch, "loss": total.item() / len(batches), "lr": lr}
        weights_now = {name: module.state_dict() for name, module in modules.items()}
        yield row, {"epoch": epoch, **weights_now, "optimizer": optimizer.state_dict()}


def _frozen(network: deeplab.DeepLabV3Plus, freeze: str) -> list[torch.nn.Module]:
    """Return the parts of the network that stay as loaded, batch statistics included."""
    return {"nothing": [], "stem": [network.stem], "encoder": [network.stem, network.trunk]}[freeze]


def _loss(outputs: torch.Tensor, target: torch.Tensor, loss_at: str, criterion: Criterion) -> torch.Tensor:
    """Return the mean loss over valid pixels, of the image or (a twentieth of the work) of the feature map."""
    if loss_at == "image":
        outputs = grids.upsample(outputs, (target.shape[-2], target.shape[-1]))
    else:
        target = grids.downsample(target, (outputs.shape[-2], outputs.shape[-1]))
    return criterion(outputs, target) / (target != label_ids.IGNORE_INDEX).sum().clamp(min=1)

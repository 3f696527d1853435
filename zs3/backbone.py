"""Supervised training of the segmentation network on seen classes (paper section 2.2, step 0, and section 3.1)."""

import pathlib
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal

import numpy as np
import pydantic
import torch
from torch.nn import functional
from torch.utils import data

from zs3 import (
    augmentation,
    deeplab,
    errors,
    grids,
    images,
    label_ids,
    params,
    pixel_classifier,
    splits,
    training,
    weights,
)


@params.section
class Params:
    """The section `backbone`; see params.yaml."""

    encoder: deeplab.Encoder
    output_stride: Literal[8, 16]
    separable: bool
    dropout: params.Fraction
    weights: str
    weights_file: str
    partial_weights: bool
    freeze: Literal["nothing", "stem", "encoder"]
    loss_at: Literal["image", "features"]
    epochs: params.Count
    batch_size: Annotated[int, pydantic.Field(ge=2)]
    lr: params.Positive
    head_lr_multiplier: params.Positive
    momentum: params.Fraction
    weight_decay: params.NonNegative
    repeat_threshold: params.Fraction
    augmentation: augmentation.Params
    precision: Literal["float32", "bfloat16"]
    seed: params.Seed


class TrainingImages(data.Dataset):
    """Augmented training images; an item's randomness depends on (seed, epoch, position) alone, so workers do not change it."""

    def __init__(self, split: splits.Split, root: pathlib.Path, masks: pathlib.Path, options: Params) -> None:
        if len(split.train) < 2:
            raise errors.UserError(f"train holds {len(split.train)} image; batch normalisation needs two or more")
        self.paths = [(root / item.image, masks / f"{item.id}.png") for item in split.train]
        self.options = options
        self.row_of_label = np.full(256, label_ids.IGNORE_INDEX, np.uint8)
        self.row_of_label[list(split.seen)] = np.arange(len(split.seen))

    def __getitem__(self, key: tuple[int, int, int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return image (3, crop, crop) uint8 and classifier rows (crop, crop) int64 for key (epoch, position, index)."""
        epoch, position, index = key
        image_path, mask_path = self.paths[index]
        rng = np.random.default_rng([self.options.seed, epoch, position])
        image, mask = augmentation.augment(
            images.read_image(image_path), images.read_mask(mask_path), self.options.augmentation, rng
        )
        return torch.from_numpy(image).permute(2, 0, 1), torch.from_numpy(self.row_of_label[mask]).long()


# From outputs (b, c, h, w) and targets (b, h, w), rows of a class or 255, to the sum of the losses of all pixels that are not 255.
Criterion = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def cross_entropy(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return the criterion of the paper's network."""
    return functional.cross_entropy(logits, target, ignore_index=label_ids.IGNORE_INDEX, reduction="sum")


def build(options: Params, n_outputs: int, weights_file: pathlib.Path) -> deeplab.DeepLabV3Plus:
    """Build the network with `n_outputs` of its last layer and fill its trunk with the weights that `options.weights` names.

    Raises:
        weights.WeightsError: if the weights cannot be read or do not fit.
    """
    training.seed_torch(options.seed)
    network = new_network(options, n_outputs)
    if options.weights == "none":
        return network
    if options.weights == "file":
        state = weights.read_file(weights_file)
    else:
        state = weights.read_torchvision(options.encoder, options.weights)
    weights.load_encoder(network, options.encoder, state, options.partial_weights)
    return network


def new_network(options: Params, n_outputs: int) -> deeplab.DeepLabV3Plus:
    """Return the network with random weights."""
    return deeplab.DeepLabV3Plus(options.encoder, options.output_stride, n_outputs, options.separable, options.dropout)


def load(checkpoint: dict[str, Any]) -> deeplab.DeepLabV3Plus:
    """Rebuild the trained network from what a stage saved, in evaluation mode."""
    options = params.build(checkpoint["config"], Params, "backbone", "backbone checkpoint")
    network = new_network(options, len(checkpoint["network"]["classifier.bias"]))
    network.load_state_dict(checkpoint["network"])
    return network.eval()


def image_weights(dataset: TrainingImages, threshold: float) -> np.ndarray:
    """Return how often each image should be drawn, relative to the others: repeat factor sampling (Gupta et al., LVIS, CVPR 2019).

    An image counts max(1, sqrt(threshold / f)) for its rarest class, f being the share of training images that hold the class.

    Returns:
        (n_images,) float64 that sums to 1; uniform for a threshold of 0.
    """
    if threshold == 0:
        return np.full(len(dataset.paths), 1 / len(dataset.paths))
    present = np.stack(
        [np.bincount(images.read_mask(mask).ravel(), minlength=256)[:255] > 0 for _, mask in dataset.paths]
    )
    share = present.mean(axis=0)
    factor = np.sqrt(np.divide(threshold, share, out=np.ones_like(share), where=share > 0)).clip(min=1)
    repeats = np.where(present, factor, 1).max(axis=1)
    return repeats / repeats.sum()


def fit(
    network: deeplab.DeepLabV3Plus,
    dataset: TrainingImages,
    options: Params,
    device: torch.device,
    workers: int,
    state: dict[str, Any] | None = None,
    criterion: Criterion = cross_entropy,
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

    Yields:
        After each epoch its row {epoch, loss, lr} and the state to go on from.

    Raises:
        training.DivergedError: at the first loss that is not finite.
    """
    network.to(device=device, memory_format=torch.channels_last).train()
    for part in _frozen(network, options.freeze):
        part.requires_grad_(False).eval()
    trunk = [*network.stem.parameters(), *network.trunk.parameters()]
    in_trunk = {id(parameter) for parameter in trunk}
    head = [parameter for parameter in network.parameters() if id(parameter) not in in_trunk]
    optimizer = torch.optim.SGD(
        [{"params": trunk, "scale": 1.0}, {"params": head, "scale": options.head_lr_multiplier}],
        lr=options.lr, momentum=options.momentum, weight_decay=options.weight_decay,
    )  # fmt: skip
    first = 0
    if state is not None:
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        first = state["epoch"] + 1
    draw_weights = image_weights(dataset, options.repeat_threshold)
    for epoch in range(first, options.epochs):
        training.seed_torch(options.seed, epoch)
        batches = _draw_batches(draw_weights, epoch, options)
        loader = data.DataLoader(dataset, batch_sampler=batches, num_workers=workers, pin_memory=device.type == "cuda")
        total = torch.zeros((), device=device)
        for step, (batch, target) in enumerate(loader):
            lr = options.lr * training.poly(epoch * len(batches) + step, options.epochs * len(batches))
            for group in optimizer.param_groups:
                group["lr"] = lr * group["scale"]
            batch = batch.to(device, memory_format=torch.channels_last)
            with torch.autocast(device.type, torch.bfloat16, enabled=options.precision == "bfloat16"):
                outputs = network(batch)
            loss = _loss(outputs.float(), target.to(device), options.loss_at, criterion)
            training.check_finite(loss.item(), "train_backbone", epoch, step)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach()
        row = {"epoch": epoch, "loss": total.item() / len(batches), "lr": lr}
        yield row, {"epoch": epoch, "network": network.state_dict(), "optimizer": optimizer.state_dict()}


def _frozen(network: deeplab.DeepLabV3Plus, freeze: str) -> list[torch.nn.Module]:
    """Return the parts of the network that stay as loaded, batch statistics included."""
    return {"nothing": [], "stem": [network.stem], "encoder": [network.stem, network.trunk]}[freeze]


def _loss(outputs: torch.Tensor, target: torch.Tensor, loss_at: str, criterion: Criterion) -> torch.Tensor:
    """Return the mean loss over valid pixels, of the image or (a twentieth of the work) of the feature map."""
    if loss_at == "image":
        outputs = grids.upsample(outputs, target.shape[-2:])
    else:
        target = grids.downsample(target, outputs.shape[-2:])
    return criterion(outputs, target) / (target != label_ids.IGNORE_INDEX).sum().clamp(min=1)


def _draw_batches(draw_weights: np.ndarray, epoch: int, options: Params) -> list[list[tuple[int, int, int]]]:
    """Return the keys of one epoch in batches; a last batch that is not full is left out, since batch statistics need company."""
    rng = np.random.default_rng([options.seed, epoch])
    n = len(draw_weights)
    if options.repeat_threshold == 0:
        order = rng.permutation(n)
    else:
        order = rng.choice(n, size=n, p=draw_weights)
    keys = [(epoch, position, int(index)) for position, index in enumerate(order)]
    size = min(options.batch_size, n)
    return [keys[start : start + size] for start in range(0, n - size + 1, size)]


def last_layer(network: deeplab.DeepLabV3Plus, split: splits.Split) -> pixel_classifier.PixelClassifier:
    """Return the network's last layer as a classifier of pixel features over the seen classes."""
    return pixel_classifier.PixelClassifier(
        weight=network.classifier.weight.detach().float().cpu()[:, :, 0, 0],
        bias=network.classifier.bias.detach().float().cpu(),
        labels=torch.tensor(split.seen),
        unseen=torch.zeros(len(split.seen), dtype=torch.bool),
    )

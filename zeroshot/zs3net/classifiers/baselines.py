"""Zero-shot baselines on cached features: a linear map to the space of class vectors (paper section 3.1; ALE: section 3.2)."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Literal

import pydantic
import torch
from torch import nn

from zeroshot.base import params, training
from zeroshot.cache import pools, rows
from zeroshot.networks import semantic_head
from zeroshot.pixel_classifiers import compatibility, logit_spread, pixel_classifier, side_window
from zeroshot.pixel_classifiers.cross_validation import calibration, folds

Method = Literal["devise", "ale", "spnet"]
Loss = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
LOSSES: dict[Method, Loss] = {
    "devise": compatibility.cosine_loss,
    "ale": compatibility.ranking_loss,
    "spnet": compatibility.softmax_loss,
}


@params.section
class Recipe:
    """The options of one method, such as the section `baseline.devise`; see params.yaml."""

    lr: params.Positive
    calibrated: bool


@params.section
class Params:
    """The section `baseline`; see params.yaml."""

    devise: Recipe
    ale: Recipe
    spnet: Recipe
    class_balance: params.Fraction
    epochs: params.Count
    steps_per_epoch: params.Count
    folds: params.Count
    biases: Annotated[tuple[params.Float, ...], pydantic.Field(min_length=1)]
    held_out: params.Count
    side_window: side_window.Window
    seed: params.Seed
    pool_per_class: params.Count
    batch_size: params.Count
    weight_decay: params.NonNegative


def keys(method: Method) -> folds.Keys:
    """Return the keys of a method's cross-validation, for the text of errors."""
    return folds.Keys("baseline.held_out", f"set baseline.{method}.calibrated: false")


def fit(
    method: Method,
    real: pools.Pool,
    embeddings: torch.Tensor,
    seen: Sequence[int],
    unseen: Sequence[int],
    options: Params,
) -> Iterator[tuple[dict[str, float], pixel_classifier.PixelClassifier]]:
    """Learn W and b from real features of seen classes.

    ALE's form x^T W a has no b. With b it is the same form, on features with a constant 1 appended.

    Args:
        method: the loss.
        real: features of seen classes.
        embeddings: (C, d_a) float32 of all classes, on the device to compute on.
        seen: label ids of the classes in the loss, including all of `real`.
        unseen: label ids of the classes that are used at test time only.
        options: the recipe.

    Yields:
        after each epoch {epoch, loss} and the classifier so far.

    Raises:
        training.DivergedError: at the first loss that is not finite, or after the last epoch if its loss has exploded.
    """
    device = embeddings.device
    vectors = semantic_head.directions(embeddings)
    training.seed_torch(options.seed)
    random = torch.Generator().manual_seed(options.seed)
    projection = nn.Linear(real.features.shape[1], vectors.shape[1]).to(device)
    recipe = getattr(options, method)
    optimizer = torch.optim.AdamW(projection.parameters(), lr=recipe.lr, weight_decay=options.weight_decay)
    row_of_label = torch.full((len(embeddings),), -1)
    row_of_label[list(seen)] = torch.arange(len(seen))
    odds = real.sizes**options.class_balance
    untrained, lr_key = None, f"baseline.{method}.lr"
    for epoch in range(options.epochs):
        total = 0.0
        for step in range(options.steps_per_epoch):
            class_indices = torch.multinomial(odds, options.batch_size, replacement=True, generator=random)
            x = pools.draw(real, class_indices, random).to(device)
            target = row_of_label[real.labels[class_indices]].to(device)
            loss = LOSSES[method](projection(x), vectors[list(seen)], target).mean()
            total += training.check_finite(loss.item(), method, epoch, step, lr_key)
            untrained = loss.item() if untrained is None else untrained
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if epoch == options.epochs - 1 and untrained is not None:
            training.check_not_exploded(total / options.steps_per_epoch, untrained, method, lr_key)
        weight, bias = projection.weight.detach(), projection.bias.detach()
        model = compatibility.classifier(weight, bias, vectors, seen, unseen)
        model = dataclasses.replace(model, side_window=options.side_window)
        yield {"epoch": epoch, "loss": total / options.steps_per_epoch}, model


def spread(model: pixel_classifier.PixelClassifier, real: pools.Pool, options: Params) -> float:
    """Return the unit of `options.biases`: the spread of the logits of seen classes, which are sampled as in training."""
    return logit_spread.of(model, real, real.sizes**options.class_balance, options.seed)


def train_fold(
    fold: folds.Fold,
    *,
    method: Method,
    sampled: rows.Rows,
    embeddings: torch.Tensor,
    seen: Sequence[int],
    options: Params,
) -> calibration.TrainedFold:
    """Train without the held-out classes of a fold; return the model with rows of images that did not train it.

    SPNet subtracts its bias from probabilities. Here it is subtracted from logits, which is calibrated stacking (Chao et al., ECCV 2016):
    the order of seen classes does not change, and a seen and an unseen class are compared by their two logits alone.

    Args:
        fold: the classes and images.
        method: what to train.
        sampled: real features of seen classes, sorted by class, with their weights and images.
        embeddings: (C, d_a) float32 of all classes, on the device to compute on.
        seen: label ids.
        options: the recipe.
    """
    labels = fold.seen(seen)
    real = pools.select(folds.training_rows(fold, sampled, labels), labels)
    *_, (_, model) = fit(method, real, embeddings, labels, fold.held_out, options)
    scored = folds.evaluation_rows(fold, sampled, model.labels.tolist())
    return calibration.TrainedFold(model, scored, spread(model, real, options))

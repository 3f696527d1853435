"""Classes added to a trained last layer by their vectors alone (paper section 2.2, step 2): only the new rows learn."""

from collections.abc import Iterator, Sequence

import torch

from zeroshot.cache import pools
from zeroshot.pixel_classifiers import pixel_classifier
from zeroshot.zs3net import feature_source
from zeroshot.zs3net.classifiers import batches, fine_tuning, last_layer


def add(
    classifier: pixel_classifier.PixelClassifier,
    real: pools.Pool,
    source: feature_source.FeatureSource,
    labels: Sequence[int],
    options: fine_tuning.Params,
) -> Iterator[tuple[dict[str, float], pixel_classifier.PixelClassifier]]:
    """Train rows for new classes against all classes of a trained classifier, whose rows do not change.

    The seen bias and the side window stay as well: they were chosen for classes without masks, and the new ones are such classes.

    Args:
        classifier: of the old classes.
        real: features of its seen classes.
        source: gives features of its unseen classes and of the new classes, and the device to train on.
        labels: label ids of the new classes, none of which the classifier has.
        options: with a number of steps; `trained_rows`, `init`, `distillation` and `among_unseen` have no effect.

    Yields:
        after each epoch {epoch, loss} and the classifier of the old and new classes so far.

    Raises:
        ValueError: if the classifier has one of the labels.
        training.DivergedError: at the first loss that is not finite.
    """
    known = set(classifier.labels.tolist()) & set(labels)
    if known:
        raise ValueError(f"the classifier already has the labels {sorted(known)}")
    old = classifier.to(source.device)
    synthetic = [*old.labels[old.unseen].tolist(), *labels]
    odds = real.sizes**options.class_balance
    weights = [
        len(real.labels),
        options.synthetic_ratio * fine_tuning.unit(real.labels, odds, options) * len(synthetic),
    ]
    n_real, n_synthetic = batches.sizes(weights, options.batch_size, "classifier")
    start = last_layer.extend(old, labels)
    yield from last_layer.train(
        start,
        [batches.of_pool(real, odds, n_real), batches.of_source(source, dict.fromkeys(synthetic, 1.0), n_synthetic)],
        options,
        "classifier",
        optimizer_name=options.optimizer,
        unseen_weight=options.unseen_weight,
        frozen=torch.arange(len(start.labels), device=old.labels.device) < len(old.labels),
    )

"""Zero-shot cross-validation over seen classes: rehearse the task with classes whose truth may be read (paper section 3.1)."""

import dataclasses
from collections.abc import Iterator

import numpy as np
import torch

from zs3 import calibration, classifier, gmmn, label_ids, neighbourhoods, pixel_classifier, pools
from zs3.shards import graphs as shard_graphs
from zs3.shards import rows


def bias_curves(
    sampled: rows.Rows,
    start: pixel_classifier.PixelClassifier,
    embeddings: torch.Tensor,
    gmmn_options: gmmn.Params,
    options: classifier.Params,
    device: torch.device,
    graphs: shard_graphs.Graphs | None = None,
) -> Iterator[tuple[list[int], list[float]]]:
    """Train generator and classifier without some seen classes and score them on training images, fold by fold.

    The backbone is not trained again, so its features know the held-out classes better than really unseen ones.

    Args:
        sampled: real features of seen classes, sorted by class, with their weights.
        start: the backbone's last layer over the seen classes.
        embeddings: (C, d_a) float32 of all classes.
        gmmn_options: how the generator is trained.
        options: how the classifier is trained, and the folds and biases to try.
        device: where to train.
        graphs: component graphs of the images that the rows come from; an image that shows a held-out class is not used.

    Yields:
        the held-out label ids and the hIoU at each bias, for each fold.
    """
    settings = options.calibration
    present = set(np.unique(sampled["label"]).tolist())
    candidates = [label for label in start.labels.tolist() if label != label_ids.BACKGROUND and label in present]
    for held_out in calibration.folds(candidates, settings.folds, settings.held_out, options.seed):
        kept = [label for label in start.labels.tolist() if label not in held_out]
        generator = gmmn.build(gmmn_options, embeddings, sampled["features"].shape[1], device)
        real = pools.select(sampled, kept)
        context = neighbourhoods.of_rows(graphs, sampled, kept)
        if context and gmmn_options.graph.context == "true_masks":
            places = gmmn_options.graph.contexts_per_class
            unseen = neighbourhoods.of_classes(graphs, held_out, places, gmmn_options.seed)
            context = dataclasses.replace(context, unseen=unseen)
        for _ in gmmn.fit(generator, real, context):
            pass
        for _, trained in classifier.fit(restrict(start, kept), real, generator, held_out, options):
            result = trained
        features = torch.from_numpy(sampled["features"])
        yield (
            held_out,
            calibration.hiou_by_bias(result, features, sampled["label"], sampled["weight"], settings.biases),
        )


def restrict(start: pixel_classifier.PixelClassifier, labels: list[int]) -> pixel_classifier.PixelClassifier:
    """Return the rows of `start` that belong to `labels`."""
    keep = torch.isin(start.labels, torch.tensor(labels))
    return dataclasses.replace(
        start,
        weight=start.weight[keep],
        bias=start.bias[keep],
        labels=start.labels[keep],
        unseen=start.unseen[keep],
    )

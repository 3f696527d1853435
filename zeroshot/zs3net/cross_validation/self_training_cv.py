"""Zero-shot cross-validation of self-training: held-out seen classes play unseen in images whose labels are hidden."""

import dataclasses
from collections.abc import Sequence

from zeroshot.cache import pools, rows
from zeroshot.zs3net.classifiers import self_training
from zeroshot.zs3net.cross_validation import folds, rehearsal, zero_shot_cv
from zeroshot.zs3net.pseudo_labels import selection


def rehearse(
    done: rehearsal.Rehearsal,
    hidden: rows.Rows,
    sampled: rows.Rows,
    seen_bias: float,
    labelling: selection.Params,
    options: self_training.Params,
    biases: Sequence[float],
) -> list[dict[str, float | None]]:
    """Go on from a rehearsal of ZS3Net: pseudo-label, train again, and score on the images that the fold keeps for evaluation.

    Args:
        done: what ZS3Net's rehearsal trained.
        hidden: rows of the fold's unlabelled images, even over each image and without labels (`hidden_rows.read`).
        sampled: real features of seen classes, sorted by class, with their weights and images.
        seen_bias: the bias with which ZS3Net labels.
        labelling: which pseudo-labels are kept.
        options: how the classifier is trained again.
        biases: taken off the seen logits when scoring.

    Returns:
        {seen, unseen, hIoU} at each bias.
    """
    model = dataclasses.replace(done.classifier, seen_bias=seen_bias)
    labels = model.labels.sort().values.tolist()
    kept = [label for label in labels if label not in done.fold.held_out]
    real = pools.select(folds.training_rows(done.fold, sampled, kept), kept)
    for _ in range(options.rounds):
        pseudo = pools.select(selection.select(model, hidden, labelling), labels)
        *_, (_, model) = self_training.fit(model, real, pseudo, done.generator, done.fold.held_out, options)
    return zero_shot_cv.score(done.fold, model, sampled, biases)

"""The class of a pixel and its confidence, from the outputs of a classifier with or without a seen mask.

Outputs are linear in the features, so they are averaged over views and upsampled before anything is decided.
"""

import dataclasses

import torch

from zeroshot.pixel_classifiers import masked_classifier, pixel_classifier


def outputs(classifier: masked_classifier.Classifier, features: torch.Tensor) -> torch.Tensor:
    """Return the outputs (m, k) float32 of features (m, d).

    They are the calibrated logits of the n classes. A seen mask has one more, the log-odds of the seen side less their threshold.
    """
    if isinstance(classifier, pixel_classifier.PixelClassifier):
        return classifier.logits(features)
    logits = dataclasses.replace(classifier.classifier, seen_bias=0.0).logits(features)
    return torch.cat([logits, (classifier.log_odds(features) - classifier.seen_bias)[:, None]], dim=1)


def probabilities(classifier: masked_classifier.Classifier, outputs: torch.Tensor) -> torch.Tensor:
    """Return the probabilities (k, ...) of outputs (k, ...): that of each class, and with a seen mask last that of the seen side.

    Without a mask, they are the softmax of the logits. With a mask, the probability of a class is that of its side, where the threshold
    has the probability 0.5, times the softmax among the classes of this side. A side without a class has the probability 0.
    """
    if isinstance(classifier, pixel_classifier.PixelClassifier):
        return outputs.softmax(0)
    seen = outputs[-1].sigmoid()
    if classifier.unseen_side.all() or not classifier.unseen_side.any():
        seen = torch.full_like(seen, 0.0 if classifier.unseen_side.all() else 1.0)
    result = torch.empty_like(outputs)
    for side, probability in ((~classifier.unseen_side, seen), (classifier.unseen_side, 1 - seen)):
        rows = torch.nonzero(side).flatten()
        result[rows] = outputs[rows].softmax(0) * probability
    result[-1] = seen
    return result


def choose(classifier: masked_classifier.Classifier, probabilities: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the row of the chosen class (...) int64 and its probability (...) float32.

    It is the likeliest class; with a seen mask, the likeliest of the likelier side, so a class of the other side may be likelier.

    Args:
        classifier: n classes.
        probabilities: (k, ...) as `probabilities` returns them, or their mean over pixels.
    """
    if isinstance(classifier, pixel_classifier.PixelClassifier):
        best = probabilities.max(0)
        return best.indices, best.values
    on_unseen_side = classifier.unseen_side.view(-1, *[1] * (probabilities.ndim - 1))
    chosen_side = on_unseen_side == (probabilities[-1] < 0.5)
    best = probabilities[:-1].masked_fill(~chosen_side, -1.0).max(0)
    return best.indices, best.values

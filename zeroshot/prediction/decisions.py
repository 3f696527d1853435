"""The class of a pixel and its confidence, from the outputs of a classifier with or without sides.

Sides come from a seen mask or from a side window (`PixelClassifier.unseen_side`). Outputs are linear in the features up to the last step,
`with_margin`, so they are averaged over views before it; what it returns is upsampled before anything is decided.
"""

import dataclasses

import torch

from zeroshot.pixel_classifiers import masked_classifier, pixel_classifier, side_window


def outputs(classifier: masked_classifier.Classifier, features: torch.Tensor) -> torch.Tensor:
    """Return the outputs (m, k) float32 of features (m, d).

    They are the calibrated logits of the n classes. A seen mask has one more, the log-odds of the seen side less their threshold.
    """
    if isinstance(classifier, pixel_classifier.PixelClassifier):
        return classifier.logits(features)
    logits = dataclasses.replace(classifier.classifier, seen_bias=0.0).logits(features)
    return torch.cat([logits, (classifier.log_odds(features) - classifier.seen_bias)[:, None]], dim=1)


def with_means(classifier: masked_classifier.Classifier, outputs: torch.Tensor) -> torch.Tensor:
    """Return the outputs (k, h, w) of a whole map, and with a side window after them their means over it, (2 k, h, w)."""
    window = _window(classifier)
    return outputs if window == 1 else torch.cat([outputs, side_window.average(outputs[None], window)[0]])


def with_margin(classifier: masked_classifier.Classifier, outputs: torch.Tensor) -> torch.Tensor:
    """Return what is upsampled, (k, h, w): the logits of the n classes, and with sides last the margin of the seen side.

    Args:
        classifier: n classes.
        outputs: from `with_means`, or their mean over views.
    """
    if _window(classifier) == 1:
        return outputs
    logits, means = outputs.chunk(2)
    margin = side_window.margin(means[None, ~classifier.unseen], means[None, classifier.unseen])[0]
    return torch.cat([logits, margin])


def probabilities(classifier: masked_classifier.Classifier, outputs: torch.Tensor) -> torch.Tensor:
    """Return the probabilities (k, ...) of outputs (k, ...): that of each class, and with sides last that of the seen side.

    Without sides, they are the softmax of the logits. With sides, the probability of a class is that of its side, where the threshold
    has the probability 0.5, times the softmax among the classes of this side. A side without a class has the probability 0.

    Args:
        classifier: n classes.
        outputs: from `with_margin`, upsampled.
    """
    unseen_side = classifier.unseen_side
    if unseen_side is None:
        return outputs.softmax(0)
    seen = outputs[-1].sigmoid()
    if unseen_side.all() or not unseen_side.any():
        seen = torch.full_like(seen, 0.0 if unseen_side.all() else 1.0)
    result = torch.empty_like(outputs)
    for side, probability in ((~unseen_side, seen), (unseen_side, 1 - seen)):
        rows = torch.nonzero(side).flatten()
        result[rows] = outputs[rows].softmax(0) * probability
    result[-1] = seen
    return result


def choose(classifier: masked_classifier.Classifier, probabilities: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the row of the chosen class (...) int64 and its probability (...) float32.

    It is the likeliest class; with sides, the likeliest of the likelier side, so a class of the other side may be likelier.

    Args:
        classifier: n classes.
        probabilities: (k, ...) as `probabilities` returns them, or their mean over pixels.
    """
    if classifier.unseen_side is None:
        best = probabilities.max(0)
        return best.indices, best.values
    on_unseen_side = classifier.unseen_side.view(-1, *[1] * (probabilities.ndim - 1))
    chosen_side = on_unseen_side == (probabilities[-1] < 0.5)
    best = probabilities[:-1].masked_fill(~chosen_side, -1.0).max(0)
    return best.indices, best.values


def _window(classifier: masked_classifier.Classifier) -> int:
    """Return the side window of a classifier that chooses a side by it, and 1 for others."""
    if isinstance(classifier, masked_classifier.MaskedClassifier) or classifier.unseen_side is None:
        return 1
    return classifier.side_window

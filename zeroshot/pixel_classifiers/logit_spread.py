"""The scale of a classifier's logits, as the unit of a seen bias."""

import torch

from zeroshot.cache import pools
from zeroshot.pixel_classifiers import pixel_classifier

# Features that the spread is taken over.
N_FEATURES = 4096


def of(classifier: pixel_classifier.PixelClassifier, real: pools.Pool, odds: torch.Tensor, seed: int) -> float:
    """Return the standard deviation of the logits of seen classes at one pixel.

    The scale of logits differs a hundredfold between methods, and between backbones for one method. This unit makes biases comparable.
    It is the root of the variance over seen classes, averaged over sampled features.

    Args:
        classifier: of seen and unseen classes.
        real: features of seen classes.
        odds: (classes of `real`,) how often each class is sampled, relative to the others.
        seed: of the sample.
    """
    random = torch.Generator().manual_seed(seed)
    class_indices = torch.multinomial(odds, N_FEATURES, replacement=True, generator=random)
    features = pools.draw(real, class_indices, random).to(classifier.device)
    logits = classifier.logits(features)[:, ~classifier.unseen]
    return logits.var(dim=1, correction=0).mean().sqrt().item()

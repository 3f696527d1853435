"""What the initial weights of the encoder were trained with: a record that every model, its metrics and every table carry."""

import pathlib
from collections.abc import Mapping
from typing import Literal

from zeroshot.base import errors

Pretraining = Literal["none", "self_supervised", "other_labels", "labels"]

# What the tables say of each.
SENTENCES: Mapping[Pretraining, str] = {
    "none": "The encoder started from random weights.",
    "self_supervised": "The encoder was pretrained on images without labels.",
    "other_labels": "The encoder was pretrained with labels, none of them of an unseen class.",
    "labels": "The encoder was pretrained with labels, which may include unseen classes.",
}
_NO_WEIGHTS = "none"


def check(pretraining: Pretraining, weights_path: pathlib.Path, section: str = "backbone") -> None:
    """Check that the record can be true of the weights.

    Args:
        pretraining: the key `pretraining` of the network's section.
        weights_path: the key `weights`; the name of an empty file selects the weights (`weights.read`). A missing file has no fault here.
        section: name of the section, for the text.

    Raises:
        errors.UserError: if random weights are said to be pretrained, loaded weights to be random, or torchvision's weights, which learnt
            from labels, to be self-supervised.
    """
    if not weights_path.exists():
        # `weights.read` names a missing file.
        return
    empty = weights_path.stat().st_size == 0
    random = empty and weights_path.name == _NO_WEIGHTS
    if random:
        possible = ("none",)
    elif empty:
        possible = ("labels", "other_labels")
    else:
        possible = ("labels", "other_labels", "self_supervised")
    if pretraining not in possible:
        kind = "random weights" if random else "torchvision's weights" if empty else "weights from a file"
        raise errors.UserError(
            f"{section}.pretraining: is {pretraining}, and {section}.weights, {weights_path}, selects {kind};"
            f" set it to {' or '.join(possible)}"
        )

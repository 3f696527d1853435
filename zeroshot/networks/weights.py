"""Initial weights of the encoder: from a file, from torchvision, or none. Incomplete weights are refused unless allowed."""

import pathlib

import torch

from zeroshot.base import checkpoints, errors
from zeroshot.networks import deeplab


class WeightsError(errors.UserError):
    """Raised when weights cannot be read or do not fit; the message names every missing, unexpected and misshapen key."""


def read(path: pathlib.Path, encoder: deeplab.Encoder) -> dict[str, torch.Tensor] | None:
    """Return the weights that the file of `backbone.weights` selects, None for random weights.

    The name of an empty file selects the weights: `none` for random weights, or the name of torchvision's weights, for example
    `IMAGENET1K_V1`. Any other file is a state dict.

    Raises:
        WeightsError: if the weights cannot be read, or if the name of an empty file selects no weights.
    """
    if path.is_file() and path.stat().st_size == 0:
        return None if path.name == "none" else read_torchvision(encoder, path.name, path)
    return read_file(path)


def read_file(path: str | pathlib.Path) -> dict[str, torch.Tensor]:
    """Read a state dict of a torchvision classification network.

    A `state_dict` entry is unwrapped and a `module.` prefix (DataParallel) removed.

    Raises:
        WeightsError: if the file is missing, is not a state dict, or could be read only by running code from it.
    """
    try:
        state = checkpoints.read(path)
    except checkpoints.CheckpointError as error:
        raise WeightsError(
            f"{error}; set backbone.weights to a state dict that torch.save wrote, and download a damaged file again"
        ) from error
    state = state.get("state_dict", state) if isinstance(state, dict) else state
    if not isinstance(state, dict) or not all(
        isinstance(key, str) and isinstance(value, torch.Tensor) for key, value in state.items()
    ):
        raise WeightsError(
            f"{path}: needs a state dict (names to tensors), but holds {type(state).__name__}; save `model.state_dict()` alone"
        )
    return {key.removeprefix("module."): value for key, value in state.items()}


def read_torchvision(encoder: deeplab.Encoder, enum: str, path: pathlib.Path) -> dict[str, torch.Tensor]:
    """Return weights of torchvision, for example `IMAGENET1K_V2`; torchvision downloads them on first use.

    Args:
        encoder: torchvision's name of the encoder.
        enum: torchvision's name of the weights.
        path: the empty file of that name, for error messages.

    Raises:
        WeightsError: if torchvision has no such weights (the message lists their names), or if the download fails.
    """
    import torchvision

    members = torchvision.models.get_model_weights(encoder)
    if enum not in members.__members__:
        raise WeightsError(
            f"{path}: is empty, and its name is not the name of any weights of {encoder}; set backbone.weights to a state dict, "
            f"or to an empty file named none or like torchvision's weights: {', '.join(members.__members__)}"
        )
    try:
        return members[enum].get_state_dict(progress=False, check_hash=True)
    except (OSError, RuntimeError) as error:
        raise WeightsError(
            f"{encoder} {enum}: cannot be downloaded: {error}; download the file yourself and set backbone.weights to its path"
        ) from error


def load_encoder(
    network: deeplab.DeepLabV3Plus, encoder: deeplab.Encoder, state: dict[str, torch.Tensor], partial: bool
) -> None:
    """Copy the weights of a torchvision classification network into the encoder of `network` (`stem` and `trunk`).

    Args:
        network: changed in place.
        encoder: torchvision's name of the encoder.
        state: state dict of the classification network, with its head.
        partial: accept a state dict with missing or unexpected keys, if at least one key fits.

    Raises:
        WeightsError: if keys are missing, unexpected or misshapen; with `partial`, if keys are misshapen or if no key fits.
    """
    import torchvision

    template = torchvision.models.get_model(encoder)
    expected = {key: value.shape for key, value in template.state_dict().items()}
    # Weights saved before PyTorch 0.4.1 have no batch counters. Torchvision's IMAGENET1K_V1 weights of the ResNets are among them.
    missing = [key for key in expected if key not in state and not key.endswith(".num_batches_tracked")]
    unexpected = [key for key in state if key not in expected]
    misshapen = [
        f"{key} {tuple(state[key].shape)} where {tuple(shape)} is needed"
        for key, shape in expected.items()
        if key in state and state[key].shape != shape
    ]
    faults = {"misshapen": misshapen}
    if not partial or expected.keys().isdisjoint(state):
        faults = {"missing": missing, "unexpected": unexpected, **faults}
    if any(faults.values()):
        lines = [f"  {kind} ({len(keys)}): {', '.join(keys)}" for kind, keys in faults.items() if keys]
        hint = [] if partial else ["  set backbone.partial_weights: true to load a partial checkpoint"]
        raise WeightsError("\n".join([f"weights do not fit {encoder}", *lines, *hint]))
    template.load_state_dict(state, strict=False)
    stem, trunk, _, _ = deeplab.cut_encoder(encoder, template, network.output_stride)
    network.stem.load_state_dict(stem.state_dict())
    network.trunk.load_state_dict(trunk.state_dict())

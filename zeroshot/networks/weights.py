"""Initial weights of the trunk: from a file, from torchvision, or none; never half a network by accident."""

import pathlib

import torch

from zeroshot.base import errors
from zeroshot.networks import deeplab


class WeightsError(errors.UserError):
    """Raised when weights cannot be read or do not fit; the text names every missing, unexpected and misshapen key."""


def read(path: pathlib.Path, encoder: deeplab.Encoder) -> dict[str, torch.Tensor] | None:
    """Return the weights that a file stands for (`backbone.weights`).

    An empty file stands for what its name says: `none` for no weights, `IMAGENET1K_V1` and the like for torchvision's own.

    Raises:
        WeightsError: if the weights cannot be read, or an empty file has any other name.
    """
    if path.is_file() and path.stat().st_size == 0:
        return None if path.name == "none" else read_torchvision(encoder, path.name, path)
    return read_file(path)


def read_file(path: str | pathlib.Path) -> dict[str, torch.Tensor]:
    """Read a state dict of a torchvision classification network.

    A `state_dict` entry is unwrapped and a `module.` prefix (DataParallel) removed.

    Raises:
        WeightsError: if the file is missing, is no state dict, or would have to run code to be read.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # The unpickler may raise anything on a file that is no checkpoint.
        cause = f"{type(error).__name__} {error}".rstrip()
        raise WeightsError(f"{path}: cannot be read as PyTorch weights: {cause}") from error
    state = state.get("state_dict", state) if isinstance(state, dict) else state
    if not isinstance(state, dict) or not all(
        isinstance(key, str) and isinstance(value, torch.Tensor) for key, value in state.items()
    ):
        raise WeightsError(f"{path}: needs a state dict (names to tensors), found {type(state).__name__}")
    return {key.removeprefix("module."): value for key, value in state.items()}


def read_torchvision(encoder: deeplab.Encoder, enum: str, path: pathlib.Path) -> dict[str, torch.Tensor]:
    """Return torchvision's own weights, for example `IMAGENET1K_V2`; torchvision downloads them on first use.

    Args:
        encoder: the torchvision name of the trunk.
        enum: the name of the weights.
        path: the empty file that asked for them, for messages.

    Raises:
        WeightsError: naming the enum's members if `enum` is not one of them, or if they cannot be downloaded.
    """
    import torchvision

    members = torchvision.models.get_model_weights(encoder)
    if enum not in members.__members__:
        raise WeightsError(
            f"{path}: is empty, and its name stands for no weights of {encoder}; set backbone.weights to a state dict, or to an "
            f"empty file named none or as torchvision's weights: {', '.join(members.__members__)}"
        )
    try:
        return members[enum].get_state_dict(progress=False, check_hash=True)
    except (OSError, RuntimeError) as error:
        raise WeightsError(
            f"{encoder} {enum}: cannot be downloaded: {error}; fetch the file yourself and set backbone.weights to its path"
        ) from error


def load_encoder(
    network: deeplab.DeepLabV3Plus, encoder: deeplab.Encoder, state: dict[str, torch.Tensor], partial: bool
) -> None:
    """Copy a torchvision classification network's weights into the trunk of `network`.

    Args:
        network: changed in place.
        encoder: the torchvision name of the trunk.
        state: the classification network's state dict, head included.
        partial: accept a state dict that lacks keys or has others besides; without it every key must be there.

    Raises:
        WeightsError: listing each missing, unexpected or misshapen key; with `partial`, only misshapen ones or if nothing fits.
    """
    import torchvision

    template = torchvision.models.get_model(encoder)
    expected = {key: value.shape for key, value in template.state_dict().items()}
    # Weights saved before PyTorch 0.4.1, torchvision's IMAGENET1K_V1 of the ResNets among them, have no such counters.
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
        hint = [] if partial else ["  a partial checkpoint is loaded only with backbone.partial_weights: true"]
        raise WeightsError("\n".join([f"weights do not fit {encoder}", *lines, *hint]))
    template.load_state_dict(state, strict=False)
    stem, trunk, _, _ = deeplab.cut_encoder(encoder, template, network.output_stride)
    network.stem.load_state_dict(stem.state_dict())
    network.trunk.load_state_dict(trunk.state_dict())

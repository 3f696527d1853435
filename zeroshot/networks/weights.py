"""Initial weights of the encoder: from a file as published, from torchvision, or none. Weights of a part of it are refused."""

import argparse
import functools
import pathlib
import typing
import zipfile
from collections.abc import Collection, Mapping
from typing import Literal

import torch
from torch import nn

from zeroshot.base import checkpoints, errors
from zeroshot.networks import deeplab, fcn32s, segmentation_network

Encoder = Literal[deeplab.Encoder, fcn32s.Encoder]
# Encoders of any network, with those that detectors alone have.
AnyEncoder = Literal[Encoder, "mobilenet_v3_large"]
# Entries of a training checkpoint that hold the network, best first. DINO evaluates the teacher; the others have one network.
_ENTRIES = ("state_dict", "model", "teacher", "student")
# Prefixes that DataParallel, DistributedDataParallel and torch.compile add.
_WRAPPERS = ("module.", "_orig_mod.")
# Prefixes of the encoder, best first: MoCo v1 and v2; MoCo v3; DINO, VICReg, Barlow Twins and SSCD; the second networks of MoCo v3 and
# of MoCo v1 and v2; torchvision, SwAV, and published files with the encoder alone.
_PREFIXES = ("encoder_q.", "base_encoder.", "backbone.", "momentum_encoder.", "encoder_k.", "")
# First parts of the names of torchvision's encoders, ResNet, MobileNet and VGG.
_TRUNKS = ("conv1.", "bn1.", "layer1.", "layer2.", "layer3.", "layer4.", "features.")
# First parts of the names beside an encoder, which are not needed: heads, second networks, and MoCo's queue.
_HEADS = frozenset(
    ("fc", "classifier", "aux_classifier", "head", "projector", "projection_head", "prototypes", "predictor")
    + ("embeddings", "bn", "queue", "queue_ptr")
)
_SECOND_NETWORKS = frozenset(prefix.rstrip(".") for prefix in _PREFIXES if prefix)
# Most names of weights in a message.
_MAX_NAMES = 5
# Least share of names and shapes in common with another encoder for the message to name that.
_LOOKS_LIKE = 0.5


class WeightsError(errors.UserError):
    """Raised when weights cannot be read or do not fit; the message says what they are, or names some that are wrong."""


def read(path: pathlib.Path, encoder: AnyEncoder, section: str = "backbone") -> dict[str, torch.Tensor] | None:
    """Return the weights that the file of the key `weights` of a network's section selects, None for random weights.

    The name of an empty file selects the weights: `none` for random weights, or the name of torchvision's weights, for example
    `IMAGENET1K_V1`. Any other file is a state dict.

    Raises:
        WeightsError: if the weights cannot be read, or if the name of an empty file selects no weights.
    """
    if path.is_file() and path.stat().st_size == 0:
        return None if path.name == "none" else read_torchvision(encoder, path.name, path, section)
    return read_file(path, section)


def read_file(path: str | pathlib.Path, section: str = "backbone") -> dict[str, torch.Tensor]:
    """Read the state dict of an encoder, alone or in a training checkpoint, as `load_encoder` needs it.

    The entry of the network is unwrapped; prefixes of wrappers and of the encoder are removed. Layouts: torchvision, MoCo v1 to v3,
    DINO, SwAV, VICReg, Barlow Twins and SSCD.

    Raises:
        WeightsError: if the file is missing, is not a state dict, or could be read only by running code from it.
    """
    if _is_torchscript(path):
        raise WeightsError(
            f"{path}: is a TorchScript file, which holds code; if you trust it, save its weights alone, "
            f"`torch.save(torch.jit.load({str(path)!r}).state_dict(), 'weights.pth')`, and set {section}.weights to that file"
        )
    try:
        # DINO's checkpoints have the command line's arguments, a class without code of its own.
        with torch.serialization.safe_globals([argparse.Namespace]):
            state = checkpoints.read(path)
    except checkpoints.CheckpointError as error:
        raise WeightsError(
            f"{error}; set {section}.weights to a state dict that torch.save wrote, and download a damaged file again"
        ) from error
    if isinstance(state, dict):
        state = next((state[entry] for entry in _ENTRIES if isinstance(state.get(entry), dict)), state)
    if not isinstance(state, dict) or not all(
        isinstance(key, str) and isinstance(value, torch.Tensor) for key, value in state.items()
    ):
        raise WeightsError(
            f"{path}: needs a state dict (names to tensors), but holds {type(state).__name__}; save `model.state_dict()` alone"
        )
    return _encoder_alone(state)


def read_torchvision(
    encoder: AnyEncoder, enum: str, path: pathlib.Path, section: str = "backbone"
) -> dict[str, torch.Tensor]:
    """Return weights of torchvision, for example `IMAGENET1K_V2`; torchvision downloads them on first use.

    Args:
        encoder: name of the encoder.
        enum: torchvision's name of the weights.
        path: the empty file of that name, for error messages.
        section: name of the network's section, for error messages.

    Raises:
        WeightsError: if torchvision has no such weights (the message lists their names), or if the download fails.
    """
    import torchvision

    members = torchvision.models.get_model_weights(_torchvision_name(encoder))
    if enum not in members.__members__:
        raise WeightsError(
            f"{path}: is empty, and its name is not the name of any weights of {encoder}; set {section}.weights to a state dict, "
            f"or to an empty file named none or like torchvision's weights: {', '.join(members.__members__)}"
        )
    try:
        return members[enum].get_state_dict(progress=False, check_hash=True)
    except (OSError, RuntimeError) as error:
        raise WeightsError(
            f"{encoder} {enum}: cannot be downloaded: {error}; download the file yourself and set {section}.weights to its path"
        ) from error


def load_encoder(
    network: segmentation_network.SegmentationNetwork,
    encoder: Encoder,
    state: Mapping[str, torch.Tensor],
    where: str,
    section: str = "backbone",
) -> None:
    """Copy the weights of a torchvision classification network into the encoder of `network` (`stem` and `trunk`).

    Args:
        network: changed in place.
        encoder: name of the encoder.
        state: state dict with all weights of stem and trunk; heads are ignored.
        where: the file or the name of the weights, for messages.
        section: name of the network's section, for messages.

    Raises:
        WeightsError: if weights of stem or trunk are missing, misshapen or not finite, or others are there that are not those of a known
            head. If they are those of another encoder, the text names it; else it has up to `_MAX_NAMES` of the names.
    """
    if isinstance(network, fcn32s.FCN32s):
        views = fcn32s.torchvision_views(network)
        _check(state, {name: view.shape for name, view in views.items()}, views.keys(), encoder, where, section)
        for name, view in views.items():
            view.copy_(state[name])
        return
    assert isinstance(network, deeplab.DeepLabV3Plus) and encoder != "vgg16_fcn32s"
    import torchvision

    template = torchvision.models.get_model(encoder)
    stem, trunk, _, _ = deeplab.cut_encoder(encoder, template, network.output_stride)
    names = _trunk_names(template, stem, trunk)
    shapes = {name: template.state_dict()[name].shape for name in names}
    _check(state, shapes, template.state_dict().keys(), encoder, where, section)
    template.load_state_dict({name: state[name] for name in names if name in state}, strict=False)
    network.stem.load_state_dict(stem.state_dict())
    network.trunk.load_state_dict(trunk.state_dict())


def load_body(
    body: nn.Module,
    prefix: str,
    encoder: AnyEncoder,
    state: Mapping[str, torch.Tensor],
    where: str,
    section: str,
) -> None:
    """Copy the weights of a torchvision classification network into its body, the network without its head.

    Args:
        body: changed in place; its weights have torchvision's names after `prefix`.
        prefix: what torchvision's names have before those of the body.
        encoder, state, where, section: as in `load_encoder`.

    Raises:
        WeightsError: for the reasons of `load_encoder`.
    """
    shapes = {prefix + name: value.shape for name, value in body.state_dict().items()}
    _check(state, shapes, _torchvision_state(encoder).keys(), encoder, where, section)
    known = {name.removeprefix(prefix): state[name] for name in shapes if name in state}
    body.load_state_dict(known, strict=False)


def _check(
    state: Mapping[str, torch.Tensor],
    shapes: Mapping[str, torch.Size],
    known: Collection[str],
    encoder: AnyEncoder,
    where: str,
    section: str,
) -> None:
    """Check that a state dict has the needed weights.

    Args:
        state: the state dict.
        shapes: name of each needed weight -> its shape.
        known: names that may be there, apart from those of heads.
        encoder, where, section: as in `load_encoder`.

    Raises:
        WeightsError: for the reasons of `load_encoder`.
    """
    missing = [name for name in shapes if name not in state and not _is_counter(name)]
    unexpected = [
        name for name in state if name not in known and name.partition(".")[0] not in _HEADS | _SECOND_NETWORKS
    ]
    misshapen = [
        f"{name} {tuple(state[name].shape)} where {tuple(shape)} is needed"
        for name, shape in shapes.items()
        if name in state and state[name].shape != shape
    ]
    faults = {"missing": missing, "unexpected": unexpected, "misshapen": misshapen}
    if any(faults.values()):
        raise WeightsError(f"{where}: {_describe(faults, encoder, state, section)}")
    # Torchvision's IMAGENET1K_FEATURES of VGG-16 has NaN in the layers that it lacks.
    not_finite = [name for name in shapes if name in state and not state[name].isfinite().all()]
    if not_finite:
        raise WeightsError(
            f"{where}: values of {', '.join(not_finite[:_MAX_NAMES])} are not finite; set {section}.weights to other weights"
        )


def _is_torchscript(path: str | pathlib.Path) -> bool:
    """Return whether the file is an archive with the constants that TorchScript's code refers to, which torch.save does not write."""
    # A pipe or a device would be read without end.
    if not pathlib.Path(path).is_file() or not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(pathlib.PurePath(name).name == "constants.pkl" for name in archive.namelist())


def _encoder_alone(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the state dict with the encoder's weights named as in torchvision; weights beside it keep their names."""
    plain = {}
    for name, value in state.items():
        while wrapper := next((prefix for prefix in _WRAPPERS if name.startswith(prefix)), None):
            name = name.removeprefix(wrapper)
        plain[name] = value
    for prefix in _PREFIXES:
        if any(name.startswith(tuple(prefix + trunk for trunk in _TRUNKS)) for name in plain):
            return {name.removeprefix(prefix): value for name, value in plain.items()}
    return plain


def _trunk_names(template: nn.Module, stem: nn.Module, trunk: nn.Module) -> list[str]:
    """Return the names in `template` of the weights and statistics of two of its parts."""
    parts = {id(value) for part in (stem, trunk) for value in part.state_dict(keep_vars=True).values()}
    return [name for name, value in template.state_dict(keep_vars=True).items() if id(value) in parts]


def _is_counter(name: str) -> bool:
    # Weights saved before PyTorch 0.4.1 have no batch counters. Torchvision's IMAGENET1K_V1 weights of the ResNets are among them.
    return name.endswith(".num_batches_tracked")


def _torchvision_name(encoder: AnyEncoder) -> str:
    return fcn32s.TORCHVISION if encoder in typing.get_args(fcn32s.Encoder) else encoder


def _describe(
    faults: Mapping[str, list[str]], encoder: AnyEncoder, state: Mapping[str, torch.Tensor], section: str
) -> str:
    """Return the encoder that the weights look like if it is not `encoder`, else a line for each kind of fault."""
    similar = {name: _similarity(name, state) for name in typing.get_args(deeplab.Encoder)}
    best = max(similar, key=lambda name: similar[name])
    if best != encoder and similar[best] > _LOOKS_LIKE:
        return f"looks like {best}, but {section}.encoder is {encoder}; change one of them"
    kinds = {kind: names for kind, names in faults.items() if names}
    shown = _MAX_NAMES // len(kinds)
    lines = [
        f"  {kind} ({len(names)}): {', '.join(names[:shown])}{', ...' if len(names) > shown else ''}"
        for kind, names in kinds.items()
    ]
    return "\n".join(
        [
            f"does not fit {encoder}, the encoder of {section}.encoder",
            *lines,
            f"  {section}.weights needs all weights of the encoder, named as in torchvision, MoCo, DINO, SwAV, VICReg, Barlow Twins or "
            "SSCD; a head is not needed",
        ]
    )


def _similarity(encoder: AnyEncoder, state: Mapping[str, torch.Tensor]) -> float:
    """Return the number of weights with the same name and shape in `state` and the encoder, divided by the number in either."""
    ours, theirs = _trunk_shapes(_torchvision_state(encoder)), _trunk_shapes(state)
    return len(ours & theirs) / len(ours | theirs)


@functools.cache
def _torchvision_state(encoder: AnyEncoder) -> Mapping[str, torch.Tensor]:
    import torchvision

    with torch.device("meta"):
        return torchvision.models.get_model(encoder).state_dict()


def _trunk_shapes(state: Mapping[str, torch.Tensor]) -> set[tuple[str, torch.Size]]:
    return {(name, value.shape) for name, value in state.items() if name.startswith(_TRUNKS) and not _is_counter(name)}

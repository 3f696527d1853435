"""The settings to try: alternatives of parameters from the command line, all checked before the first job."""

import copy
import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from zeroshot.base import errors, params
from zeroshot.zs3net.classifiers import fine_tuning, self_training
from zeroshot.zs3net.fold_training import self_training_folds
from zeroshot.zs3net.generators import registry
from zeroshot.zs3net.pseudo_labels import selection

# The sections whose parameters take effect on cached features.
SECTIONS = {
    "gmmn": registry.Params,
    "classifier": fine_tuning.Params,
    "pseudo_labels": selection.Params,
    "self_training": self_training.Params,
}
_SELF_TRAINING = ("pseudo_labels", "self_training")
_AGREEMENT = (
    f"pseudo_labels.rule: {self_training_folds.NO_AGREEMENT}; give another rule, such as pseudo_labels.rule=per_image"
)


@dataclasses.dataclass(frozen=True)
class Setting:
    """One choice of all parameters.

    Attributes:
        values: full key -> value of every parameter on the command line.
        changes: those values that differ from params.yaml.
        options: section -> its dataclass with these values.
    """

    values: dict[str, Any]
    changes: dict[str, Any]
    options: dict[str, Any]


def parse(words: Sequence[str]) -> dict[str, list[Any]]:
    """Read `section.key=VALUE,VALUE,...`, values being YAML, into full key -> its alternatives.

    Raises:
        errors.UserError: with one line for every word that has another form or repeats a key.
    """
    axes: dict[str, list[Any]] = {}
    faults = []
    for word in words:
        key, equals, text = word.partition("=")
        try:
            values = params.parse(f"values: [{text}]", key)["values"] if equals else []
        except params.ParamsError:
            values = []
        if not values:
            faults.append(f"{word}: write section.key=VALUE,VALUE,... with YAML values, such as gmmn.lr=0.001,0.002")
        elif key in axes:
            faults.append(f"{key}: is given twice; give all its values in one list")
        else:
            axes[key] = values
    _raise_if_any(faults)
    return axes


def scores_zs5net(axes: Mapping[str, Sequence[Any]]) -> bool:
    """Return whether a parameter of self-training is varied, so that ZS5Net is scored instead of ZS3Net."""
    return any(key.partition(".")[0] in _SELF_TRAINING for key in axes)


def settings(
    document: Mapping[str, Mapping[str, Any]], axes: Mapping[str, Sequence[Any]], one_at_a_time: bool
) -> list[Setting]:
    """Return the settings to try, without repetition.

    Args:
        document: content of params.yaml, section -> keys and values.
        axes: full key -> alternatives.
        one_at_a_time: try the values of `document` and each alternative alone, instead of all combinations. In both cases, a key with
            a single alternative has that value in every setting.

    Raises:
        errors.UserError: with one line for every section or key that cannot be varied, and for every invalid key or value.
    """
    _raise_if_any([fault for key in axes if (fault := _key_fault(key, document))])
    present = {key: _value(document, key) for key in axes}
    if one_at_a_time:
        fixed = present | {key: values[0] for key, values in axes.items() if len(values) == 1}
        alone = ({**fixed, key: value} for key, values in axes.items() if len(values) > 1 for value in values)
        choices = [fixed, *alone]
    else:
        choices = [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]
    unique: dict[tuple[Any, ...], Setting] = {}
    faults: dict[str, None] = {}
    for choice in choices:
        options = {}
        for name, values in _changed(document, choice).items():
            try:
                options[name] = params.build(values, SECTIONS[name], name)
            except params.ParamsError as error:
                faults |= dict.fromkeys(line.strip() for line in str(error).splitlines()[1:])
        if scores_zs5net(axes) and "pseudo_labels" in options and options["pseudo_labels"].rule == "agreement":
            faults[_AGREEMENT] = None
        changes = {key: value for key, value in choice.items() if value != present[key]}
        unique.setdefault(tuple(options.values()), Setting(choice, changes, options))
    _raise_if_any(list(faults))
    return list(unique.values())


def _changed(document: Mapping[str, Mapping[str, Any]], choice: Mapping[str, Any]) -> dict[str, Any]:
    """Return the sections that can be varied, with the values of `choice` (full key -> value)."""
    changed: dict[str, Any] = copy.deepcopy({name: document[name] for name in SECTIONS})
    for key, value in choice.items():
        *parents, last = key.split(".")
        node: dict[str, Any] = changed
        for parent in parents:
            node = node[parent]
        node[last] = value
    return changed


def _key_fault(key: str, document: Mapping[str, Any]) -> str | None:
    """Return why a key cannot be varied; None if it can."""
    section, *path = key.split(".")
    if section not in SECTIONS:
        return f"{key}: this section cannot be varied; choose from {', '.join(SECTIONS)}"
    if path[:1] in (["calibration"], ["biases"]):
        return (
            f"{key}: cannot be varied; every setting is scored at the best bias of params.yaml, and"
            " --folds, --held-out and --seed set the folds"
        )
    node = document[section]
    for depth, name in enumerate(path[:-1], 1):
        if not isinstance(node.get(name), dict):
            return f"{key}: {'.'.join([section, *path[:depth]])} has no keys"
        node = node[name]
    return None if path else f"{key}: name a key of the section, such as {section}.{next(iter(document[section]))}"


def _value(document: Mapping[str, Any], key: str) -> Any:
    node: Any = document
    for part in key.split("."):
        node = node.get(part)
    return node


def _raise_if_any(faults: Sequence[str]) -> None:
    if faults:
        raise errors.UserError(params.listed("command line", faults))

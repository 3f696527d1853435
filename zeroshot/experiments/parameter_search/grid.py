"""Which settings are tried: alternatives of parameters from the command line, checked before any work."""

import copy
import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from zeroshot.base import errors, params
from zeroshot.zs3net.classifiers import fine_tuning, self_training
from zeroshot.zs3net.cross_validation import self_training_folds
from zeroshot.zs3net.generators import registry
from zeroshot.zs3net.pseudo_labels import selection

# The sections whose parameters act on cached features.
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
        values: full key -> value of every parameter that the command line names.
        changes: those of them that params.yaml has otherwise.
        options: section -> its dataclass.
    """

    values: dict[str, Any]
    changes: dict[str, Any]
    options: dict[str, Any]


def parse(words: Sequence[str]) -> dict[str, list[Any]]:
    """Read `section.key=VALUE,VALUE,...`, values being YAML, into full key -> its alternatives.

    Raises:
        errors.UserError: with one line for every word that is not of this form, or has the key of an earlier one.
    """
    axes: dict[str, list[Any]] = {}
    faults = []
    for word in words:
        key, equals, text = word.partition("=")
        try:
            values = yaml.safe_load(f"[{text}]") if equals else []
        except yaml.YAMLError:
            values = []
        if not values:
            faults.append(f"{word}: write section.key=VALUE,VALUE,... with YAML values, such as gmmn.lr=0.001,0.002")
        elif key in axes:
            faults.append(f"{key}: stands twice; put all its values into one list")
        else:
            axes[key] = values
    _refuse(faults)
    return axes


def trains_again(axes: Mapping[str, Sequence[Any]]) -> bool:
    """Return whether a parameter of self-training is among those varied, so that it is ZS5Net that is scored."""
    return any(key.partition(".")[0] in _SELF_TRAINING for key in axes)


def settings(
    document: Mapping[str, Mapping[str, Any]], axes: Mapping[str, Sequence[Any]], one_at_a_time: bool
) -> list[Setting]:
    """Return the settings to try, none twice.

    Args:
        document: section -> keys and values, what params.yaml holds.
        axes: full key -> alternatives.
        one_at_a_time: instead of all combinations: the values of `document`, then each alternative alone. A key with a single
            alternative has that value in every setting, either way.

    Raises:
        errors.UserError: with one line for every section or key that cannot be varied, or every key and value that is wrong.
    """
    _refuse([fault for key in axes if (fault := _misplaced(key, document))])
    present = {key: _value(document, key) for key in axes}
    if one_at_a_time:
        fixed = present | {key: values[0] for key, values in axes.items() if len(values) == 1}
        alone = ({**fixed, key: value} for key, values in axes.items() if len(values) > 1 for value in values)
        choices = [fixed, *alone]
    else:
        choices = [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]
    found: dict[tuple[Any, ...], Setting] = {}
    faults: dict[str, None] = {}
    for choice in choices:
        options = {}
        for name, values in _changed(document, choice).items():
            try:
                options[name] = params.build(values, SECTIONS[name], name)
            except params.ParamsError as error:
                faults |= dict.fromkeys(line.strip() for line in str(error).splitlines()[1:])
        if trains_again(axes) and "pseudo_labels" in options and options["pseudo_labels"].rule == "agreement":
            faults[_AGREEMENT] = None
        changes = {key: value for key, value in choice.items() if value != present[key]}
        found.setdefault(tuple(options.values()), Setting(choice, changes, options))
    _refuse(list(faults))
    return list(found.values())


def _changed(document: Mapping[str, Mapping[str, Any]], choice: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of all sections that can be varied, with those of `choice` (full key -> value) put in."""
    changed: dict[str, Any] = copy.deepcopy({name: document[name] for name in SECTIONS})
    for key, value in choice.items():
        *parents, last = key.split(".")
        place: dict[str, Any] = changed
        for parent in parents:
            place = place[parent]
        place[last] = value
    return changed


def _misplaced(key: str, document: Mapping[str, Any]) -> str | None:
    """Return what is wrong with the place of a key, None if a value can be put there."""
    section, *path = key.split(".")
    if section not in SECTIONS:
        return f"{key}: no such section here; those that act on cached features are {', '.join(SECTIONS)}"
    if path[:1] in (["calibration"], ["biases"]):
        return (
            f"{key}: not varied, since every setting is scored at the best bias of params.yaml; folds are set by --folds, --held-out and"
            " --seed"
        )
    place = document[section]
    for depth, name in enumerate(path[:-1], 1):
        if not isinstance(place.get(name), dict):
            return f"{key}: {'.'.join([section, *path[:depth]])} holds no keys"
        place = place[name]
    return None if path else f"{key}: name a key of the section, such as {section}.{next(iter(document[section]))}"


def _value(document: Mapping[str, Any], key: str) -> Any:
    place: Any = document
    for part in key.split("."):
        place = place.get(part)
    return place


def _refuse(faults: Sequence[str]) -> None:
    if faults:
        raise errors.UserError(params.listed("command line", faults))

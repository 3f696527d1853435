"""Dotted keys, and the flags of `dvc exp run` compared with their effect in DVC."""

import copy
import pathlib

import pytest
import yaml
from dvc.utils import hydra, serialize

from tests.support import dag
from zeroshot.experiments import presets
from zeroshot.experiments.comparison import overrides

PRESETS = presets.names(dag.ROOT / presets.FOLDER)


def through_dvc(folder: pathlib.Path, current: dict, goal: dict) -> dict:
    """Return the parameters after DVC applied the flags from `current` to `goal`."""
    path = folder / "params.yaml"
    path.write_text(yaml.safe_dump(current))
    hydra.apply_overrides(path, overrides.flags({"params.yaml": current}, {"params.yaml": goal}))
    return serialize.load_yaml(path)


@pytest.mark.parametrize("second", PRESETS)
@pytest.mark.parametrize("first", PRESETS)
def test_flags_turn_any_preset_into_any_other(tmp_path, first, second):
    current, goal = (presets.read(name, dag.ROOT / presets.FOLDER) for name in (first, second))
    assert through_dvc(tmp_path, current, goal) == goal
    assert bool(overrides.flags({"params.yaml": current}, {"params.yaml": goal})) == (current != goal)


@pytest.mark.parametrize(
    "value",
    ["a b", "it's", "back\\slash", "end\\", "\\'", "1e-5", "12", "null", "True", "", "a,b", "k: v", "[x]", "ü", None, True, 0, 1.5, 5e-05]
    + [[], [1, 2.5], ["red-striped", "a b"], {"tvmonitor": ["tele vision", "set"]}],
    ids=repr,
)  # fmt: skip
def test_values_are_unchanged_by_the_flags(tmp_path, value):
    current, goal = {"s": {"key": "old", "other": 1}}, {"s": {"key": value, "other": 1}}
    result = through_dvc(tmp_path, current, goal)
    assert result == goal
    assert type(result["s"]["key"]) is type(value) or isinstance(value, dict | list)


def test_keys_of_only_one_file_are_added_and_removed(tmp_path):
    current, goal = {"s": {"removed": 1, "same": 2}}, {"s": {"same": 2, "new": [1]}}
    assert overrides.flags({"params.yaml": current}, {"params.yaml": goal}) == ["~s.removed", "+s.new=[1]"]
    assert through_dvc(tmp_path, current, goal) == goal


def test_merged_does_not_change_its_argument_and_lists_all_unknown_keys():
    base = {"params.yaml": {"a": {"b": 1, "c": {"d": [1]}}}, "szn/params.yaml": {"a": {"b": 1}}}
    before = copy.deepcopy(base)
    result = overrides.merged(base, {"a.c.d": [2], "a.b": 3, "szn/params.yaml:a.b": 4})
    assert result == {"params.yaml": {"a": {"b": 3, "c": {"d": [2]}}}, "szn/params.yaml": {"a": {"b": 4}}}
    assert base == before
    with pytest.raises(KeyError) as caught:
        overrides.merged(
            base, {"a.b": 1, "a.x": 1, "a.b.c": 1, "z": 1, "szn/params.yaml:a.c": 1, "own/params.yaml:a": 1}
        )
    assert caught.value.args == ("a.x", "a.b.c", "z", "szn/params.yaml:a.c", "own/params.yaml:a")


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (2, 2.0, True),
        ("5e-05", 5e-05, True),
        ([1, 2], (1, 2.0), True),
        (True, 1, False),
        ("1-2", "1-2", True),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ([1], [1, 1], False),
        (None, 0, False),
        ("nan", "nan", True),
    ],
)
def test_equality_of_values(first, second, expected):
    assert overrides.same(first, second) is expected
    assert overrides.same(second, first) is expected


def test_seed_keys_are_those_outside_of_fixed_sections():
    main = {"toy": {"seed": 0}, "gmmn": {"seed": 0, "lr": 1, "gan": {"seed": 1}}, "runtime": {"device": "cpu"}}
    base = {"params.yaml": main, "szn/params.yaml": {"toy": {"seed": 0}, "gmmn": {"seed": 0}}}
    keys = ["gmmn.seed", "gmmn.gan.seed", "szn/params.yaml:toy.seed"]
    assert overrides.seed_keys(base, ("toy", "szn/params.yaml:gmmn")) == keys

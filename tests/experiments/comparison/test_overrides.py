"""Dotted keys and the flags of `dvc exp run`, held against what DVC itself makes of them."""

import pathlib

import pytest
import yaml
from dvc.utils import hydra, serialize

from tests.support import dag
from zeroshot.experiments import presets
from zeroshot.experiments.comparison import overrides

PRESETS = presets.names(dag.ROOT / presets.FOLDER)


def through_dvc(folder: pathlib.Path, current: dict, wanted: dict) -> dict:
    """Return what DVC makes of `current` with the flags that lead to `wanted`."""
    path = folder / "params.yaml"
    path.write_text(yaml.safe_dump(current))
    hydra.apply_overrides(path, overrides.flags(current, wanted))
    return serialize.load_yaml(path)


@pytest.mark.parametrize("goal", PRESETS)
@pytest.mark.parametrize("start", PRESETS)
def test_flags_lead_from_any_preset_to_any_other(tmp_path, start, goal):
    current, wanted = (presets.read(name, dag.ROOT / presets.FOLDER) for name in (start, goal))
    assert through_dvc(tmp_path, current, wanted) == wanted
    assert bool(overrides.flags(current, wanted)) == (current != wanted)


@pytest.mark.parametrize(
    "value",
    ["a b", "it's", "back\\slash", "end\\", "\\'", "1e-5", "12", "null", "True", "", "a,b", "k: v", "[x]", "ü", None, True, 0, 1.5, 5e-05]
    + [[], [1, 2.5], ["red-striped", "a b"], {"tvmonitor": ["tele vision", "set"]}],
    ids=repr,
)  # fmt: skip
def test_every_value_arrives_as_it_is(tmp_path, value):
    current, wanted = {"s": {"key": "old", "other": 1}}, {"s": {"key": value, "other": 1}}
    found = through_dvc(tmp_path, current, wanted)
    assert found == wanted
    assert type(found["s"]["key"]) is type(value) or isinstance(value, dict | list)


def test_keys_that_only_one_file_has_are_added_and_removed(tmp_path):
    current, wanted = {"s": {"gone": 1, "kept": 2}}, {"s": {"kept": 2, "new": [1]}}
    assert overrides.flags(current, wanted) == ["~s.gone", "+s.new=[1]"]
    assert through_dvc(tmp_path, current, wanted) == wanted


def test_merged_leaves_its_argument_alone_and_names_all_unknown_keys():
    base = {"a": {"b": 1, "c": {"d": [1]}}}
    result = overrides.merged(base, {"a.c.d": [2], "a.b": 3})
    assert result == {"a": {"b": 3, "c": {"d": [2]}}}
    assert base == {"a": {"b": 1, "c": {"d": [1]}}}
    with pytest.raises(KeyError) as caught:
        overrides.merged(base, {"a.b": 1, "a.x": 1, "a.b.c": 1, "z": 1})
    assert caught.value.args == ("a.x", "a.b.c", "z")


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
def test_same(first, second, expected):
    assert overrides.same(first, second) is expected
    assert overrides.same(second, first) is expected


def test_seed_keys_are_all_but_those_of_fixed_sections():
    base = {"toy": {"seed": 0}, "gmmn": {"seed": 0, "lr": 1, "gan": {"seed": 1}}, "runtime": {"device": "cpu"}}
    assert overrides.seed_keys(base, ("toy",)) == ["gmmn.seed", "gmmn.gan.seed"]

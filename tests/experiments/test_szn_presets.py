"""szn/params.yaml and presets/szn/: complete, with comments, and for the same presets as params.yaml."""

import pytest
import yaml

from tests.experiments import test_presets
from tests.support import dag
from zeroshot.experiments import presets
from zeroshot.experiments.comparison import overrides

FOLDER = dag.ROOT / presets.FOLDERS["szn/params.yaml"]
DEFAULT = (FOLDER / "toy.yaml").read_text()
OVERLAYS = [name for name in presets.names(FOLDER) if name != presets.DEFAULT]


def test_szn_params_yaml_is_the_default():
    assert (dag.ROOT / "szn/params.yaml").read_text() == DEFAULT


@pytest.mark.parametrize("name", OVERLAYS)
def test_an_overlay_belongs_to_a_preset_and_has_only_different_values_with_comments(name):
    assert name in presets.names(dag.ROOT / presets.FOLDER)
    text = (FOLDER / f"{name}.yaml").read_text()
    default, changed = (test_presets.leaves(yaml.safe_load(one)) for one in (DEFAULT, text))
    assert [key for key, value in changed.items() if overrides.same(value, default[key])] == []
    assert list(changed) == [key for key in default if key in changed]
    assert changed.keys() <= presets.comments(text).keys()
    assert [line for line in text.splitlines() if len(line) > 120] == []
    merged = presets.text(name, FOLDER)
    assert test_presets.leaves(yaml.safe_load(merged)) == default | changed
    assert presets.comments(merged) == presets.comments(DEFAULT) | presets.comments(text)


def test_the_files_of_a_preset_are_those_that_have_it():
    assert presets.read_files("voc_small", dag.ROOT).keys() == {"params.yaml", "szn/params.yaml"}
    assert presets.read_files("context", dag.ROOT).keys() == {"params.yaml"}

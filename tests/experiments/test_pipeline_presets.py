"""The parameter files of szn and zsi, and their presets: complete, valid, with comments."""

import pytest
import yaml

from tests.experiments import test_presets
from tests.support import dag
from zeroshot.experiments import presets, schema
from zeroshot.experiments.comparison import overrides

FOLDERS = {pipeline: dag.ROOT / presets.FOLDER / pipeline for pipeline in ("szn", "zsi")}
OVERLAYS = [
    (pipeline, name)
    for pipeline, folder in FOLDERS.items()
    for name in presets.names(folder)
    if name != presets.DEFAULT
]


@pytest.mark.parametrize("pipeline", FOLDERS)
def test_the_parameter_file_is_the_default(pipeline):
    assert (dag.ROOT / pipeline / "params.yaml").read_text() == (FOLDERS[pipeline] / "toy.yaml").read_text()


@pytest.mark.parametrize(("pipeline", "name"), OVERLAYS)
def test_an_overlay_is_valid_and_has_only_different_values_with_comments(pipeline, name, tmp_path):
    default, text = ((FOLDERS[pipeline] / f"{one}.yaml").read_text() for one in (presets.DEFAULT, name))
    before, changed = (test_presets.leaves(yaml.safe_load(one)) for one in (default, text))
    assert [key for key, value in changed.items() if overrides.same(value, before[key])] == []
    assert list(changed) == [key for key in before if key in changed]
    assert changed.keys() <= presets.comments(text).keys()
    assert [line for line in text.splitlines() if len(line) > 120] == []
    merged = presets.text(name, FOLDERS[pipeline])
    assert test_presets.leaves(yaml.safe_load(merged)) == before | changed
    assert presets.comments(merged) == presets.comments(default) | presets.comments(text)
    path, main = tmp_path / "merged.yaml", tmp_path / "main.yaml"
    path.write_text(merged)
    if pipeline == "szn":
        main.write_text(presets.text(name, dag.ROOT / presets.FOLDER))
        schema.check_szn(path, main)
    else:
        schema.check_zsi(path)


def test_a_preset_of_szn_belongs_to_one_of_the_main_pipeline_whose_data_it_uses():
    assert set(presets.names(FOLDERS["szn"])) <= set(presets.names(dag.ROOT / presets.FOLDER))
    assert presets.read_files("voc_small", dag.ROOT).keys() == {"params.yaml", "szn/params.yaml"}
    assert presets.read_files("context", dag.ROOT).keys() == {"params.yaml"}

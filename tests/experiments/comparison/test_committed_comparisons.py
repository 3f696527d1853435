"""The committed methods, tables and published results."""

import pathlib
import shlex

import pytest
import yaml

from tests.support import dag
from zeroshot.base import errors, params
from zeroshot.datasets import layout, published
from zeroshot.datasets.toy import scenes
from zeroshot.evaluation import metrics
from zeroshot.experiments import presets, schema
from zeroshot.experiments.comparison import catalogue, model_files, overrides, published_results, run_list
from zeroshot.szn import roles

FOLDER = dag.ROOT / "presets" / "comparison"
METHODS = catalogue.methods(FOLDER)
MAIN, SZN = "params.yaml", "szn/params.yaml"
NAMES = list(params.read(FOLDER / "tables.yaml"))
NAMES_OF_SZN = [name for name in NAMES if name.startswith("szn")]
PUBLISHED = [row for dataset in ("voc", "context") for row in published_results.read(FOLDER / "published.csv", dataset)]


def test_every_method_is_in_a_table_and_every_table_has_known_methods():
    shown = {name for entry in NAMES for name in catalogue.comparison(FOLDER, entry, METHODS).methods}
    assert shown == set(METHODS)


@pytest.mark.parametrize("name", NAMES)
def test_every_run_is_a_valid_parameter_file(name):
    comparison = catalogue.comparison(FOLDER, name, METHODS)
    base = presets.read_files(comparison.preset, dag.ROOT)
    cells = run_list.cells(comparison, METHODS, base)
    assert {cell.method: cell.missing_keys for cell in cells if cell.missing_keys} == {}
    for run in run_list.runs(name, cells, METHODS, {}):
        assert run.params.keys() == {MAIN, SZN} if run.target == "szn/dvc.yaml" else {MAIN}
        for path, content in run.params.items():
            sections = schema.FILES[path]
            assert content.keys() == sections.keys()
            for section, cls in sections.items():
                params.build(content[section], cls, section)


def runs_of_szn(name):
    """Return the parameter files of each run of SZN in a comparison."""
    comparison = catalogue.comparison(FOLDER, name, METHODS)
    cells = run_list.cells(comparison, METHODS, presets.read_files(comparison.preset, dag.ROOT))
    return [run.params for run in run_list.runs(name, cells, METHODS, {}) if SZN in run.params]


@pytest.mark.parametrize("name", NAMES_OF_SZN)
def test_runs_of_szn_have_the_unseen_classes_and_the_encoder_of_the_other_systems(name):
    for files in runs_of_szn(name):
        data = params.build(files[MAIN]["data"], layout.Params, "data")
        split = params.build(files[SZN]["split"], roles.Params, "split")
        applied = roles.apply(split, class_names(data), data)
        assert set(applied.unseen) == set(layout.unseen_names(data))
        assert len(applied.train_unseen) >= 2 and data.train_unseen == ()
        for key in ("encoder", "weights", "pretraining", "freeze"):
            assert files[SZN]["network"][key] == files[MAIN]["backbone"][key], key
        # On VOC SZN has its author's file, word2vec like that of ZS3Net.
        for key in ("source", "aliases", "background"):
            assert files[SZN]["embeddings"][key] == files[MAIN]["embeddings"][key], key


def class_names(data):
    """Return the class names of a data set of a preset in label order."""
    return published.DATASETS[data.classes].classes if data.classes in published.DATASETS else scenes.class_names()


@pytest.mark.parametrize("name", NAMES)
def test_every_model_is_scored_by_the_pipeline(name):
    written = {out for stage in dag.stages(files=dag.ALL).values() for out in stage.outs}
    models = {METHODS[method].model for method in catalogue.comparison(FOLDER, name, METHODS).methods}
    assert {model_files.metrics(model) for model in models} <= written
    assert {model_files.image_confusions(model) for model in models} <= written


def test_flags_of_methods_need_no_quotation_marks_in_a_shell():
    for method in METHODS.values():
        for flag in overrides.flags({}, {MAIN: method.set}):
            assert shlex.split(flag) == [flag]


def test_splits_are_cumulative():
    splits = catalogue.comparison(FOLDER, "toy", METHODS).splits
    lists = [splits[k]["data.unseen"] for k in sorted(splits)]
    assert [len(set(names)) for names in lists] == sorted(splits)
    assert all(larger[: len(smaller)] == smaller for smaller, larger in zip(lists, lists[1:], strict=False))


def test_published_hiou_is_the_harmonic_mean_of_the_published_miou():
    """hIoU agrees to the last digit, except in the rows of CLIPSeg, which were computed from unrounded values."""
    for row in PUBLISHED:
        if "hIoU" in row.metrics:
            assert metrics.harmonic_mean(row.metrics["seen.mIoU"], row.metrics["unseen.mIoU"]) == pytest.approx(
                row.metrics["hIoU"], abs=0.11
            ), row


def test_published_rows_are_unique_and_have_a_source():
    assert len({(row.dataset, row.k, row.method) for row in PUBLISHED}) == len(PUBLISHED)
    assert all(row.source for row in PUBLISHED)
    assert {row.k for row in PUBLISHED if row.method == "ZS5Net"} == {2, 4, 6, 8, 10}


def write(folder: pathlib.Path, **changes: object) -> pathlib.Path:
    """Write the committed tables to `folder`, with changes to the comparison `toy`."""
    document = yaml.safe_load((FOLDER / "tables.yaml").read_text())
    document["toy"].update(changes)
    (folder / "tables.yaml").write_text(yaml.safe_dump(document))
    return folder


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"seeds": []}, "toy.seeds: Tuple should have at least 1 item"),
        ({"titel": "x"}, "toy.titel: unknown key; did you mean `toy.title`?"),
        ({"pictures_at": 3}, "toy: K = 3 is not among its splits 2, 4, 6, 8, 10"),
        ({"tables": [{"title": "x", "methods": ["ZS3net"]}]}, "toy: no method `ZS3net`; choose from `Supervised`, "),
    ],
)
def test_an_invalid_table_is_refused_with_its_name(tmp_path, changes, text):
    with pytest.raises(errors.UserError) as caught:
        catalogue.comparison(write(tmp_path, **changes), "toy", METHODS)
    assert str(caught.value).startswith(str(tmp_path / "tables.yaml")) and text in str(caught.value)


def test_an_invalid_file_of_published_results_is_refused(tmp_path):
    path = tmp_path / "published.csv"
    with pytest.raises(errors.UserError, match=r"published.csv: No such file"):
        published_results.read(path, "voc")
    path.write_text("dataset,K\n")
    with pytest.raises(errors.UserError, match="needs the columns dataset,K,method,seen.PA,"):
        published_results.read(path, "voc")
    path.write_text(",".join(published_results.HEADER) + "\nvoc,2,ZS3Net,high" + "," * 11 + "\n")
    with pytest.raises(errors.UserError, match=r"published.csv: line 2: could not convert string to float: 'high'"):
        published_results.read(path, "voc")


def test_published_results_that_a_spreadsheet_saved_are_read(tmp_path):
    """It writes a byte order mark and ends lines with CR LF; a field may contain a line feed."""
    row = ["voc", "2", "Möwe", *["1.5"] * (len(published_results.HEADER) - 4), '"a paper,\nTable 1"']
    text = ",".join(published_results.HEADER) + "\r\n" + ",".join(row) + "\r\n"
    (tmp_path / "published.csv").write_bytes(text.encode("utf-8-sig"))
    (published,) = published_results.read(tmp_path / "published.csv", "voc")
    assert (published.method, published.k, published.source) == ("Möwe", 2, "a paper,\nTable 1")
    assert set(published.metrics.values()) == {1.5}


def test_the_name_of_a_model_is_that_of_its_method_without_parameters_and_additions():
    names = catalogue.proper_names(METHODS)
    expected = {"seen_only": "Without zero-shot learning", "devise": "DeViSE", "ale": "ALE", "spnet": "SPNet"}
    expected |= {"zs3net": "ZS3Net", "zs5net": "ZS5Net", "feature_oracle": "Feature oracle"}
    assert expected.items() <= names.items()

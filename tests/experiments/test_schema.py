"""All sections of a parameter file, checked at once."""

import copy

import pytest
import yaml

from tests.support import dag
from zeroshot.base import params
from zeroshot.commands import __main__ as commands
from zeroshot.experiments import schema

FILES = [dag.ROOT / "params.yaml", dag.ROOT / "presets" / "toy.yaml"]


@pytest.fixture
def document():
    return copy.deepcopy(yaml.safe_load((dag.ROOT / "params.yaml").read_text()))


def refusal(folder, document):
    """Write an invalid parameter file and return its path and the error message."""
    path = folder / "params.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    with pytest.raises(params.ParamsError) as caught:
        schema.check(str(path))
    return path, str(caught.value)


def test_sections_and_classes_are_those_that_stages_load():
    assert dag.sections() == schema.SECTIONS


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_files_of_the_repository_are_valid(path, capsys):
    schema.check(path)
    commands.main(["check", str(path)])
    beside = ""
    for name, sections in (("szn", schema.SZN_SECTIONS), ("zsi", schema.ZSI_SECTIONS)):
        other = path.parent / name / path.name
        beside += f"{other}: all {len(sections)} sections are valid\n" if other.exists() else ""
    assert capsys.readouterr() == (f"{path}: all {len(schema.SECTIONS)} sections are valid\n{beside}", "")


def test_errors_of_several_sections_are_in_one_message(tmp_path, document):
    document["toy"]["n_trian"] = document["toy"].pop("n_train")
    document["toy"]["n_val"] = "many"
    document["backbone"]["augmentation"]["crop"] = 0
    document["classifier"]["lr"] = "fast"
    del document["runtime"]["workers"]
    path, text = refusal(tmp_path, document)
    lines = text.splitlines()
    assert [line for line in lines if not line.startswith(" ")] == [
        f"{path}: 2 errors",
        f"{path}: 1 error",
        f"{path}: 1 error",
        f"{path}: 1 error",
    ]
    assert sorted(line.split(": ")[0].strip() for line in lines if line.startswith(" ")) == [
        "backbone.augmentation.crop",
        "classifier.lr",
        "runtime.workers",
        "toy.n_trian",
        "toy.n_val",
    ]


@pytest.mark.parametrize("name", schema.SECTIONS)
def test_a_missing_section_is_named(tmp_path, document, name):
    del document[name]
    path, text = refusal(tmp_path, document)
    assert text == f"{path}: needs a section `{name}:` with keys under it"


def test_unknown_sections_are_named_with_the_other_errors(tmp_path, document):
    document["gnnm"] = document.pop("gmmn")
    document["notes"] = "mine"
    path, text = refusal(tmp_path, document)
    assert text.splitlines() == [
        f"{path}: needs a section `gmmn:` with keys under it",
        f"{path}: unknown sections: gnnm, notes; choose from {', '.join(schema.SECTIONS)}",
    ]


@pytest.mark.parametrize("content", [None, "", "- toy\n", "toy: {", "toy: {}\ntoy: {}\n"])
def test_a_file_without_sections_gives_one_message(tmp_path, content):
    path = tmp_path / "params.yaml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(params.ParamsError) as caught:
        schema.check(str(path))
    assert str(caught.value).startswith(f"{path}: ") and str(caught.value).count(f"{path}: ") == 1


def test_the_command_checks_params_yaml_and_exits_with_the_message(tmp_path, document, monkeypatch):
    document["gmmn"]["epochs"] = 0
    refusal(tmp_path, document)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as caught:
        commands.main(["check"])
    assert caught.value.code == (
        "params.yaml: 1 error\n  gmmn.epochs: Input should be greater than or equal to 1 (found 0)"
    )


def test_too_few_seen_classes_for_cross_validation_are_named_with_the_keys_before_any_stage(tmp_path, document):
    (tmp_path / "classes.txt").write_text("background\ncow\nsofa\nbus\n")
    document["data"] |= {"root": str(tmp_path), "unseen": ["sofa", "bus"]}
    document["baseline"]["ale"]["calibrated"] = False
    _, text = refusal(tmp_path, document)
    assert "leaves 1" in text and "classifier.calibration.enabled: false" in text
    assert "baseline.devise.calibrated: false" in text and "baseline.ale" not in text

    path = tmp_path / "params.yaml"
    for unseen in (["bus"], []):
        path.write_text(yaml.safe_dump(document | {"data": document["data"] | {"unseen": unseen}}))
        schema.check(path)
    # Without the class list, which a stage may still have to write, there is nothing to count.
    path.write_text(yaml.safe_dump(document | {"data": document["data"] | {"classes": "later.txt"}}))
    schema.check(path)


@pytest.mark.parametrize(
    ("labels", "classes", "needed"),
    [
        ({"format": "context_mat", "reduce": "context_33", "names": "labels.txt"}, "context", "context_33"),
        ({"format": "context_png", "ids": "0-33"}, "context", "context_33"),
        ({"format": "context_png"}, "context_33", "context"),
        ({"format": "context_png", "reduce": "context_33"}, "context_33", None),
        ({"format": "context_png"}, "context", None),
    ],
)
def test_classes_that_are_not_those_of_the_converted_masks_are_named(tmp_path, document, labels, classes, needed):
    document["labels"] |= {"folder": "masks", **labels}
    background = None if classes == "context_33" else "label_0"
    document["data"] |= {"root": str(tmp_path), "classes": classes, "background": background, "train_masks": None}
    document["data"] |= {"unseen": ["sheep"]}
    if needed:
        assert (
            f"data.classes: is {classes}, and section `labels` makes masks of {needed}"
            in refusal(tmp_path, document)[1]
        )
    else:
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(document))
        schema.check(tmp_path / "params.yaml")


def test_a_record_of_pretraining_that_cannot_be_true_is_named_before_any_stage(tmp_path, document):
    (tmp_path / "none").touch()
    document["backbone"] |= {"weights": str(tmp_path / "none"), "pretraining": "labels"}
    _, text = refusal(tmp_path, document)
    assert "backbone.pretraining: is labels, and backbone.weights" in text and "set it to none" in text


def test_the_command_names_all_files_that_do_not_exist_and_that_no_stage_makes(tmp_path, document):
    document["backbone"]["weights"] = str(tmp_path / "missing.pth")
    document["data"]["root"] = str(tmp_path / "VOC2012")
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(SystemExit) as caught:
        commands.main(["check", str(path)])
    # The corpus of the generated set is made by a stage.
    assert [line.partition(": ")[2].replace(str(tmp_path), "") for line in str(caught.value).splitlines()] == [
        "backbone.weights: /missing.pth does not exist; see docs/datasets.md",
        "data.root: /VOC2012 does not exist; see docs/datasets.md",
    ]
    with pytest.raises(SystemExit, match=r"stret: is no parameter file and no folder"):
        commands.main(["check", str(tmp_path / "stret")])

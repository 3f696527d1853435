"""All sections of szn/params.yaml, checked at once and with the data set of params.yaml."""

import copy

import pytest
import yaml

from tests.support import dag
from zeroshot.base import params
from zeroshot.commands import __main__ as commands
from zeroshot.experiments import schema

SZN = dag.document(dag.SZN_PARAMS)


@pytest.fixture
def write(tmp_path):
    """Return a function that writes both parameter files, with other values in sections of SZN's, and returns the path of SZN's."""

    def write(classes=None, data=None, **sections):
        main, szn = dag.document(dag.PARAMS), copy.deepcopy(SZN)
        main["data"] |= {"root": str(tmp_path / "data")} | (data or {})
        if classes:
            (tmp_path / "data").mkdir(exist_ok=True)
            (tmp_path / "data" / "classes.txt").write_text("\n".join(classes))
        # Only a case that is about it has it, since it needs two train_unseen classes.
        szn["joint_embedding"]["calibrated"] = "joint_embedding" in sections
        for name, changes in sections.items():
            calibration = szn["seen_mask"]["calibration"] | changes.get("calibration", {})
            szn[name] |= changes
            szn["seen_mask"]["calibration"] = calibration
        (tmp_path / "szn").mkdir(exist_ok=True)
        main["backbone"]["weights"] = szn["network"]["weights"] = str(dag.ROOT / "data/pretrained/none")
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(main))
        (tmp_path / "szn" / "params.yaml").write_text(yaml.safe_dump(szn))
        return tmp_path / "szn" / "params.yaml"

    return write


def faults(path):
    """Return the lines of the error of `check_szn`, without the file's name, or an empty list."""
    try:
        schema.check_szn(path, path.parents[1] / "params.yaml")
    except params.ParamsError as error:
        return str(error).removeprefix(f"{path}: ").split(f"\n{path}: ")
    return []


def test_the_file_of_the_repository_is_valid(capsys, monkeypatch):
    monkeypatch.chdir(dag.ROOT)
    commands.main(["check", "szn/params.yaml"])
    assert capsys.readouterr() == ("szn/params.yaml: all 7 sections are valid\n", "")
    assert list(SZN) == list(schema.SZN_SECTIONS)


def test_errors_of_several_sections_are_in_one_message(write):
    path = write(pca={"dim": 0}, network={"lr": "fast"}, split={"published": "voc"})
    text = str(pytest.raises(params.ParamsError, schema.check_szn, path, path.parents[1] / "params.yaml").value)
    keys = [line.split(": ")[0].strip() for line in text.splitlines() if line.startswith(" ")]
    assert {"pca.dim", "network.lr", "split.published"} <= set(keys)


def test_unknown_and_missing_sections_are_named(write):
    path = write()
    document = copy.deepcopy(SZN)
    document["seenmask"] = document.pop("seen_mask")
    path.write_text(yaml.safe_dump(document))
    assert faults(path) == [
        "needs a section `seen_mask:` with keys under it",
        f"unknown sections: seenmask; choose from {', '.join(schema.SZN_SECTIONS)}",
    ]


VOC = {"classes": "voc"}
PUBLISHED = {"published": "voc_17_2_2", "unseen": None, "train_unseen": None}
NONE = {"unseen": ["cow"], "train_unseen": []}
HOLD_OUT = {"calibration": {"hold_out": "train_unseen"}}


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        ({}, []),
        ({"seen_mask": {"void": "unseen"}}, ["seen_mask.void: is unseen, but no ignored pixel is cached"]),
        ({"seen_mask": {"void": "unseen"}, "features": {"ignored_pixels": True}}, []),
        (
            {
                "seen_mask": {"void": "unseen"},
                "features": {"ignored_pixels": True},
                "data": {"drop_partly_labelled": True},
            },
            ["seen_mask.void: is unseen, but no ignored pixel is cached"],
        ),
        (
            {"seen_mask": {"void": "unseen"}, "features": {"ignored_pixels": True}, "data": {"exclude": "pixels"}},
            ["seen_mask.void: is unseen, but with data.exclude: pixels"],
        ),
        (
            {"split": NONE, "seen_mask": HOLD_OUT},
            [
                "split.train_unseen: is empty, so nothing teaches the seen mask",
                "seen_mask.calibration.hold_out: is train_unseen, which needs 2 train_unseen classes",
            ],
        ),
        (
            {"split": NONE, "seen_mask": {"calibration": {"enabled": False}}},
            ["split.train_unseen: is empty, so nothing teaches the seen mask"],
        ),
        # Without an unseen class there is nothing to find.
        ({"split": {"unseen": [], "train_unseen": []}}, []),
        (
            {"split": {"train_unseen": 1}, "seen_mask": HOLD_OUT},
            ["seen_mask.calibration.hold_out: is train_unseen, which needs 2 train_unseen classes"],
        ),
        ({"split": {"train_unseen": ["cow"]}, "seen_mask": {"calibration": {"hold_out": "train_seen"}}}, []),
        ({"split": {"train_unseen": 1}, "seen_mask": {"calibration": {"enabled": False}}}, []),
        (
            {"split": {"train_unseen": 1}, "joint_embedding": {}},
            ["joint_embedding.hold_out: is train_unseen, which needs 2 train_unseen classes"],
        ),
        ({"split": {"train_unseen": 1}, "joint_embedding": {"hold_out": "train_seen"}}, []),
        ({"split": PUBLISHED, "data": VOC}, []),
        ({"split": PUBLISHED, "data": {"classes": "context", "unseen": []}}, ["split.published: voc_17_2_2 has roles"]),
        (
            {"embeddings": {"source": "one_hot", "path": "data/pretrained/none"}},
            ["pca.dim: is 20, but embeddings.source=one_hot has"],
        ),
        ({"network": {"pretraining": "labels"}}, ["network.pretraining: is labels, and network.weights"]),
    ],
)
def test_combinations_that_cannot_work_are_named_before_any_stage(write, sections, expected):
    found = faults(write(**sections))
    assert len(found) == len(expected)
    assert all(line.startswith(start) for line, start in zip(found, expected, strict=True)), found


def test_with_the_class_list_at_hand_train_seen_classes_are_counted(write):
    classes = ["background", "cow", "dog", "sheep", "gull"]
    split = {"unseen": ["cow"], "train_unseen": 2}
    mask = {"calibration": {"hold_out": "train_seen"}}
    (line,) = faults(write(classes, split=split, seen_mask=mask))
    assert "needs 2 train_seen classes besides the background, and section `split` leaves 1" in line
    assert faults(write([*classes, "crow"], split=split, seen_mask=mask)) == []
    (line,) = faults(write(classes, split=split | {"train_unseen": 4}))
    assert line.startswith("split.train_unseen: 4 of the 3 object classes that are not unseen")


def test_faults_of_szn_do_not_stop_the_main_pipeline(write, capsys):
    path = write(split={"train_unseen": 1}, seen_mask=HOLD_OUT)
    main = path.parents[1] / "params.yaml"
    (main.parent / "data").mkdir(exist_ok=True)
    commands.main(["check", str(main)])
    out, error = capsys.readouterr()
    assert out == f"{main}: all {len(schema.SECTIONS)} sections are valid\n"
    assert "seen_mask.calibration.hold_out" in error and "the main pipeline can run" in error
    with pytest.raises(SystemExit, match=r"szn/params\.yaml: seen_mask\.calibration\.hold_out"):
        commands.main(["check", str(path)])


def test_missing_weights_are_named(write):
    path = write(network={"weights": "x"})
    path.write_text(path.read_text().replace(str(dag.ROOT / "data/pretrained/none"), "missing.pth"))
    with pytest.raises(SystemExit, match=r"szn/params.yaml: network.weights: missing.pth does not exist"):
        commands.main(["check", str(path)])

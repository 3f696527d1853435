"""A comparison whose methods belong to two pipelines, in a DVC repository with quick stages."""

import re

import pytest

from tests.support import comparison_repo
from zeroshot.commands import __main__ as commands
from zeroshot.experiments.comparison import published_results

METHODS = {"ZS3Net": comparison_repo.METHODS["ZS3Net"]} | comparison_repo.SZN_METHODS
COMPARISON = comparison_repo.COMPARISON | {
    "splits": {2: {"data.unseen": ["a", "b"], "szn/params.yaml:split.unseen": ["a", "b"]}},
    "seeds": [1],
    "fixed_seeds": ["szn/params.yaml:split"],
    "tables": [{"title": "All", "methods": list(METHODS)}],
    "differences": [["SZN", "FCN-JE"], ["SZN", "ZS3Net"]],
    "sweep": {
        "methods": ["FCN-JE", "SZN"],
        "k": 2,
        "parameter": "szn/params.yaml:split.train_unseen",
        "values": [2, 3],
    },
}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """The repository, with the finished runs of ZS3Net and FCN-JE; a run of FCN-JE scores SZN as well."""
    root = tmp_path_factory.mktemp("comparison") / "repository"
    comparison_repo.make(root)
    folder = root / "presets" / "comparison"
    (folder / "published.csv").write_text(",".join(published_results.HEADER) + "\n")
    comparison_repo.write(folder / "methods.yaml", METHODS)
    comparison_repo.write(folder / "tables.yaml", {"tiny": COMPARISON})
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        commands.main(["queue", "tiny", "--method", "FCN-JE", "--method", "ZS3Net", "--here"])
    return root


@pytest.fixture
def report(root, monkeypatch):
    """The report of the comparison, as a list of blocks."""
    monkeypatch.chdir(root)
    commands.main(["tables", "tiny"])
    return (root / "plots" / "comparison" / "tiny" / "report.md").read_text().split("\n\n")


def rows(block):
    return [[word.strip() for word in line.strip("|").split("|")] for line in block.splitlines()]


def test_a_run_sets_the_parameters_of_its_own_pipeline(root, monkeypatch, capsys):
    monkeypatch.chdir(root)
    comparison_repo.write(root / "presets" / "comparison" / "tables.yaml", {"tiny": COMPARISON | {"seeds": [2]}})
    commands.main(["queue", "tiny", "--dry-run"])
    comparison_repo.write(root / "presets" / "comparison" / "tables.yaml", {"tiny": COMPARISON})
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("dvc")]
    main, szn = "backbone.seed=2 -S gmmn.seed=2", "-S szn/params.yaml:network.seed=2 szn/dvc.yaml"
    assert [line.partition(" -S ")[2] for line in lines] == [
        main,
        f"{main} {szn}",
        f"{main} -S szn/params.yaml:network.loss=mse {szn}",
        f"{main} -S szn/params.yaml:split.train_unseen=2 {szn}",
    ]


def test_runs_of_both_pipelines_are_rows_of_one_table(report):
    table = {row[1]: row[2:] for row in rows(next(block for block in report if "| ZS3Net |" in block))}
    # FCN-JE has 10 times the number of train_unseen classes, 3 in the preset, and the seed, less 5.
    assert table["ZS3Net"] == ["1", *["22.0"] * 11]
    assert table["FCN-JE"] == ["1", *["26.0"] * 11]
    assert table["SZN †"] == ["1", *["31.0"] * 11]
    assert table["SZN, MSE"] == ["0 of 1", *["—"] * 11]
    assert "† reads labels of unseen classes, so it is no zero-shot method." in "\n\n".join(report)


def test_the_sweep_of_two_methods_has_a_curve_and_tables(report):
    key = "`szn/params.yaml:split.train_unseen`"
    swept = [rows(block) for block in report if block.startswith(f"| {key} |")]
    assert [row[:3] for row in swept[0][2:]] == [
        ["2", "FCN-JE", "1"],
        ["", "SZN †", "1"],
        ["3", "FCN-JE", "1"],
        ["", "SZN †", "1"],
    ]
    assert [row[3] for row in swept[0][2:]] == ["16.0", "21.0", "26.0", "31.0"]
    assert [row[:5] for row in swept[1][2:]] == [
        ["2", "SZN †", "FCN-JE", "1", "+5.0"],
        ["3", "SZN †", "FCN-JE", "1", "+5.0"],
    ]
    assert "![FCN-JE, SZN against szn/params.yaml:split.train_unseen](curve.svg)" in report


def test_images_are_those_of_the_pipeline_of_a_method(root, report):
    shown = re.findall(r"^\*\*(.+)\*\* \((.+)\)\n\n!\[one\]\((.+)\)$", "\n\n".join(report), re.MULTILINE)
    assert [methods for methods, _, _ in shown] == ["ZS3Net", "SZN"]
    assert shown[0][2].count("/") == 2 and shown[1][2].endswith("/szn/one.png")
    contents = [(root / "plots" / "comparison" / "tiny" / path).read_text() for _, _, path in shown]
    assert contents == ["mlp 1", "cosine"]


def test_a_run_changes_the_parameter_files_only_while_it_lasts(root):
    for path in comparison_repo.FILES:
        assert (root / path).read_bytes() == (root / "presets" / path.replace("params", "toy")).read_bytes()


def test_a_pipeline_without_a_preset_of_the_comparison_is_unavailable(root, monkeypatch, capsys):
    monkeypatch.chdir(root)
    comparison_repo.write(root / "presets" / "other.yaml", comparison_repo.BASE)
    other = COMPARISON | {"preset": "other", "splits": {2: {"data.unseen": ["a", "b"]}}, "sweep": None}
    comparison_repo.write(root / "presets" / "comparison" / "tables.yaml", {"tiny": COMPARISON, "other": other})
    commands.main(["queue", "other", "--dry-run"])
    lines = capsys.readouterr().out.splitlines()
    reason = "szn/params.yaml has no preset `other`"
    assert lines[:2] == [f"# FCN-JE: {reason}", f"# SZN: {reason}"]
    assert not [line for line in lines if line.startswith("dvc") and "szn/dvc.yaml" in line]

"""The command `zeroshot cross-validate` in a folder that contains only the files that it may read."""

import pandas
import pytest
import yaml

from tests.support import pixel_world, quick_sections
from zeroshot.commands import __main__ as commands
from zeroshot.experiments.parameter_search import fold_jobs, search_table
from zeroshot.pixel_classifiers.cross_validation import calibration

BRIEF = {"epochs": 1, "steps_per_epoch": 5}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder without caches of unlabelled and validation images, without masks and without the data set."""
    pixel_world.write_training_inputs(tmp_path)
    document = quick_sections.document(
        gmmn=quick_sections.gmmn_section(**BRIEF), classifier=quick_sections.classifier_section(**BRIEF)
    )
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(document))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def files(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def command(*words):
    commands.main(["cross-validate", *words])


def run(capsys, *words):
    command(*words, "--csv-path", "table.csv")
    return capsys.readouterr().out, pandas.read_csv("table.csv")


def test_each_setting_has_a_row_and_no_other_file_changes(folder, capsys):
    before = files(folder)
    words = ["gmmn.bandwidths=[1.0],[0.5,1.0]", "classifier.lr=0.02,0.001", "gmmn.seed=3"]
    text, table = run(capsys, *words, "--workers", "1")
    (folder / "table.csv").unlink()
    assert files(folder) == before
    assert table["gmmn.bandwidths"].tolist() == ["[1.0]", "[1.0]", "[0.5, 1.0]", "[0.5, 1.0]"]
    assert table["classifier.lr"].tolist() == [0.02, 0.001] * 2 and (table["gmmn.seed"] == 3).all()
    best = table["hIoU"].idxmax()
    lines = text.splitlines()
    assert lines[0].split() == ["gmmn.bandwidths", "classifier.lr", *search_table.COLUMNS]
    assert [line.startswith("*") for line in lines[1:5]] == [number == best for number in range(4)]
    assert lines[6] == "ZS3Net, 2 folds of 2 seen classes; * best, = params.yaml as it is"
    bandwidths = ["[1.0]", "[0.5,1.0]"][best // 2]
    # params.yaml has the learning rate 0.02.
    lr = ["", " -S classifier.lr=0.001"][best % 2]
    assert lines[-1] == f"dvc exp run -S 'gmmn.bandwidths={bandwidths}'{lr} -S gmmn.seed=3"


def test_two_processes_give_the_result_of_one(folder, capsys):
    words = ["gmmn.epochs=1,2", "classifier.lr=0.02,0.001"]
    assert run(capsys, *words, "--workers", "2")[0] == run(capsys, *words, "--workers", "1")[0]


def test_one_at_a_time_tries_params_yaml_and_each_alternative_alone(folder, capsys):
    text, table = run(
        capsys, "gmmn.lr=0.01,0.02", "classifier.class_balance=0,0.5,1", "--one-at-a-time", "--workers", "1"
    )
    lr = quick_sections.gmmn_section()["lr"]
    expected = [(lr, 0.5), (0.01, 0.5), (0.02, 0.5), (lr, 0.0), (lr, 1.0)]
    expected = [pair for number, pair in enumerate(expected) if pair not in expected[:number]]
    assert list(zip(table["gmmn.lr"], table["classifier.class_balance"], strict=True)) == expected
    lines = text.splitlines()[1 : len(expected) + 1]
    assert [line.split()[0].endswith("=") for line in lines] == [True, *[False] * (len(expected) - 1)]
    assert " none " in lines[0] and all("gmmn.lr=" in line or "classifier.class_balance=" in line for line in lines[1:])


def test_a_key_of_self_training_scores_zs5net(folder, capsys):
    text, table = run(capsys, "pseudo_labels.p=10,100", "self_training.epochs=1", "--workers", "1")
    assert "ZS5Net, 2 folds" in text
    _, before = run(capsys, "classifier.lr=0.02", "--workers", "1")
    assert len({*table["hIoU"], *before["hIoU"]}) == 3


def test_zs5net_is_scored_without_bias_if_self_training_has_no_biases(folder, capsys):
    _, calibrated = run(capsys, "pseudo_labels.p=10", "--workers", "1")
    document = yaml.safe_load((folder / "params.yaml").read_text())
    document["self_training"]["biases"] = []
    (folder / "params.yaml").write_text(yaml.safe_dump(document))
    text, table = run(capsys, "pseudo_labels.p=10", "--workers", "1")
    assert "ZS5Net" in text and table["bias"].tolist() == [0]
    assert table["hIoU"][0] <= calibrated["hIoU"][0]


def test_the_best_setting_may_be_params_yaml(folder, capsys):
    text, _ = run(capsys, f"gmmn.lr={quick_sections.gmmn_section()['lr']}", "--workers", "1")
    assert text.splitlines()[-1] == "the best setting is params.yaml as it is"


def test_the_number_of_folds_is_a_flag(folder, capsys):
    text, table = run(capsys, "gmmn.epochs=1", "--folds", "3", "--held-out", "1", "--workers", "1")
    assert [name for name in table if name.startswith("fold_")] == ["fold_1", "fold_2", "fold_3"]
    assert table["hIoU"][0] == pytest.approx(table[["fold_1", "fold_2", "fold_3"]].iloc[0].mean())
    assert table["spread"][0] == pytest.approx(table[["fold_1", "fold_2", "fold_3"]].iloc[0].std())
    assert "3 folds of 1 seen classes" in text


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (
            ["toy.seed=1"],
            "toy.seed: this section cannot be varied; choose from gmmn, classifier, pseudo_labels,",
        ),
        (["gmmn.lrr=1"], "gmmn.lrr: unknown key; did you mean `gmmn.lr`?"),
        (["gmmn.lr=1,-1"], "gmmn.lr: Input should be greater than 0 (found -1)"),
        (["gmmn.lr.x=1"], "gmmn.lr.x: gmmn.lr has no keys"),
        (["gmmn=1"], "gmmn: name a key of the section, such as gmmn.bandwidths"),
        (["classifier.calibration.folds=2,3"], "classifier.calibration.folds: cannot be varied"),
        (["self_training.biases=[1],[2]"], "self_training.biases: cannot be varied"),
        (["pseudo_labels.rule=per_image,agreement"], "pseudo_labels.rule: agreement cannot be cross-validated"),
        (["gmmn.lr"], "gmmn.lr: write section.key=VALUE,VALUE,... with YAML values"),
        (["gmmn.lr=[1,"], "gmmn.lr=[1,: write section.key=VALUE,VALUE,..."),
        (["gmmn.lr=1", "gmmn.lr=2"], "gmmn.lr: is given twice; give all its values in one list"),
    ],
)
def test_invalid_parameters_are_refused_before_the_first_job(folder, words, fault):
    # Without this file every job fails.
    (folder / "models/classifiers/seen_only.pt").unlink()
    with pytest.raises(SystemExit) as caught:
        command(*words)
    assert str(caught.value.code).startswith("command line: 1 error\n") and fault in str(caught.value.code)


@pytest.mark.parametrize("key", ["gmmn.epochs=1", "pseudo_labels.p=10,100"])
def test_folds_without_a_pixel_of_a_group_are_left_out(folder, capsys, monkeypatch, key):
    fit, unscorable = fold_jobs.fit_classifier, {1}

    def fit_classifier(inputs, number, *rest):
        scores = fit(inputs, number, *rest)
        return [score | {"hIoU": None} for score in scores] if number in unscorable else scores

    monkeypatch.setattr(fold_jobs, "fit_classifier", fit_classifier)
    words = (key, "--folds", "3", "--held-out", "1", "--workers", "1", "--csv-path", "table.csv")
    command(*words)
    said = capsys.readouterr()
    assert "1 of 3 folds are left out, since their evaluation images have no sampled pixel" in said.err
    assert [name for name in pandas.read_csv("table.csv") if name.startswith("fold_")] == ["fold_1", "fold_2"]
    unscorable |= {0, 2}
    with pytest.raises(SystemExit, match="^cross_validate: no fold can be scored, since their evaluation images"):
        command(*words)


@pytest.mark.parametrize("flag", ["--folds", "--held-out", "--workers"])
def test_numbers_below_one_are_refused(folder, flag):
    with pytest.raises(SystemExit, match=f"^{flag}: needs a whole number of 1 or more, found 0$"):
        command("gmmn.lr=1", flag, "0")


def test_a_negative_seed_is_refused(folder):
    with pytest.raises(SystemExit, match="^--seed: needs a number from 0, found -1$"):
        command("gmmn.lr=1", "--seed", "-1")


def test_all_errors_are_in_one_message(folder):
    with pytest.raises(SystemExit) as caught:
        command("gmmn.lr=-1,1", "classifier.epoch=1", "gmmn.hidden_dim=0")
    lines = str(caught.value.code).splitlines()
    assert lines[0] == "command line: 3 errors"
    assert sorted(line.split(": ")[0].strip() for line in lines[1:]) == [
        "classifier.epoch",
        "gmmn.hidden_dim",
        "gmmn.lr",
    ]


@pytest.mark.parametrize(
    ("index", "text"),
    [
        (0, "the best seen bias, 0, is the smallest of classifier.calibration.biases; try smaller ones"),
        (-1, "the best seen bias, 20, is the largest of classifier.calibration.biases; try larger ones"),
        (2, None),
    ],
)
def test_a_best_bias_at_an_end_of_the_grid_gives_a_warning(folder, capsys, monkeypatch, index, text):
    monkeypatch.setattr(calibration, "choose", lambda scores, biases: biases[index])
    command("gmmn.epochs=1", "--workers", "1")
    warnings = [line for line in capsys.readouterr().err.splitlines() if "the best seen bias" in line]
    assert warnings == ([text] if text else [])

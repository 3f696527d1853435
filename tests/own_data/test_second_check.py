"""A folder that is checked again: what stays of the parameters, and what follows from the folder."""

import pytest
import yaml

from tests.own_data.test_prepare import NAMES, check, make


def test_chosen_words_stay_when_the_folder_is_checked_again(tmp_path):
    root = make(tmp_path / "street")
    (root / "classes.txt").write_text("\n".join([*NAMES[:-1], "traficcone"]))
    with pytest.raises(SystemExit, match="no vector"):
        check(tmp_path, root)
    text = (tmp_path / "params.yaml").read_text()
    (tmp_path / "params.yaml").write_text(text.replace("  aliases: {}", "  aliases:\n    traficcone: [traffic, cone]"))
    check(tmp_path, root)
    assert yaml.safe_load((tmp_path / "params.yaml").read_text())["embeddings"]["aliases"] == {
        "traficcone": ["traffic", "cone"]
    }


def test_what_the_user_chose_stays_when_the_folder_is_checked_again(tmp_path, capsys):
    root = make(tmp_path / "street")
    weights = tmp_path / "weights.pth"
    weights.write_bytes(b"weights")
    check(tmp_path, root, "--weights", str(weights))
    path = tmp_path / "params.yaml"
    assert "your values of" not in capsys.readouterr().out
    path.write_text(path.read_text().replace("  epochs: 20\n", "  epochs: 7\n").replace("  p: 75.0", "  p: 33.0"))
    before = yaml.safe_load(path.read_text())
    assert check(tmp_path, root, "--unseen", "car")["unseen"] == ["car", "zebra", "bicycle"]
    after = yaml.safe_load(path.read_text())
    changed = [key for key in before if before[key] != after[key]]
    assert changed == ["data"] and after["backbone"]["weights"] == str(weights)
    said = capsys.readouterr().out
    assert "params.yaml are written; your values of " in said and "backbone.weights" in said
    # Of another data set nothing stays.
    check(tmp_path, root, "--out", str(tmp_path / "data set"))
    assert yaml.safe_load(path.read_text())["backbone"]["weights"] == "data/pretrained/IMAGENET1K_V1"


def test_what_one_seen_class_allowed_does_not_stay_when_there_are_three(tmp_path, capsys):
    root = make(tmp_path / "street")
    check(tmp_path, root, "--unseen", "road,car,tree")
    path = tmp_path / "params.yaml"
    alone = yaml.safe_load(path.read_text())
    assert not alone["classifier"]["calibration"]["enabled"] and not alone["baseline"]["ale"]["calibrated"]
    capsys.readouterr()
    check(tmp_path, root)
    more = yaml.safe_load(path.read_text())
    assert more["classifier"]["calibration"]["enabled"] and more["baseline"]["ale"]["calibrated"]
    assert "your values of" not in capsys.readouterr().out


def test_parameters_that_are_wrong_leave_those_of_the_user(tmp_path):
    root = make(tmp_path / "street")
    check(tmp_path, root)
    (tmp_path / "params.yaml").write_text(before := (tmp_path / "params.yaml").read_text() + "# mine\n")
    (tmp_path / "it's.pth").write_bytes(b"weights")
    with pytest.raises(SystemExit, match="(?s)params.yaml: .*backbone.weights: must not contain") as caught:
        check(tmp_path, root, "--weights", str(tmp_path / "it's.pth"))
    assert ".tmp" not in str(caught.value)
    assert (tmp_path / "params.yaml").read_text() == before

"""The stages train_detector and detect, in a folder of a few tiny images."""

import csv
import json

import pytest
import yaml

from stages.zsi import detect, train_detector
from tests.support import disks_and_squares
from zeroshot.base import checkpoints, command_line
from zeroshot.evaluation.instances import detections
from zeroshot.zsi import detector_files

TRAIN = {
    "--training-path": "data/zsi/train.json",
    "--images-dir": "data/images/train",
    "--classes-path": "data/zsi/classes.json",
    "--embeddings-path": "data/zsi/class_embeddings.h5",
    "--weights-path": "data/pretrained/none",
    "--detector-path": "models/zsi/detector.pt",
    "--curve-path": "metrics/zsi/detector_curve.csv",
}
DETECT = {
    "--images-path": "data/zsi/val_images.json",
    "--images-dir": "data/images/val",
    "--detector-path": "models/zsi/detector.pt",
    "--detections-dir": "models/zsi/detections",
}
OUTS = ("models/zsi/detector.pt", "metrics/zsi/detector_curve.csv")


class Killed(BaseException):
    """Simulates that the process is killed."""


def run(folder, stage, arguments):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        command_line.run(stage.main, [word for pair in arguments.items() for word in pair])


def make(folder, workers=0, **changes):
    folder.mkdir(exist_ok=True)
    disks_and_squares.write(folder)
    runtime = {"device": "cpu", "threads": 1, "ranks": 1, "workers": workers, "scratch": "work"}
    (folder / "params.yaml").write_text(yaml.safe_dump({"runtime": runtime}))
    sections = {"detector": disks_and_squares.section(**changes), "detection": disks_and_squares.DETECTION}
    (folder / "zsi").mkdir()
    (folder / "zsi/params.yaml").write_text(yaml.safe_dump(sections))
    return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A folder in which both stages ran without interruption."""
    folder = make(tmp_path_factory.mktemp("whole"))
    run(folder, train_detector, TRAIN)
    run(folder, detect, DETECT)
    return folder


def bytes_of(folder):
    return {name: (folder / name).read_bytes() for name in OUTS}


def test_the_curve_has_a_row_for_each_epoch(whole):
    with open(whole / OUTS[1], newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["0", "1"]
    assert {"loss", "classification", "mask_reconstruction", "lr"} <= set(rows[0])


def test_workers_do_not_change_the_bytes_and_nothing_is_left_in_the_scratch_folder(whole, tmp_path):
    folder = make(tmp_path / "other", workers=1)
    run(folder, train_detector, TRAIN)
    assert bytes_of(folder) == bytes_of(whole)
    assert not list((folder / "work").rglob("state.pt"))


def test_a_killed_training_resumes_to_the_same_bytes(whole, tmp_path):
    folder = make(tmp_path / "killed")
    with pytest.MonkeyPatch.context() as patch:
        save = checkpoints.save

        def save_and_die(path, checkpoint):
            save(path, checkpoint)
            raise Killed

        patch.setattr(checkpoints, "save", save_and_die)
        with pytest.raises(Killed):
            run(folder, train_detector, TRAIN)
    (folder / OUTS[1]).unlink()
    epochs = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            checkpoints, "save", lambda path, content: (epochs.append(content.get("epoch")), save(path, content))
        )
        run(folder, train_detector, TRAIN)
    assert epochs == [1, None]
    assert bytes_of(folder) == bytes_of(whole)


def test_a_changed_image_or_parameter_starts_from_the_beginning(tmp_path):
    """The folder of an unfinished training depends on all that the result depends on."""
    folder = make(tmp_path / "killed")
    names = set()

    def die(path, checkpoint):
        names.add(path.parent.name)
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoints, "save", die)
        for n, change in enumerate((lambda: None, lambda: swap_images(folder), lambda: reseed(folder)), 1):
            change()
            with pytest.raises(Killed):
                run(folder, train_detector, TRAIN)
            assert len(names) == n


def swap_images(folder):
    images = folder / "data/images/train"
    (images / "0.png").rename(images / "x.png")
    (images / "1.png").rename(images / "0.png")
    (images / "x.png").rename(images / "1.png")


def reseed(folder):
    document = yaml.safe_load((folder / "zsi/params.yaml").read_text())
    document["detector"]["seed"] = 5
    (folder / "zsi/params.yaml").write_text(yaml.safe_dump(document))


def test_detections_of_every_scoring_can_be_read_by_evaluation(whole):
    images = json.loads((whole / "data/zsi/val_images.json").read_text())["images"]
    sizes = {image["id"]: (image["height"], image["width"]) for image in images}
    folder = whole / "models/zsi/detections"
    assert {path.name for path in folder.iterdir()} == {"mix.json", "mix_without_background.json", "direct.json"}
    found = detections.read(folder / "direct.json", disks_and_squares.CLASSES, sizes)
    assert found.scoring == "direct" and found.facts["regression"] == "agnostic"
    assert {one["image_id"] for one in found.zsi} == {one["image_id"] for one in found.gzsi} == set(sizes)
    unseen = {disks_and_squares.CLASSES.category_ids[label] for label in disks_and_squares.CLASSES.unseen}
    assert {one["category_id"] for one in found.zsi} <= unseen < {one["category_id"] for one in found.gzsi}


def test_detecting_is_deterministic_and_reads_no_annotation(whole, tmp_path):
    folder = make(tmp_path / "other")
    (folder / "data/zsi/val.json").unlink()
    (folder / "data/zsi/train.json").unlink()
    (folder / "models/zsi").mkdir(parents=True)
    (folder / OUTS[0]).write_bytes((whole / OUTS[0]).read_bytes())
    run(folder, detect, DETECT)
    for path in (whole / "models/zsi/detections").iterdir():
        assert (folder / "models/zsi/detections" / path.name).read_bytes() == path.read_bytes()


def test_a_model_of_another_kind_is_refused(whole, tmp_path):
    checkpoints.save(tmp_path / "other.pt", {"config": {}, "network": {}})
    with pytest.raises(SystemExit, match=r"other\.pt: is not the checkpoint that is needed here"):
        run(whole, detect, DETECT | {"--detector-path": str(tmp_path / "other.pt")})


def test_the_trained_detector_loads(whole):
    loaded, classes = detector_files.load(checkpoints.load(whole / OUTS[0], detector_files.Checkpoint))
    assert classes == disks_and_squares.CLASSES and not loaded.training

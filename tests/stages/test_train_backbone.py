import csv
import os
import pathlib
import subprocess
import sys

import PIL.Image
import pytest
import torch
import yaml

from stages import train_backbone
from tests.support import blocks
from zeroshot.base import checkpoints, command_line, runtime
from zeroshot.images import image_files
from zeroshot.networks import backbone, supervised_training

ROOT = pathlib.Path(__file__).parents[2]


class Killed(BaseException):
    """Simulates that the process is killed."""


def run(folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        command_line.run(train_backbone.main, [word for pair in blocks.ARGUMENTS.items() for word in pair])


def shown_epochs(folder):
    """Return the epochs in the curve."""
    with open(folder / "metrics/backbone.csv", newline="") as file:
        return [int(row["epoch"]) for row in csv.DictReader(file)]


def run_again(folder, patch):
    """Remove the outputs, as DVC does, run the stage again and return the epochs that it trains."""
    for name in blocks.OUTS:
        (folder / name).unlink(missing_ok=True)
    epochs = saved_states(patch)
    run(folder)
    return epochs


def change(folder, **changes):
    document = yaml.safe_load((folder / "params.yaml").read_text())
    document["backbone"] |= changes
    (folder / "params.yaml").write_text(yaml.safe_dump(document))


def saved_states(patch):
    """Return a list that records the epoch of every state saved from now on."""
    epochs = []
    save = checkpoints.save

    def note(path, checkpoint):
        save(path, checkpoint)
        if path.name == "state.pt":
            epochs.append(checkpoint["epoch"])

    patch.setattr(checkpoints, "save", note)
    return epochs


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A folder in which the stage ran without interruption."""
    folder = blocks.make(tmp_path_factory.mktemp("whole"))
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    run(folder)
    torch.set_num_threads(before)
    return folder


def test_another_process_with_workers_writes_the_same_bytes(whole, tmp_path):
    folder = blocks.make(tmp_path / "elsewhere", workers=2)
    words = [word for pair in blocks.ARGUMENTS.items() for word in pair]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "7"}
    subprocess.run(
        [sys.executable, "-m", "stages.train_backbone", *words], cwd=folder, env=environment, check=True, timeout=300
    )
    assert blocks.outputs(folder) == blocks.outputs(whole)


@pytest.mark.parametrize("killed_after", [0, 1])
def test_a_killed_training_resumes_to_the_same_bytes(whole, tmp_path, monkeypatch, killed_after):
    """The process is killed after an epoch or, in the last case, between the last epoch and the outputs."""
    folder = blocks.make(tmp_path / "killed")
    save = checkpoints.save

    def save_and_die(path, checkpoint):
        save(path, checkpoint)
        if path.name == "state.pt" and checkpoint["epoch"] == killed_after:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "save", save_and_die)
        with pytest.raises(Killed):
            run(folder)
    assert not (folder / "models/backbone.pt").exists() and shown_epochs(folder) == list(range(killed_after + 1))
    with monkeypatch.context() as patch:
        epochs = run_again(folder, patch)
    assert epochs == list(range(killed_after + 1, 2))
    assert blocks.outputs(folder) == blocks.outputs(whole)
    assert not list(folder.glob("work/**/*.pt"))


def test_after_a_kill_while_writing_the_network_no_epoch_is_repeated(whole, tmp_path, monkeypatch):
    folder = blocks.make(tmp_path / "killed")
    save = checkpoints.save

    def die_at_the_network(path, checkpoint):
        if path.name == "backbone.pt":
            raise Killed
        save(path, checkpoint)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "save", die_at_the_network)
        with pytest.raises(Killed):
            run(folder)
    with monkeypatch.context() as patch:
        epochs = run_again(folder, patch)
    assert epochs == [] and blocks.outputs(folder) == blocks.outputs(whole)


def test_a_second_run_trains_again_and_writes_the_same_bytes(whole, monkeypatch):
    before = blocks.outputs(whole)
    with monkeypatch.context() as patch:
        epochs = saved_states(patch)
        run(whole)
    assert epochs == [0, 1] and blocks.outputs(whole) == before


def replace_image(folder):
    """Write another image, and the checksums that prepare_split finds then."""
    PIL.Image.new("RGB", (40, 36)).save(folder / "data/blocks/JPEGImages/a.png")
    blocks.write_training(folder)


@pytest.mark.parametrize("what", ["params", "image", "mask", "weights", "device"])
def test_a_training_with_other_inputs_is_not_resumed(tmp_path, monkeypatch, what):
    folder = blocks.make(tmp_path / "killed")
    patch_input = {
        "params": lambda: change(folder, lr=0.02),
        "image": lambda: replace_image(folder),
        "mask": lambda: image_files.write_mask(folder / "data/masks/train/b.png", blocks.mask((0, 2, 2, 0))),
        "weights": lambda: (folder / "data/pretrained/none").write_bytes(b"other"),
        "device": lambda: monkeypatch.setattr(runtime, "start", lambda *_: torch.device("cuda")),
    }[what]
    # No epoch is trained here: the test needs only the path of the state.
    looked_for = []
    monkeypatch.setattr(backbone, "build", lambda *_: None)
    monkeypatch.setattr(supervised_training, "fit", lambda *_, **__: iter(()))
    monkeypatch.setattr(pathlib.Path, "exists", lambda path: looked_for.append(path) or False)
    for prepare in (lambda: None, lambda: None, patch_input):
        prepare()
        with pytest.raises(AttributeError):
            run(folder)
    states = [path for path in looked_for if path.name == "state.pt"]
    assert len(states) == 3 and states[0] == states[1] != states[2]


def test_the_network_is_rebuilt_from_the_outputs(whole):
    checkpoint = checkpoints.load(whole / "models/backbone.pt")
    assert checkpoint["seen"] == list(blocks.SEEN)
    assert checkpoint["names"] == [blocks.CLASSES[label] for label in blocks.SEEN]
    assert checkpoint["side"] == 40 and not {"classes", "unseen"} & checkpoint.keys()
    assert checkpoint["config"] == blocks.BACKBONE
    network = backbone.load(checkpoint)
    assert not network.training and network.classifier.out_channels == len(blocks.SEEN)
    with open(whole / "metrics/backbone.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["0", "1"] and list(rows[0]) == ["epoch", "loss", "lr"]


def test_artefacts_contain_no_paths(whole):
    for content in blocks.outputs(whole).values():
        assert str(whole).encode() not in content and str(pathlib.Path.home()).encode() + b"/" not in content


def test_a_diverged_training_gives_a_message_and_writes_nothing(tmp_path):
    folder = blocks.make(tmp_path / "diverged", lr=1e30)
    with pytest.raises(SystemExit, match=r"train_backbone: the loss is \w+ in epoch 0, step 1; lower backbone.lr$"):
        run(folder)
    assert not any((folder / name).exists() for name in blocks.OUTS)


def test_weights_of_another_network_give_a_message(tmp_path):
    folder = blocks.make(tmp_path / "blocks", pretraining="labels")
    torch.save({"features.0.0.weight": torch.zeros(1)}, folder / "data/pretrained/none")
    with pytest.raises(SystemExit) as caught:
        run(folder)
    assert str(caught.value).startswith(
        "data/pretrained/none: does not fit mobilenet_v2, the encoder of backbone.encoder\n  missing ("
    )
    assert not any((folder / name).exists() for name in blocks.OUTS)

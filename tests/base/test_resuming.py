import contextlib
import dataclasses
import os
import sys
import types

import pytest
import torch

from zeroshot.base import checkpoints, errors, resuming


def test_equal_inputs_have_the_same_folder(tmp_path):
    folder = resuming.folder(tmp_path / "work", "train_backbone", b"params", b"split")
    assert folder.is_dir() and folder.parent == tmp_path / "work/train_backbone"
    (folder / "state.pt").write_text("half")
    again = resuming.folder(str(tmp_path / "work"), "train_backbone", b"params", b"split")
    assert again == folder and (again / "state.pt").read_text() == "half"


def test_different_inputs_have_different_folders(tmp_path):
    # The last two have the same bytes as the first, but split or ordered differently.
    inputs = [(b"ab", b"c"), (b"ab", b"d"), (b"ab",), (b"ab", b"c", b""), (b"a", b"bc"), (b"c", b"ab")]
    folders = {resuming.folder(tmp_path, "stage", *parts).name for parts in inputs}
    assert len(folders) == len(inputs)


def test_work_of_another_version_of_the_code_is_not_resumed(tmp_path, monkeypatch):
    source = tmp_path / "probe.py"
    module = types.ModuleType("zeroshot.probe")
    module.__file__ = str(source)
    source.write_text("x = 1\n")
    without = resuming.folder(tmp_path, "stage", b"")
    monkeypatch.setitem(sys.modules, "zeroshot.probe", module)
    first = resuming.folder(tmp_path, "stage", b"")
    source.write_text("x = 2\n")
    second = resuming.folder(tmp_path, "stage", b"")
    source.write_text("x = 1\n")
    assert len({without, first, second}) == 3 and resuming.folder(tmp_path, "stage", b"") == first


def test_fingerprint_depends_on_names_order_and_contents_but_not_on_times(tmp_path):
    a, b, other = paths = [tmp_path / name for name in ("a", "b", "other")]
    for path in paths:
        path.write_text("12")
    first = resuming.fingerprint([a, b])
    os.utime(b, (1000, 1000))
    other.write_text("123")
    assert resuming.fingerprint([a, b]) == first
    digests = {first, *(resuming.fingerprint(files) for files in ([a], [b, a], [a, other]))}
    b.write_text("13")
    digests.add(resuming.fingerprint([a, b]))
    assert len(digests) == 5


def test_fingerprint_of_a_missing_file_names_it(tmp_path):
    """A mask may be deleted while a stage runs."""
    with pytest.raises(errors.UserError, match=f"^{tmp_path}/gone: No such file or directory; put it back \\("):
        resuming.fingerprint([tmp_path / "gone"])


@dataclasses.dataclass(frozen=True)
class Options:
    """A section of params.yaml."""

    lr: float


def test_state_file_depends_on_all_inputs(tmp_path):
    files = [tmp_path / "a.png", tmp_path / "split.json"]
    for file in files:
        file.write_text("12")

    def state_file(stage="train_backbone", lr=0.1, files=files, device="cpu"):
        return resuming.state_file(str(tmp_path / "work"), stage, Options(lr), torch.device(device), files)

    first = state_file()
    assert first == state_file() and first.name == "state.pt"
    assert first.is_relative_to(tmp_path / "work/train_backbone") and first.parent.is_dir()
    found = {
        first,
        state_file(stage="other"),
        state_file(lr=0.2),
        state_file(files=files[:1]),
        state_file(device="meta"),
    }
    files[1].write_text("13")
    found.add(state_file())
    assert len(found) == 6


class Killed(BaseException):
    """Interrupts a training, as a kill does."""


def train(state, die_in=None, n=4):
    """Yield the epochs of a training whose state is a sum over all epochs so far; raise Killed in epoch `die_in`."""
    first, total = (0, 0) if state is None else (state["epoch"] + 1, state["total"])
    for epoch in range(first, n):
        if epoch == die_in:
            raise Killed
        total += 10**epoch
        yield {"epoch": epoch, "loss": 1 / total}, {"epoch": epoch, "total": total}


def run(folder, die_in=None):
    initial_states = []

    def recorded_train(state):
        initial_states.append(state and dict(state))
        return train(state, die_in)

    with contextlib.suppress(Killed):
        resuming.run(folder / "state.pt", recorded_train, "training", 4, folder / "curve.csv")
    return initial_states


@pytest.mark.parametrize("die_in", [0, 1, 3])
def test_interrupted_training_resumes_after_its_last_epoch_with_the_same_curve(tmp_path, die_in):
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    assert run(tmp_path / "whole") == [None]
    run(tmp_path / "killed", die_in)
    assert (tmp_path / "killed/curve.csv").exists() is (die_in > 0)
    total = int("1" * die_in or "0")
    assert run(tmp_path / "killed") == [{"epoch": die_in - 1, "total": total} if die_in else None]
    for read in (checkpoints.load, lambda path: path.with_name("curve.csv").read_text()):
        assert read(tmp_path / "killed/state.pt") == read(tmp_path / "whole/state.pt")
    assert checkpoints.load(tmp_path / "whole/state.pt")["total"] == 1111
    lines = (tmp_path / "whole/curve.csv").read_text().splitlines()
    assert lines == ["epoch,loss", *(f"{epoch},{1 / int('1' * (epoch + 1))}" for epoch in range(4))]


def test_curve_is_written_after_every_epoch(tmp_path):
    lengths = []

    def recorded_train(state):
        for epoch in train(state):
            yield epoch
            lengths.append(len((tmp_path / "curve.csv").read_text().splitlines()) - 1)

    resuming.run(tmp_path / "state.pt", recorded_train, "training", 4, tmp_path / "curve.csv")
    assert lengths == [1, 2, 3, 4]


@pytest.mark.parametrize("stop_in", [0, 2])
def test_an_interruption_says_how_many_epochs_are_kept(tmp_path, stop_in):
    def interrupted(state):
        for row, new_state in train(state):
            if row["epoch"] == stop_in:
                raise KeyboardInterrupt
            yield row, new_state

    with pytest.raises(KeyboardInterrupt) as caught:
        resuming.run(tmp_path / "state.pt", interrupted, "training", 4, tmp_path / "curve.csv")
    expected = [f"{stop_in} of 4 epochs are kept in {tmp_path}; run again to go on"] if stop_in else []
    assert getattr(caught.value, "__notes__", []) == expected

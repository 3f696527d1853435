import os
import pickle
import zipfile

import pytest
import torch

from zeroshot.base import checkpoints


class Payload:
    """An object whose unpickling makes a folder."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def save(path, checkpoint):
    checkpoints.save(path, checkpoint)
    return path.read_bytes()


def content():
    torch.manual_seed(0)
    return {"config": {"lr": 0.1, "seen": (0, 2), "name": None}, "network": {"weight": torch.randn(3, 4)}, "epoch": 3}


def test_checkpoints_are_read_as_plain_types_and_tensors(tmp_path):
    checkpoints.save(tmp_path / "a.pt", content())
    loaded = checkpoints.load(tmp_path / "a.pt")
    assert loaded["config"] == {"lr": 0.1, "seen": [0, 2], "name": None} and loaded["epoch"] == 3
    assert torch.equal(loaded["network"]["weight"], content()["network"]["weight"])


def test_bytes_depend_on_content_and_not_on_the_file_name(tmp_path):
    assert save(tmp_path / "a.pt", content()) == save(tmp_path / "folder/another name.pt", content())


def test_bytes_do_not_depend_on_the_identity_of_strings(tmp_path):
    first, second = ("".join(["data/", "none"]) for _ in range(2))
    assert first is not second
    apart = save(tmp_path / "a.pt", {"one": first, "two": [second], second: 1})
    assert apart == save(tmp_path / "b.pt", {"one": first, "two": [first], first: 1})


def test_bytes_do_not_depend_on_memory_layout_or_autograd_history_of_tensors(tmp_path):
    plain = torch.arange(2 * 3 * 4 * 4.0).reshape(2, 3, 4, 4)
    expected = save(tmp_path / "plain.pt", {"a": plain, "b": plain.clone()})
    variants = {
        "channels_last": plain.to(memory_format=torch.channels_last),
        "view": torch.cat([plain, plain])[2:],
        "transposed": plain.transpose(0, 1).contiguous().transpose(0, 1),
        "parameter": torch.nn.Parameter(plain.clone()),
        "result": plain.clone().requires_grad_() * 1,
    }
    for name, tensor in variants.items():
        assert save(tmp_path / f"{name}.pt", {"a": tensor, "b": tensor}) == expected, name


def test_view_is_saved_without_the_rest_of_its_storage(tmp_path):
    storage = torch.zeros(1_000_000)
    assert len(save(tmp_path / "view.pt", {"part": storage[:10]})) < 10_000
    assert torch.equal(checkpoints.load(tmp_path / "view.pt")["part"], torch.zeros(10))


def test_later_changes_of_tensors_do_not_change_the_file(tmp_path):
    checkpoint = content()
    before = save(tmp_path / "a.pt", checkpoint)
    assert isinstance(checkpoint["config"]["seen"], tuple)
    checkpoint["network"]["weight"] += 1
    assert (tmp_path / "a.pt").read_bytes() == before


def test_code_in_a_checkpoint_is_refused_and_not_run(tmp_path):
    marker = tmp_path / "ran"
    torch.save({"network": Payload(marker)}, tmp_path / "zip.pt")
    (tmp_path / "bare.pt").write_bytes(pickle.dumps({"network": Payload(marker)}, protocol=2))
    for name in ("zip.pt", "bare.pt"):
        with pytest.raises(
            checkpoints.CheckpointError, match=f"{name}: cannot be read as .* it names `posix.mkdir`, .*; `dvc repro`"
        ) as caught:
            checkpoints.load(tmp_path / name)
        # torch advises to switch the protection off.
        assert "weights_only" not in str(caught.value) and "add_safe_globals" not in str(caught.value)
    assert not marker.exists()


def packed_again(path, compression):
    """Write the parts of a checkpoint to another archive; return its path."""
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(path.with_suffix(".pth"), "w", compression) as other:
        for name in archive.namelist():
            other.writestr(name, archive.read(name))
    return path.with_suffix(".pth")


def test_a_file_that_unpacks_to_more_than_its_size_is_refused_before_it_is_read(tmp_path, monkeypatch):
    save(tmp_path / "a.pt", {"weight": torch.zeros(250_000)})
    bomb = packed_again(tmp_path / "a.pt", zipfile.ZIP_DEFLATED)
    with monkeypatch.context() as patch:
        patch.setattr(torch, "load", lambda *_, **__: pytest.fail("read"))
        with pytest.raises(
            checkpoints.CheckpointError, match=r"a.pth: has \d,\d+ bytes and unpacks to 1,00\d,\d+, so "
        ):
            checkpoints.read(bomb)
    assert checkpoints.read(packed_again(tmp_path / "a.pt", zipfile.ZIP_STORED))["weight"].shape == (250_000,)


def test_parts_that_share_their_bytes_count_each(tmp_path):
    path = tmp_path / "a.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data/0", bytes(100_000))
        # The list is written at the end.
        archive.filelist.extend(archive.filelist * 9)
    with pytest.raises(checkpoints.CheckpointError, match=r"a.pt: has 10\d,\d+ bytes and unpacks to 1,000,000, so "):
        checkpoints.read(path)


def test_failed_save_keeps_the_old_checkpoint(tmp_path):
    before = save(tmp_path / "a.pt", content())
    with pytest.raises((AttributeError, pickle.PicklingError)):
        checkpoints.save(tmp_path / "a.pt", {"function": lambda: None})
    assert (tmp_path / "a.pt").read_bytes() == before
    assert list(tmp_path.iterdir()) == [tmp_path / "a.pt"]


class Needed(checkpoints.Configured):
    network: dict[str, torch.Tensor]


@pytest.mark.parametrize(
    ("checkpoint", "faults"),
    [
        ({"config": {}}, "network: Field required"),
        ({"config": [], "network": {"a": 1.5}}, "config: .*dictionary; network.a: .*instance of Tensor"),
        ([1], "the file: .*dictionary"),
    ],
)
def test_missing_and_wrong_entries_are_named(tmp_path, checkpoint, faults):
    checkpoints.save(tmp_path / "a.pt", checkpoint)
    with pytest.raises(checkpoints.CheckpointError, match=f"a.pt: is not the checkpoint .*: {faults}; `dvc repro`"):
        checkpoints.load(tmp_path / "a.pt", Needed)


def test_entries_that_are_not_needed_are_returned_too(tmp_path):
    checkpoints.save(tmp_path / "a.pt", content())
    assert checkpoints.load(tmp_path / "a.pt", Needed).keys() == content().keys()


def test_weights_that_do_not_fit_are_refused(tmp_path):
    with pytest.raises(
        checkpoints.CheckpointError, match="generator checkpoint: its weights do not fit .*size mismatch"
    ):
        checkpoints.load_weights(torch.nn.Linear(2, 3), torch.nn.Linear(3, 3).state_dict(), "generator checkpoint")

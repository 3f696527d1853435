"""Stages that several ranks share, from their command lines."""

import json
import os
import pathlib
import re
import signal
import time

import pytest
import torch
import yaml

from tests.support import blocks, dumping, two_ranks
from zeroshot.base import checkpoints, errors, ranks, resuming

checkpoint = dumping.checkpoint


def set_ranks(folder, n_ranks):
    document = yaml.safe_load((folder / "params.yaml").read_text())
    document["runtime"]["ranks"] = n_ranks
    (folder / "params.yaml").write_text(yaml.safe_dump(document))


def finish(process):
    """Wait for a process; return its exit status and its standard error."""
    _, text = process.communicate(timeout=300)
    return process.returncode, text


def children(pid):
    """Return the ids of the processes that a process started."""
    return [int(word) for word in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_two_ranks_of_params_yaml_or_of_torchrun_train_one_network(tmp_path):
    folder = blocks.make(tmp_path / "blocks", epochs=2, batch_size=2)
    set_ranks(folder, 2)
    networks = []
    for program in ((), two_ranks.TORCHRUN):
        status, text = finish(two_ranks.start(folder, "stages.train_backbone", blocks.ARGUMENTS, *program))
        assert status == 0, text
        assert (folder / "metrics/backbone.csv").read_text().count("\n") == 3
        assert not list((folder / "work").rglob("state.pt"))
        networks.append(torch.load(folder / "models/backbone.pt")["network"])
    assert all(torch.equal(networks[0][name], networks[1][name]) for name in networks[0])


def started(folder):
    """Start the stage in two ranks and return the process once an epoch is kept."""
    set_ranks(folder, 2)
    process = two_ranks.start(folder, "stages.train_backbone", blocks.ARGUMENTS)
    deadline = time.monotonic() + 120
    while not list((folder / "work").rglob("state.pt")) and time.monotonic() < deadline:
        time.sleep(0.05)
    return process


def test_a_rank_that_dies_ends_the_stage_with_its_name_and_training_goes_on_later(tmp_path):
    folder, other = (blocks.make(tmp_path / name, epochs=20, batch_size=2) for name in ("blocks", "undisturbed"))
    process = started(folder)
    # The second process that was started has rank 1.
    os.kill(max(children(process.pid)), signal.SIGKILL)
    status, text = finish(process)
    assert status == 1
    assert text.splitlines()[-1] == "rank 1 of 2 was ended by SIGKILL; the others were ended"
    assert "Traceback" not in text
    assert not (folder / "models/backbone.pt").exists() and list((folder / "work").rglob("state.pt"))
    networks = []
    for place in (folder, other):
        set_ranks(place, 2)
        status, text = finish(two_ranks.start(place, "stages.train_backbone", blocks.ARGUMENTS))
        assert status == 0, text
        networks.append(torch.load(place / "models/backbone.pt")["network"])
    assert all(torch.equal(networks[0][name], networks[1][name]) for name in networks[0])


def test_an_interrupted_stage_says_once_what_is_kept(tmp_path):
    process = started(blocks.make(tmp_path / "blocks", epochs=300, batch_size=2))
    process.send_signal(signal.SIGTERM)
    status, text = finish(process)
    assert status == 130
    first, second = (line for line in text.splitlines() if not line.startswith("train_backbone: "))
    assert re.fullmatch(
        r"interrupted: \d+ of 300 epochs are kept in work/train_backbone/\w+; run again to go on", first
    )
    assert second == "interrupted: see the line of rank 0 above"


def test_ranks_end_with_a_killed_launcher(tmp_path):
    process = started(blocks.make(tmp_path / "blocks", epochs=300, batch_size=2))
    workers = children(process.pid)
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 40
    while any(pathlib.Path(f"/proc/{pid}/stat").exists() for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert len(workers) == 2 and not [pid for pid in workers if pathlib.Path(f"/proc/{pid}").exists()]


def test_a_fault_that_all_ranks_have_is_said_once(tmp_path):
    folder = blocks.make(tmp_path / "blocks", batch_size=3)
    set_ranks(folder, 2)
    status, text = finish(two_ranks.start(folder, "stages.train_backbone", blocks.ARGUMENTS))
    first, second = text.splitlines()
    assert status == 1 and first.startswith("backbone.batch_size: 2 processes cannot share batches of 3 images")
    assert second == "rank 0 of 2 ended with status 1, see above; the others were ended"


def states_differ(folder):
    """Train with a state that rank 0 alone has, and return the error."""
    file = folder / f"work/state-{ranks.rank()}.pt"
    if ranks.rank() == 0:
        checkpoints.save(file, {"rows": [{"epoch": 0, "loss": 1.0, "lr": 0.1}]})
    with pytest.raises(errors.UserError) as caught:
        resuming.run(file, lambda state: iter(()), "training", 3, folder / "curve.csv")
    return str(caught.value)


def test_ranks_that_find_different_unfinished_work_refuse_it(tmp_path):
    for text in two_ranks.results(tmp_path, states_differ, tmp_path):
        assert "not every process finds the same unfinished work; set runtime.scratch to a folder" in text


@pytest.mark.parametrize("variables", [{"RANK": "1"}, {"RANK": "x", "WORLD_SIZE": "2"}])
def test_variables_that_torchrun_did_not_set_mean_nothing(tmp_path, monkeypatch, variables):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    folder = blocks.make(tmp_path / "blocks", epochs=1)
    status, text = finish(two_ranks.start(folder, "stages.train_backbone", blocks.ARGUMENTS))
    assert status == 0 and (folder / "models/backbone.pt").exists(), text


def test_two_ranks_dump_the_same_bytes_as_one(tmp_path, checkpoint):
    contents = []
    for n_ranks in (1, 2):
        folder = dumping.make(tmp_path / str(n_ranks), checkpoint, shard_mib=40)
        set_ranks(folder, n_ranks)
        status, text = finish(two_ranks.start(folder, "tests.support.small_dump", dumping.ARGUMENTS))
        assert status == 0, text
        contents.append(dumping.content(folder))
        assert not list((folder / "scratch").rglob("shard-*"))
    assert contents[0] == contents[1]
    assert sum("/shard-" in name for name in contents[0]) >= 4
    assert len(json.loads(contents[0]["val/index.json"])["shards"]) >= 2


def test_a_stage_that_does_not_share_its_work_refuses_torchrun(tmp_path):
    folder = blocks.make(tmp_path / "blocks")
    process = two_ranks.start(folder, "stages.cut_last_layer", {"--split-path": "data/split.json"}, *two_ranks.TORCHRUN)
    status, text = finish(process)
    assert status == 1 and "this program runs in one process; start it without torchrun" in text


@pytest.mark.skipif(torch.cuda.is_available(), reason="the message is that of a machine without GPUs")
def test_ranks_on_gpus_that_are_not_there_are_refused(tmp_path):
    folder = blocks.make(tmp_path / "blocks")
    document = yaml.safe_load((folder / "params.yaml").read_text())
    document["runtime"] |= {"device": "cuda", "ranks": 2}
    (folder / "params.yaml").write_text(yaml.safe_dump(document))
    status, text = finish(two_ranks.start(folder, "stages.train_backbone", blocks.ARGUMENTS))
    assert status == 1 and "runtime.device: is cuda, but PyTorch finds no GPU" in text
    assert "ended with status 1, see above" in text.splitlines()[-1]

import shutil
import types

import pytest
import torch

from stages import dump_features
from tests.support import dumping
from zeroshot.base import command_line, storage

small_shards = dumping.small_shards
checkpoint = dumping.checkpoint


def test_a_full_disk_ends_the_stage_before_it_writes(tmp_path, checkpoint, monkeypatch):
    folder = dumping.make(tmp_path, checkpoint, scales=[1.0], flip=False)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: types.SimpleNamespace(free=1000))
    monkeypatch.setattr(storage, "MIB", 1000)
    names = dumping.written(monkeypatch)
    with pytest.raises(
        SystemExit, match="features: .* MiB to write, 1 MiB free in .*; free some disk space, or lower "
    ):
        dumping.run(folder, monkeypatch)
    assert names == [] and not (folder / "features").exists()


def test_features_out_of_range_end_the_stage_with_the_name_of_the_shard(tmp_path, checkpoint, monkeypatch):
    folder = dumping.make(tmp_path, checkpoint, scales=[1.0], flip=False)
    state = torch.load(checkpoint, weights_only=True)
    last = max(name for name in state["network"] if name.startswith("decoder") and name.endswith("running_var"))
    state["network"][last.replace("running_var", "bias")][:] = 1e6
    (folder / "backbone.pt").unlink()
    torch.save(state, folder / "backbone.pt")
    with pytest.warns(RuntimeWarning, match="overflow"), pytest.raises(SystemExit) as caught:
        dumping.run(folder, monkeypatch)
    assert (
        str(caught.value) == "shard-00000.h5: features reach inf, beyond the range of float16; train the backbone again"
    )
    assert not (folder / "features").exists()


@pytest.mark.parametrize("name", ["train", "val"])
def test_a_labelled_list_requires_masks(name):
    words = "--data-root toy --images-path images.json --backbone-path backbone.pt"
    with pytest.raises(SystemExit, match=f"^dump_features: --{name}-dir needs --{name}-masks-dir$"):
        command_line.run(dump_features.main, [*words.split(), f"--{name}-dir", f"features/{name}"])

import shutil
import types

import numpy as np
import pytest
import torch

from stages import dump_features
from tests.support import block_dataset, dumping
from zeroshot.base import command_line, storage
from zeroshot.images import image_files

small_shards = dumping.small_shards
checkpoint = dumping.checkpoint


def test_a_full_disk_ends_the_stage_before_it_writes(tmp_path, checkpoint, monkeypatch):
    folder = dumping.make(tmp_path, checkpoint, scales=[1.0], flip=False)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: types.SimpleNamespace(free=1000))
    monkeypatch.setattr(storage, "MIB", 1000)
    names = dumping.written(monkeypatch)
    with pytest.raises(SystemExit, match="features: .* MiB to write, 1 MiB free in .*; free some disk space, or set "):
        dumping.run(folder, monkeypatch)
    assert names == [] and not (folder / "features").exists()


@pytest.mark.parametrize(
    ("changes", "advice"),
    [
        (
            {"pixels_per_class": 500},
            "lower features.pixels_per_class or features.scales, or set features.storage: int8",
        ),
        ({"unlabelled_pixels": 4000}, "lower features.unlabelled_pixels or features.unlabelled_views, or set"),
        ({"pixels_per_class": 1}, "set features.val_short_side to fewer pixels, or set features.storage: int8"),
        ({"pixels_per_class": 1, "storage": "int8"}, "set features.val_short_side to fewer pixels"),
    ],
)
def test_the_advice_of_a_full_disk_is_for_the_largest_list(tmp_path, checkpoint, monkeypatch, changes, advice):
    folder = dumping.make(tmp_path, checkpoint, **{"scales": [1.0], "flip": False, **changes})
    monkeypatch.setattr(shutil, "disk_usage", lambda path: types.SimpleNamespace(free=1000))
    with pytest.raises(SystemExit, match=f"free some disk space, or {advice}"):
        dumping.run(folder, monkeypatch)


@pytest.mark.parametrize("entries", [{}, {"lr_key": "self_training_network.lr"}], ids=str)
def test_features_out_of_range_end_the_stage_with_shard_and_key(tmp_path, checkpoint, monkeypatch, entries):
    folder = dumping.make(tmp_path, checkpoint, scales=[1.0], flip=False)
    state = torch.load(checkpoint, weights_only=True)
    last = max(name for name in state["network"] if name.startswith("decoder") and name.endswith("running_var"))
    state["network"][last.replace("running_var", "bias")][:] = 1e6
    (folder / "backbone.pt").unlink()
    torch.save(state | entries, folder / "backbone.pt")
    with pytest.warns(RuntimeWarning, match="overflow"), pytest.raises(SystemExit) as caught:
        dumping.run(folder, monkeypatch)
    assert str(caught.value) == (
        "shard-00000.h5: features reach inf, beyond the range of float16; train the network again with a lower "
        + entries.get("lr_key", "backbone.lr")
    )
    assert not (folder / "features").exists()


@pytest.mark.parametrize("name", ["train", "val"])
def test_a_labelled_list_requires_masks(name):
    words = "--data-root toy --images-path images.json --backbone-path backbone.pt"
    with pytest.raises(SystemExit, match=f"^dump_features: --{name}-dir needs --{name}-masks-dir$"):
        command_line.run(dump_features.main, [*words.split(), f"--{name}-dir", f"features/{name}"])


def test_a_seen_class_that_is_lost_at_small_scales_ends_the_stage_before_the_network_runs(
    tmp_path, checkpoint, monkeypatch
):
    folder = dumping.make(tmp_path, checkpoint, scales=[0.25], flip=False)
    for id, size in block_dataset.SIZES["train"].items():
        mask = np.zeros(size, np.uint16)
        mask[16:, :] = 3
        # Two cells at scale 1. At scale 0.25 a cell stands for 16 x 16 pixels, and its centre is not on the object.
        mask[:4, :8] = 2
        image_files.write_mask(folder / f"masks/train/{id}.png", mask)
    names = dumping.written(monkeypatch)
    with pytest.raises(SystemExit, match=r"^features\.scales: at \[0\.25\] .* seen classes: dog; add a larger scale"):
        dumping.run(folder, monkeypatch)
    assert names == [] and not (folder / "features").exists()
    block_dataset.write_params(folder, **{**dumping.SETTINGS, "scales": [0.25, 1.0], "flip": False})
    dumping.run(folder, monkeypatch)
    assert (folder / "features/train/index.json").exists()

"""Running the stage dump_features on the images of tests/support/block_dataset.py, and recording the shards that it writes."""

import pytest

from stages import dump_features
from tests.support import block_dataset
from zeroshot.base import command_line
from zeroshot.cache import dump, shard_plan

ARGUMENTS = {
    "--data-root": "toy",
    "--images-path": "images.json",
    "--train-masks-dir": "masks/train",
    "--val-masks-dir": "masks/val",
    "--backbone-path": "backbone.pt",
    "--train-dir": "features/train",
    "--unlabelled-dir": "features/unlabelled",
    "--val-dir": "features/val",
}
# Four passes over six training images, in shards of at most 80 kB.
SETTINGS = {
    "scales": [1.0, 0.5],
    "flip": True,
    "unlabelled_views": {"scales": [0.5, 1.5], "flip": False},
    "shard_mib": 80,
}


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    """Make shards small, so that a dump has several."""
    monkeypatch.setattr(shard_plan, "MIB", 1000)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """Return the checkpoint of an untrained network."""
    return block_dataset.write_checkpoint(tmp_path_factory.mktemp("backbone") / "backbone.pt")


@pytest.fixture(scope="module")
def finished(tmp_path_factory, checkpoint):
    """Return a folder in which the stage ran once, without interruption."""
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shard_plan, "MIB", 1000)
        make(folder, checkpoint)
        run(folder, patch)
    return folder


def make(folder, checkpoint, **changes):
    """Write the inputs of the stage to `folder`, with parameters updated by `changes`, and return it."""
    block_dataset.make(folder)
    block_dataset.write_params(folder, **{**SETTINGS, **changes})
    (folder / "backbone.pt").symlink_to(checkpoint)
    return folder


def run(folder, monkeypatch):
    """Run the stage in `folder`."""
    monkeypatch.chdir(folder)
    command_line.run(dump_features.main, [word for pair in ARGUMENTS.items() for word in pair])


def content(folder):
    """Return the bytes of every file of the three caches."""
    files = sorted(path for path in (folder / "features").rglob("*") if path.is_file())
    return {str(path.relative_to(folder / "features")): path.read_bytes() for path in files}


def written(monkeypatch, stop_at=None):
    """Return a list that records the shards as they are written; interrupt the stage before shard number `stop_at` (from 0)."""
    names = []
    write_shard = dump.write_shard

    def write(path, *arguments):
        if len(names) == stop_at:
            raise KeyboardInterrupt
        write_shard(path, *arguments)
        names.append(f"{path.parent.name}/{path.name}")

    monkeypatch.setattr(dump, "write_shard", write)
    return names

"""The command `zeroshot shards`."""

import pytest

from tests.support import caches
from zeroshot.cache import describe
from zeroshot.commands import __main__ as commands


@pytest.fixture
def folders(tmp_path):
    """A cache of rows and one of maps."""
    train = caches.write_rows(tmp_path / "train", [caches.table([0, 1, 2, 0])])
    return train, caches.write_maps(tmp_path / "val", [[caches.scene("a", 2, 3)]])


def run(*folders):
    """Run the command and return its exit status."""
    try:
        commands.main(["shards", *map(str, folders)])
    except SystemExit as error:
        return error.code
    return 0


def test_an_intact_cache_is_described_with_exit_code_zero(folders, capsys):
    assert run(folders[0]) == 0
    assert capsys.readouterr() == (describe.describe(folders[0]) + "\n", "")


def test_several_caches_are_described_in_order(folders, capsys):
    assert run(*reversed(folders)) == 0
    out = capsys.readouterr().out
    assert out == "".join(describe.describe(folder) + "\n" for folder in reversed(folders))


def test_damaged_caches_are_named_on_standard_error_and_intact_ones_described(folders, tmp_path, capsys):
    train, val = folders
    (train / "shard-00000.h5").write_bytes(b"cut")
    assert run(tmp_path / "none", train, val) == 1
    out, err = capsys.readouterr()
    assert out == describe.describe(val) + "\n"
    assert f"{tmp_path}/none: no readable index.json" in err
    assert "truncated or missing shards" in err and f"{train}/shard-00000.h5: 3, should be" in err
    assert "dvc repro dump_features" in err and "Traceback" not in err


def test_an_altered_shard_gives_exit_code_one(folders, capsys):
    path = folders[1] / "shard-00000.h5"
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    assert run(folders[1]) == 1
    assert capsys.readouterr().err.startswith(f"{path}: altered since it was written")


def test_a_folder_is_required():
    assert run() == "shards: name a cache, such as features/train"

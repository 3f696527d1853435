import runpy
import sys

import pytest

from tests.support import caches
from zeroshot.cache import describe
from zeroshot.commands.shards import main


@pytest.fixture
def folders(tmp_path):
    """A cache of rows and one of maps."""
    train = caches.write_rows(tmp_path / "train", [caches.table([0, 1, 2, 0])])
    return train, caches.write_maps(tmp_path / "val", [[caches.scene("a", 2, 3)]])


def test_a_good_cache_is_described_and_the_exit_code_is_zero(folders, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["python -m zeroshot.commands.shards", str(folders[0])])
    sys.modules.pop("zeroshot.commands.shards")
    with pytest.raises(SystemExit) as caught:
        runpy.run_module("zeroshot.commands.shards", run_name="__main__")
    assert caught.value.code == 0
    assert capsys.readouterr() == (describe.describe(folders[0]) + "\n", "")


def test_several_caches_are_described_in_order(folders, capsys):
    assert main([str(folder) for folder in reversed(folders)]) == 0
    out = capsys.readouterr().out
    assert out == "".join(describe.describe(folder) + "\n" for folder in reversed(folders))


def test_broken_caches_are_named_on_standard_error_beside_the_good_ones(folders, tmp_path, capsys):
    train, val = folders
    (train / "shard-00000.h5").write_bytes(b"cut")
    assert main([str(tmp_path / "none"), str(train), str(val)]) == 1
    out, err = capsys.readouterr()
    assert out == describe.describe(val) + "\n"
    assert f"{tmp_path}/none: no readable index.json" in err
    assert "truncated or missing shards" in err and f"{train}/shard-00000.h5: 3, should be" in err
    assert "dvc repro dump_features" in err and "Traceback" not in err


def test_an_altered_shard_gives_exit_code_one(folders, monkeypatch, capsys):
    path = folders[1] / "shard-00000.h5"
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    assert main([str(folders[1])]) == 1
    assert capsys.readouterr().err.startswith(f"{path}: altered since it was written")


def test_a_folder_must_be_given(capsys):
    with pytest.raises(SystemExit) as caught:
        main([])
    assert caught.value.code == 2 and "DIR" in capsys.readouterr().err

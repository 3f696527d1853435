"""Unfinished shards of a dump: writing those that are missing, and publishing all."""

import functools

import pytest

from tests.support import caches
from zeroshot.base import errors, ranks, storage
from zeroshot.cache import index, shard_work


def plan(work):
    """Return three shards of 10 bytes."""
    return [
        shard_work.Shard(path, 10, functools.partial(path.write_text, path.stem * 10))
        for path in (work / name for name in "abc")
    ]


def test_only_missing_shards_are_written_and_all_are_published(tmp_path):
    work, published = tmp_path / "work", []
    shards = plan(work)
    work.mkdir()
    shards[1].path.write_text("kept")
    assert shard_work.missing_bytes(shards) == 20

    def publish_all():
        published.extend(shard.path.read_text() for shard in shards)

    shard_work.finish("dump", work, shards, publish_all)
    assert published == ["a" * 10, "kept", "c" * 10]
    assert not work.exists()


def test_a_shard_of_another_rank_that_is_not_here_is_refused_and_nothing_is_published(tmp_path, monkeypatch):
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.setattr(ranks, "share", lambda items: items[::2])
    with pytest.raises(errors.UserError, match=r"b: another process wrote this shard, and it is not here"):
        shard_work.finish("dump", work, plan(work), lambda: pytest.fail("published"))
    assert sorted(path.name for path in work.iterdir()) == ["a", "c"]


def test_publish_replaces_the_folder_when_it_is_complete(tmp_path, monkeypatch):
    old = caches.write_rows(tmp_path / "train", [caches.table([0, 1])] * 3)
    new = caches.write_rows(tmp_path / "new", [caches.table([0, 2], seed=1)])
    content = (new / "shard-00000.h5").read_bytes()
    new_index = index.read(new)

    def interrupt(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(storage, "write_json", interrupt)
        with pytest.raises(KeyboardInterrupt):
            shard_work.publish(new, old, new_index)
    assert len(index.read(old).shards) == 3
    shard_work.publish(new, old, new_index)
    assert index.read(old) == new_index
    assert sorted(path.name for path in old.iterdir()) == ["index.json", "shard-00000.h5"]
    assert (old / "shard-00000.h5").read_bytes() == content

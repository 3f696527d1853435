import hashlib
import json
import os
import sys

import pytest

from tests.support import caches, two_ranks
from zeroshot.base import checksums, errors, storage
from zeroshot.cache import index, rows


@pytest.fixture
def memory(tmp_path, monkeypatch):
    """Let this process remember checksums in a folder, until the test ends."""
    # So that monkeypatch undoes what `remember_in` sets.
    monkeypatch.setenv("ZEROSHOT_CHECKSUMS", "")
    checksums.remember_in(tmp_path / "memory")
    # Files of a test have just been written.
    monkeypatch.setattr(checksums, "SETTLED_SECONDS", 0.0)
    return tmp_path / "memory"


@pytest.fixture
def computed(monkeypatch):
    """Return a list of the files whose checksum is computed."""
    paths = []
    sha256 = storage.sha256
    monkeypatch.setattr(storage, "sha256", lambda path: paths.append(path) or sha256(path))
    return paths


def test_a_checksum_is_computed_once_for_each_version_of_a_file(tmp_path, memory, computed):
    path = tmp_path / "shard.h5"
    for content in (b"one", b"another"):
        path.write_bytes(content)
        for _ in range(3):
            assert checksums.sha256(path) == hashlib.sha256(content).hexdigest()
    assert computed == [path, path]


def test_a_change_that_keeps_size_and_time_is_seen(tmp_path, memory):
    path = tmp_path / "shard.h5"
    path.write_bytes(b"one")
    status = path.stat()
    checksums.sha256(path)
    with open(path, "r+b") as file:
        file.write(b"two")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_mtime_ns == status.st_mtime_ns
    assert checksums.sha256(path) == hashlib.sha256(b"two").hexdigest()


def test_a_file_that_has_just_changed_is_not_remembered(tmp_path, memory, computed, monkeypatch):
    monkeypatch.setattr(checksums, "SETTLED_SECONDS", 100.0)
    path = tmp_path / "shard.h5"
    path.write_bytes(b"one")
    for _ in range(2):
        assert checksums.sha256(path) == hashlib.sha256(b"one").hexdigest()
    assert computed == [path, path] and not memory.exists()


def test_a_link_that_points_to_another_file_is_seen(tmp_path, memory):
    link = tmp_path / "shard.h5"
    for name in ("one", "two"):
        (tmp_path / name).write_text(name)
        link.unlink(missing_ok=True)
        link.symlink_to(tmp_path / name)
        assert checksums.sha256(link) == hashlib.sha256(name.encode()).hexdigest()


@pytest.mark.parametrize("content", [b"", b"\xff", b"[1]", b'{"version": 3}', b'{"sha256": "00"}'])
def test_a_damaged_memory_is_ignored(tmp_path, memory, content):
    path = tmp_path / "shard.h5"
    path.write_bytes(b"one")
    checksums.sha256(path)
    (note,) = memory.iterdir()
    note.write_bytes(content)
    assert checksums.sha256(path) == hashlib.sha256(b"one").hexdigest()
    assert json.loads(note.read_bytes())["sha256"] == hashlib.sha256(b"one").hexdigest()


def test_a_folder_that_cannot_be_written_is_no_fault(tmp_path, memory):
    memory.write_text("a file where the folder should be")
    (tmp_path / "shard.h5").write_bytes(b"one")
    assert checksums.sha256(tmp_path / "shard.h5") == hashlib.sha256(b"one").hexdigest()


def test_a_cache_is_verified_once_and_refused_after_a_change(tmp_path, memory, computed):
    folder = caches.write_rows(tmp_path / "cache", [caches.table([0, 1, 2]), caches.table([1, 1])])
    for _ in range(3):
        assert [len(table["label"]) for table in rows.read(folder)] == [3, 2]
    assert len(computed) == 2
    shard = folder / "shard-00001.h5"
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(content)
    with pytest.raises(index.ShardError, match="shard-00001.h5: altered since it was written"):
        list(rows.read(folder))


def test_a_stage_remembers_in_its_scratch_folder(tmp_path):
    (tmp_path / "params.yaml").write_text("runtime: {scratch: work}\n")
    (tmp_path / "given.txt").write_text("one")
    (tmp_path / "reader.py").write_text(
        "import pathlib\n"
        "from zeroshot.base import checksums, command_line\n"
        "checksums.SETTLED_SECONDS = 0\n"
        "def main(*, out: pathlib.Path) -> None:\n"
        '    """Read.\n\n    Args:\n        out: out: a checksum.\n    """\n'
        "    out.write_text(checksums.sha256('given.txt'))\n"
        "command_line.run(main)\n"
    )
    process = two_ranks.start(tmp_path, "reader.py", {"--out": "checksum"}, sys.executable)
    assert process.communicate() == ("", "")
    (note,) = (tmp_path / "work/checksums").iterdir()
    assert json.loads(note.read_bytes())["sha256"] == (tmp_path / "checksum").read_text()


def test_a_file_that_is_deleted_meanwhile_is_named(tmp_path, memory):
    with pytest.raises(errors.UserError, match=f"^{tmp_path}/gone.h5: No such file or directory; put it back"):
        checksums.sha256(tmp_path / "gone.h5")

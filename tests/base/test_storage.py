import collections
import errno
import hashlib
import json
import os
import pathlib
import shutil
import subprocess

import pandas
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support import small_disk as disks
from zeroshot.base import errors, storage

small_disk = disks.small_disk


def test_failed_write_keeps_the_old_file_and_no_temporary_file(tmp_path):
    path = tmp_path / "out.bin"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), storage.writing(path) as file:
        file.write(b"half of the new")
        file.flush()
        assert path.read_bytes() == b"old"
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_failed_first_write_creates_no_file(tmp_path):
    with pytest.raises(ValueError, match="from inside"), storage.replacing(tmp_path / "out.bin") as temporary:
        temporary.write_bytes(b"half")
        raise ValueError("from inside")
    assert list(tmp_path.iterdir()) == []


def test_file_is_replaced_after_the_flush_to_disk(tmp_path, monkeypatch):
    path = tmp_path / "out.bin"
    path.write_bytes(b"old")
    contents = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (contents.append(path.read_bytes()), fsync(handle)))
    with storage.writing(path) as file:
        file.write(b"new")
    assert contents == [b"old"] and path.read_bytes() == b"new"


def test_no_flush_to_disk_with_flush_false(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda handle: pytest.fail("waited"))
    with storage.writing(tmp_path / "x", flush=False) as file:
        file.write(b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["x"] and (tmp_path / "x").read_bytes() == b"x"


@pytest.mark.parametrize(
    "write",
    [
        lambda path: storage.write_text(path, "new"),
        lambda path: storage.write_json(path, ["new"]),
        lambda path: storage.write_csv(path, [{"a": "new"}]),
    ],
)
def test_hard_link_to_the_old_file_keeps_its_content(tmp_path, write):
    """DVC may hard-link an artefact to its cache; writing through the link would damage the cache."""
    cached = tmp_path / "cache"
    cached.write_text("old")
    path = tmp_path / "out"
    os.link(cached, path)
    write(path)
    assert cached.read_text() == "old" and "new" in path.read_text()
    assert not path.samefile(cached)


def test_symbolic_link_is_replaced_and_its_target_unchanged(tmp_path):
    cached = tmp_path / "cache"
    cached.write_text("old")
    path = tmp_path / "out"
    path.symlink_to(cached)
    storage.write_text(path, "new")
    assert cached.read_text() == "old" and path.read_text() == "new" and not path.is_symlink()


def test_missing_folders_are_created_and_text_is_utf8(tmp_path):
    storage.write_text(tmp_path / "a/b/out.txt", "Möwe\n")
    assert (tmp_path / "a/b/out.txt").read_bytes() == "Möwe\n".encode()


def test_json_is_indented_and_keeps_key_order(tmp_path):
    path = tmp_path / "out.json"
    value = {"b": [1, None], "a": {"x": 0.1}}
    storage.write_json(path, value)
    text = path.read_text()
    assert json.loads(text) == value and list(json.loads(text)) == ["b", "a"]
    assert text.endswith("}\n") and '\n  "b": [\n' in text


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_json_refuses_nan_and_infinity(tmp_path, value):
    path = tmp_path / "out.json"
    storage.write_json(path, 1)
    with pytest.raises(ValueError, match="JSON"):
        storage.write_json(path, {"iou": [0.5, value]})
    assert path.read_text() == "1\n" and list(tmp_path.iterdir()) == [path]


def test_csv_has_the_rows_in_order(tmp_path):
    path = tmp_path / "out.csv"
    storage.write_csv(path, [{"epoch": 0, "loss": 0.5}, {"epoch": 1, "loss": 0.25}])
    assert path.read_bytes() == b"epoch,loss\n0,0.5\n1,0.25\n"
    storage.write_csv(path, [{"epoch": 0, "loss": 0.5}], columns=["loss", "epoch"])
    assert path.read_bytes() == b"loss,epoch\n0.5,0\n"
    storage.write_csv(path, [], columns=["epoch", "loss"])
    assert path.read_bytes() == b"epoch,loss\n"


# Surrogates cannot be encoded as UTF-8.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
FLOATS = st.floats(allow_nan=False)
INTS = st.integers(-(2**63), 2**63 - 1)
COLUMNS = st.sampled_from([FLOATS, FLOATS | st.none(), INTS, TEXTS, TEXTS | st.none(), st.booleans()])


@st.composite
def tables(draw):
    """Draw rows of one to four columns; each column has one type, and some contain None."""
    names = draw(st.lists(TEXTS, min_size=1, max_size=4, unique=True))
    kinds = {name: draw(COLUMNS) for name in names}
    return [{name: draw(kind) for name, kind in kinds.items()} for _ in range(draw(st.integers(1, 4)))]


@settings(max_examples=200, deadline=None)
@given(tables())
@example([{"a": 1e-5, "b": 1e16, "c": -0.0, "d": float("inf")}, {"a": 0.1 + 0.2, "b": 5e-324, "c": 1.0, "d": None}])
@example([{"a": None}, {"a": ""}, {"a": 'x,"y"'}, {"a": "two\nlines"}])
def test_csv_is_byte_identical_to_that_of_pandas(tmp_path_factory, rows):
    folder = tmp_path_factory.getbasetemp()
    storage.write_csv(folder / "ours.csv", rows)
    pandas.DataFrame(rows).to_csv(folder / "pandas.csv", index=False)
    assert (folder / "ours.csv").read_bytes() == (folder / "pandas.csv").read_bytes()


def test_csv_has_the_columns_of_all_rows_and_empty_cells_for_missing_values(tmp_path):
    path = tmp_path / "out.csv"
    storage.write_csv(path, [{"a": 1}, {"b": "x", "a": 2}])
    assert path.read_bytes() == b"a,b\n1,\n2,x\n"


def test_curve_rewrites_its_table_after_every_row(tmp_path):
    path = tmp_path / "metrics/curve.csv"
    curve = storage.Curve(path)
    assert not path.exists()
    texts = []
    for row in ({"epoch": 0, "loss": 0.5}, {"epoch": 1, "loss": 0.25}):
        curve.add(row)
        texts.append(path.read_text())
    assert texts == ["epoch,loss\n0,0.5\n", "epoch,loss\n0,0.5\n1,0.25\n"]


def test_curve_continues_the_rows_of_an_interrupted_run_without_changing_them(tmp_path):
    earlier = [{"epoch": 0, "loss": 0.5}]
    curve = storage.Curve(tmp_path / "curve.csv", earlier)
    # DVC removes the table before a stage runs again, so the curve writes it immediately.
    assert (tmp_path / "curve.csv").read_text() == "epoch,loss\n0,0.5\n"
    curve.add({"epoch": 1, "loss": 0.25})
    assert (tmp_path / "curve.csv").read_text() == "epoch,loss\n0,0.5\n1,0.25\n"
    assert curve.rows == [{"epoch": 0, "loss": 0.5}, {"epoch": 1, "loss": 0.25}] and len(earlier) == 1


def content(folder):
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_replaced_folder_contains_only_new_files(tmp_path):
    folder = tmp_path / "deep/masks"
    for name in ("a", "b"):
        with storage.replacing_folder(str(folder)) as unfinished:
            assert list(unfinished.iterdir()) == [] and unfinished != folder
            (unfinished / name).mkdir()
            (unfinished / name / "x").write_text(name)
        assert content(tmp_path) == {f"deep/masks/{name}/x": name}


def test_failed_replacement_keeps_the_old_folder_and_its_files_are_not_in_the_next(tmp_path):
    folder = tmp_path / "masks"
    with storage.replacing_folder(folder) as unfinished:
        (unfinished / "old").write_text("old")
    with pytest.raises(KeyboardInterrupt), storage.replacing_folder(folder) as unfinished:
        (unfinished / "half").write_text("half")
        raise KeyboardInterrupt
    assert content(tmp_path) == {"masks/old": "old"}
    with storage.replacing_folder(folder) as unfinished:
        (unfinished / "new").write_text("new")
    assert content(tmp_path) == {"masks/new": "new"}


@settings(max_examples=20, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 4000))
def test_sha256_equals_that_of_hashlib(tmp_path_factory, block, repeats):
    path = tmp_path_factory.getbasetemp() / "digest"
    path.write_bytes(block * repeats)
    assert storage.sha256(path) == hashlib.sha256(block * repeats).hexdigest()


def refuse(*arguments):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def write_file(path):
    with storage.writing(path) as file:
        file.write(b"x" * 2 * disks.BYTES)


def write_folder(path):
    with storage.replacing_folder(path) as folder:
        (folder / "part").write_bytes(b"x" * 2 * disks.BYTES)


@pytest.mark.parametrize("write", [write_file, write_folder])
def test_full_disk_is_reported_with_the_path_and_keeps_what_was_there(small_disk, write):
    write_file(small_disk.parent / "big")
    for path in (small_disk / "new", small_disk / "old"):
        if path.name == "old" and write is write_file:
            path.write_text("old")
        elif path.name == "old":
            path.mkdir()
            (path / "a").write_text("old")
        before = content(small_disk)
        with pytest.raises(errors.DiskError) as caught:
            write(path)
        assert str(caught.value).startswith(f"{path}: cannot be written, because the disk is full or your quota is")
        assert str(caught.value).endswith(
            f"(0 MiB free in {small_disk}); free some disk space (docs/dvc.md) and run again"
        )
        assert content(small_disk) == before and len(list(small_disk.iterdir())) == len(before)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_full_disk_at_the_flush_and_a_used_up_quota_are_reported(tmp_path, monkeypatch, number):
    def fail(handle):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(errors.DiskError, match=r"a\.txt: cannot be written"):
        storage.write_text(tmp_path / "a.txt", "x")
    assert list(tmp_path.iterdir()) == []


def test_other_errors_of_the_system_are_not_changed(tmp_path):
    with pytest.raises(PermissionError), storage.replacing_folder(tmp_path / "a"):
        raise PermissionError(errno.EACCES, "Permission denied")


def test_two_writers_of_one_path_do_not_share_a_temporary_name(tmp_path):
    for replacing, write in (
        (storage.replacing, lambda path, text: path.write_text(text)),
        (storage.replacing_folder, lambda path, text: (path / text).write_text(text)),
    ):
        with replacing(tmp_path / "out") as first, replacing(tmp_path / "out") as second:
            assert first != second
            write(first, "first")
            write(second, "second")
            assert all(path.match(".*.tmp") for path in (first, second))  # as in .gitignore and .dvcignore
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        (tmp_path / "out").unlink(missing_ok=True)
    assert list(tmp_path.iterdir()) == []


def test_what_an_ended_process_left_is_removed_and_what_a_living_one_writes_stays(tmp_path):
    ended = subprocess.Popen(["true"])
    ended.wait()
    with storage.replacing(tmp_path / "a.h5") as temporary:
        here = temporary.name.removeprefix(".a.h5.").partition("-")[0]
        temporary.write_text("")
    (tmp_path / "a.h5").unlink()
    stays = {
        f".a.h5.{here}-{os.getpid()}-0a.tmp",
        f".b.h5.{here}-{ended.pid}-0a.tmp",
        # Of another machine that shares the folder, where the process may live.
        f".a.h5.abcdef-{ended.pid}-0a.tmp",
        f".a.h5.{here}-notes-0a.tmp",
    }
    for name in (*stays, f".a.h5.{here}-{ended.pid}-0a.tmp"):
        (tmp_path / name).write_text("half")
    (tmp_path / f".a.h5.{here}-{ended.pid}-0b.tmp").mkdir()
    storage.write_text(tmp_path / "a.h5", "new")
    assert {path.name for path in tmp_path.iterdir()} == {"a.h5", *stays}


def test_temporary_folder_is_removed_also_after_an_error(tmp_path):
    with pytest.raises(KeyboardInterrupt), storage.temporary_folder(tmp_path / "work", "train") as folder:
        (folder / "x").write_text("x")
        assert folder.parent == tmp_path / "work"
        raise KeyboardInterrupt
    assert list((tmp_path / "work").iterdir()) == []


def test_link_or_copy_makes_a_link_or_without_links_a_copy(tmp_path, monkeypatch):
    (tmp_path / "a").write_text("a")
    storage.link_or_copy(tmp_path / "a", tmp_path / "link")
    monkeypatch.setattr(os, "link", refuse)
    storage.link_or_copy(tmp_path / "a", tmp_path / "copy")
    assert (tmp_path / "link").samefile(tmp_path / "a") and not (tmp_path / "copy").samefile(tmp_path / "a")
    assert (tmp_path / "copy").read_text() == "a"


def test_check_room_compares_with_the_free_disk_space_of_the_nearest_folder(tmp_path, monkeypatch):
    usage = collections.namedtuple("usage", "total used free")
    paths = []
    monkeypatch.setattr(shutil, "disk_usage", lambda path: paths.append(path) or usage(9, 9, 1500 * 2**20))
    folder = tmp_path / "not/yet"
    message = f"features: 1,500 MiB to write, 1,500 MiB free in {folder}"
    assert storage.check_room(folder, 1500 * 2**20, "features", "lower p") == message
    with pytest.raises(errors.DiskError) as caught:
        storage.check_room(folder, 2100 * 2**20, "features", "lower p")
    assert str(caught.value) == (
        f"features: 2,100 MiB to write, 1,500 MiB free in {folder}; free some disk space, or lower p"
    )
    assert paths == [tmp_path, tmp_path]


def test_places_on_one_disk_are_recognised(small_disk):
    assert storage.on_one_disk(small_disk.parent / "a/b", small_disk.parent)
    assert not storage.on_one_disk(small_disk / "a/b", small_disk.parent / "a/b")
    assert pathlib.Path("/proc").is_mount() and not storage.on_one_disk("/proc", "/")

import hashlib
import json
import os

import pandas
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from zeroshot.base import storage


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
    assert content(folder) == {"old": "old"}
    with storage.replacing_folder(folder) as unfinished:
        (unfinished / "new").write_text("new")
    assert content(tmp_path) == {"masks/new": "new"}


@settings(max_examples=20, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 4000))
def test_sha256_equals_that_of_hashlib(tmp_path_factory, block, repeats):
    path = tmp_path_factory.getbasetemp() / "digest"
    path.write_bytes(block * repeats)
    assert storage.sha256(path) == hashlib.sha256(block * repeats).hexdigest()

import contextlib
import dataclasses
import json
import os

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import caches
from zeroshot.base import hdf5
from zeroshot.cache import index, maps, rows


@pytest.fixture
def cache(tmp_path):
    """Return a cache of four shards of rows."""
    return caches.write_rows(tmp_path / "features/train", [caches.table([0, 1, 2], seed=seed) for seed in range(4)])


def remedy(folder):
    return (
        f"restore it with `rm -r {folder}` and `dvc checkout {folder}`, or make it again with `dvc repro dump_features`, "
        "that of SZN with `dvc repro szn/dvc.yaml:dump`, that of ZSI with `dvc repro zsi/dvc.yaml:dump_regions`"
    )


def test_index_round_trip_leaves_one_file(tmp_path):
    provenance = {"source": {"x": [1, 2.5]}}
    written = index.Index("rows", 7, 4, ["a", "b"], ["1", "2", "3"], [], provenance, presence=[[0, 1], [], [1]])
    index.write(tmp_path / "new/cache", written)
    assert index.read(tmp_path / "new/cache") == written
    assert [path.name for path in (tmp_path / "new/cache").iterdir()] == ["index.json"]
    content = {"layout": 2, **dataclasses.asdict(written)}
    del content["margin"]
    assert json.loads((tmp_path / "new/cache/index.json").read_text()) == content
    with_margin = dataclasses.replace(written, margin=3)
    index.write(tmp_path / "new/cache", with_margin)
    assert index.read(tmp_path / "new/cache") == with_margin


@settings(max_examples=30, deadline=None)
@given(
    shards=st.lists(st.lists(st.tuples(st.integers(0, 4), st.sampled_from([0, 1, 2, 65535])), max_size=12), max_size=3)
)
def test_presence_lists_the_labels_of_each_image(tmp_path_factory, shards):
    folder = tmp_path_factory.getbasetemp() / "presence"
    paths = []
    for number, pairs in enumerate(shards):
        table = caches.table([label for _, label in pairs])
        table["image"] = np.array([image for image, _ in pairs], np.int32)
        paths.append(folder / f"shard-{number}.h5")
        rows.write(paths[-1], table)
    all_pairs = {pair for pairs in shards for pair in pairs}
    expected = [
        sorted(label for number, label in all_pairs if number == image and label != 65535) for image in range(5)
    ]
    assert index.presence(paths, 5) == expected


def test_complete_cache_is_read_with_a_text_path_or_its_kind(cache):
    assert index.read(str(cache)) == index.read(cache, "rows")
    assert [shard["file"] for shard in index.read(cache).shards] == [f"shard-{number:05d}.h5" for number in range(4)]


@pytest.mark.parametrize("content", [None, "", "[1]", "{", '{"layout": 2, "kind": "rows"}', '"text"', "\xff"])
def test_unreadable_index_is_refused_with_the_command_that_writes_it(tmp_path, content):
    folder = tmp_path / "features/val"
    if content is not None:
        folder.mkdir(parents=True)
        (folder / "index.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(index.ShardError) as caught:
        index.read(folder)
    text = str(caught.value)
    assert text.startswith(f"{folder}: no readable index.json (")
    assert text.endswith(
        "); make it with `dvc repro dump_features`, that of SZN with `dvc repro szn/dvc.yaml:dump`, "
        "that of ZSI with `dvc repro zsi/dvc.yaml:dump_regions`"
    )


@pytest.mark.parametrize("layout", [None, 1, 3])
def test_cache_of_another_layout_is_refused(cache, layout):
    values = json.loads((cache / "index.json").read_text())
    del values["layout"]
    # Indexes had no layout before layout 2.
    (cache / "index.json").write_text(json.dumps(values if layout is None else values | {"layout": layout}))
    with pytest.raises(index.ShardError) as caught:
        next(rows.read(cache))
    assert str(caught.value) == (
        f"{cache}: was written in layout {layout or 1} of the cache, and this version of the code reads layout 2; "
        "make it again with `dvc repro`"
    )


def test_cache_of_another_kind_is_refused(cache):
    with pytest.raises(index.ShardError) as caught:
        index.read(cache, "maps")
    assert str(caught.value) == f"{cache}: holds rows, but maps are needed; give the folder of a cache of maps"


def test_shards_of_wrong_size_and_missing_shards_are_listed_together(cache):
    size = (cache / "shard-00000.h5").stat().st_size
    (cache / "shard-00000.h5").write_bytes((cache / "shard-00000.h5").read_bytes()[: size // 2])
    (cache / "shard-00001.h5").unlink()
    (cache / "shard-00003.h5").write_bytes((cache / "shard-00003.h5").read_bytes() + b"\0")
    with pytest.raises(index.ShardError) as caught:
        index.read(cache)
    assert str(caught.value).splitlines() == [
        "truncated or missing shards",
        f"  {cache}/shard-00000.h5: {size // 2}, should be {size} bytes",
        f"  {cache}/shard-00001.h5: missing, should be {size} bytes",
        f"  {cache}/shard-00003.h5: {size + 1}, should be {size} bytes",
        f"  {remedy(cache)}",
    ]


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_one_flipped_bit_is_detected_by_the_checksum(cache, share):
    path = cache / "shard-00002.h5"
    content = bytearray(path.read_bytes())
    content[int(share * (len(content) - 1))] ^= 1
    path.write_bytes(content)
    cache_index = index.read(cache)  # The size is right, and reading the index computes no checksum.
    for number in (0, 1, 3):
        assert index.verify(cache, cache_index.shards[number]) == cache / f"shard-{number:05d}.h5"
    with pytest.raises(index.ShardError) as caught:
        index.verify(cache, cache_index.shards[2])
    assert str(caught.value) == f"{path}: altered since it was written (its SHA-256 differs)\n  {remedy(cache)}"


def test_written_shard_with_another_number_of_rows_is_refused(cache):
    path = cache / "shard-00000.h5"
    index.check_written(path, 3)
    for n_rows in (0, 2, 4):
        with pytest.raises(index.ShardError) as caught:
            index.check_written(path, n_rows)
        assert str(caught.value) == f"{path}: holds 3 features after {n_rows} were written"


def test_written_file_that_is_not_a_shard_is_refused(tmp_path):
    with h5py.File(tmp_path / "bare.h5", "w"):
        pass
    (tmp_path / "text.h5").write_text("half a shard")
    for name in ("bare.h5", "text.h5", "missing.h5"):
        with pytest.raises(index.ShardError) as caught:
            index.check_written(tmp_path / name, 1)
        assert str(caught.value).startswith(f"{tmp_path / name}: cannot be read back after writing: ")


def write_rows(path):
    rows.write(path, caches.table([0, 1, 2] * 100))


def write_maps(path):
    _, features, mask = caches.scene("a", 10, 12)
    maps.write(path, [0], [features], [mask])


@pytest.mark.parametrize("write", [write_rows, write_maps])
@pytest.mark.parametrize("before", [None, b"an older shard"])
def test_truncated_write_leaves_the_previous_file(tmp_path, monkeypatch, write, before):
    path = tmp_path / "shard.h5"
    if before:
        path.write_bytes(before)
    writing = hdf5.writing

    @contextlib.contextmanager
    def lossy(path):
        with writing(path) as file:
            yield file
        os.truncate(path, os.path.getsize(path) // 2)

    monkeypatch.setattr(hdf5, "writing", lossy)
    with pytest.raises(index.ShardError, match=r"shard\.h5.*: cannot be read back after writing: "):
        write(path)
    assert [(left.name, left.read_bytes()) for left in tmp_path.iterdir()] == ([("shard.h5", before)] if before else [])


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda index: index.pop("dim"), "dim: Field required"),
        (lambda index: index.update(classes="abc"), "classes: .*valid array"),
        (lambda index: index["shards"][0].pop("sha256"), "shards.0.sha256: Field required"),
        (lambda index: index["shards"][1].update(bytes="12"), "shards.1.bytes: .*valid integer"),
        (lambda index: index["shards"][0].update(file="../other/shard-00000.h5"), "shards.0.file: .*pattern"),
        (lambda index: index["shards"][2].pop("offsets"), "shard-00002.h5: needs 4 ascending offsets up to its 3 rows"),
        (lambda index: index["shards"][0].update(offsets=[0, 2, 1, 3]), "shard-00000.h5: needs 4 ascending offsets"),
        (lambda index: index["shards"][0].update(offsets=[0, 1, 2, 99]), "shard-00000.h5: needs 4 ascending offsets"),
        (lambda index: index.update(presence=[[7]] * len(index["images"])), "presence: needs label ids below 3"),
        (lambda index: index.update(presence=[[0]]), "presence: needs label ids below 3"),
        (lambda index: index.update(kind="columns"), "kind: .*pattern"),
    ],
)
def test_missing_and_wrong_fields_of_the_index_are_named(cache, change, fault):
    content = json.loads((cache / "index.json").read_text())
    change(content)
    (cache / "index.json").write_text(json.dumps(content))
    with pytest.raises(index.ShardError, match=rf"no readable index.json \({fault}.*\); make it with `dvc repro"):
        index.read(cache)

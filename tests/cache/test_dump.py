import dataclasses

import h5py
import numpy as np
import pytest
import torch

from tests.support import caches, dump_sources
from zeroshot.cache import dump, index, maps, rows, shard_plan
from zeroshot.images import grids, image_files

root = dump_sources.root


def constant(value):
    """Return a network whose features all have the value `value`."""

    def extract(images):
        return torch.full((len(images), 256, *grids.map_size(*images.shape[-2:], 4)), value)

    return extract


def test_masks_of_unlabelled_images_are_not_read(root, monkeypatch, tmp_path):
    monkeypatch.setattr(image_files, "read_mask", None)
    unlabelled = dump_sources.source(root, "unlabelled")
    dump.write_shard(
        tmp_path / "s.h5", unlabelled, dump_sources.jobs_of(unlabelled), constant(1.0), dump_sources.options()
    )
    with h5py.File(tmp_path / "s.h5") as file:
        assert set(file["label"][:].tolist()) == {rows.UNLABELLED} and len(file["label"]) == 80


@pytest.mark.parametrize("name", ["train", "unlabelled", "val"])
@pytest.mark.parametrize(("storage", "dataset", "size"), [("float16", "features", 2), ("int8", "codes", 1)])
def test_size_and_rows_of_a_shard_match_the_plan(root, tmp_path, name, storage, dataset, size):
    source, options = dump_sources.source(root, name), dump_sources.options(storage=storage)
    (jobs,) = shard_plan.plan(source, dataclasses.replace(options, shard_mib=1000))
    dump.write_shard(tmp_path / "s.h5", source, jobs, constant(1.0), options)
    planned = sum(job.bytes for job in jobs)
    assert planned <= (tmp_path / "s.h5").stat().st_size <= planned + 8192
    with h5py.File(tmp_path / "s.h5") as file:
        assert len(file[dataset]) == sum(job.rows for job in jobs)
        assert file[dataset].dtype.itemsize == size and ("features" in file) == (storage == "float16")


@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
@pytest.mark.parametrize("name", ["train", "unlabelled", "val"])
@pytest.mark.parametrize(
    ("value", "text"), [(np.nan, "nan"), (np.inf, "inf"), (-np.inf, "inf"), (7e4, "inf"), (-6.1e4, "60992.0")]
)
def test_features_beyond_the_range_of_float16_are_refused(root, tmp_path, name, value, text):
    source = dump_sources.source(root, name)
    path = tmp_path / "shard-00003.h5"
    with pytest.raises(shard_plan.DumpError) as caught:
        dump.write_shard(path, source, dump_sources.jobs_of(source), constant(value), dump_sources.options())
    assert (
        str(caught.value)
        == f"shard-00003.h5: features reach {text}, beyond the range of float16; train the network again with a lower backbone.lr"
    )
    assert not list(tmp_path.iterdir())


def test_large_features_within_the_range_are_written(root, tmp_path):
    source = dump_sources.source(root, "val")
    dump.write_shard(tmp_path / "s.h5", source, dump_sources.jobs_of(source), constant(5.9e4), dump_sources.options())
    with h5py.File(tmp_path / "s.h5") as file:
        assert (file["features"][:] == np.float16(5.9e4)).all()


def test_image_without_labelled_pixels_adds_no_row(root, tmp_path):
    source = dataclasses.replace(dump_sources.source(root, "train"), masks=tmp_path)
    for item in source.items:
        mask = image_files.read_mask(root / f"masks/train/{item.id}.png")
        image_files.write_mask(tmp_path / f"{item.id}.png", mask if item.id == "b" else np.full_like(mask, 65535))
    jobs = dump_sources.jobs_of(source)
    assert [job.rows > 0 for job in jobs] == [item.id == "b" for item in source.items]
    dump.write_shard(tmp_path / "some.h5", source, jobs, constant(1.0), dump_sources.options())
    with h5py.File(tmp_path / "some.h5") as file:
        assert set(file["image"][:].tolist()) == {1}
    dump.write_shard(tmp_path / "none.h5", source, jobs[2:], constant(1.0), dump_sources.options())
    assert index.entry(tmp_path / "none.h5", "rows", 4)["offsets"] == [0, 0, 0, 0, 0]


@pytest.mark.parametrize("labels", [[0, 2, 2, 65535, 0], [1], [65535, 65535], [0, 1, 2, 0, 1, 2]])
def test_index_entry_of_a_shard_has_the_offsets_of_each_class(tmp_path, labels):
    rows.write(tmp_path / "shard-00004.h5", caches.table(labels))
    offsets = [sum(label < bound for label in labels) for bound in range(4)]
    expected = caches.entry(tmp_path / "shard-00004.h5", rows=len(labels), offsets=offsets)
    assert index.entry(tmp_path / "shard-00004.h5", "rows", 3) == expected


def test_index_entry_of_maps_has_no_offsets(tmp_path):
    image, features, mask = caches.scene("a", 3, 4)
    maps.write(tmp_path / "s.h5", [0], [features], [mask])
    assert index.entry(tmp_path / "s.h5", "maps", 3) == caches.entry(tmp_path / "s.h5", rows=12)

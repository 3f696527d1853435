import tracemalloc
import types

import numpy as np
import pytest

from tests.support import caches
from zeroshot.cache import index, maps


def example_maps():
    """Return maps of images of different sizes, in another order than the images of the index."""
    sizes = {"v": (3, 5), "b": (1, 1), "k": (5, 3), "a": (4, 4), "z": (2, 7)}
    return [caches.scene(image, *size, seed=seed) for seed, (image, size) in enumerate(sizes.items())]


@pytest.mark.parametrize("lengths", [[5], [2, 3], [1, 1, 1, 1, 1]])
def test_maps_round_trip_with_any_number_of_shards(tmp_path, lengths):
    written = example_maps()
    shards = np.split(np.arange(5), np.cumsum(lengths)[:-1])
    folder = caches.write_maps(tmp_path, [[written[number] for number in shard] for shard in shards])
    read = list(maps.read(folder))
    assert [item.image for item in read] == ["v", "b", "k", "a", "z"]
    for item, (_, features, mask) in zip(read, written, strict=True):
        np.testing.assert_array_equal(item.features, features)
        np.testing.assert_array_equal(item.mask, mask)
        assert item.features.dtype == np.float16 and item.mask.dtype == np.uint16


@pytest.mark.parametrize("images", [["a"], ["z", "v"], ["k", "b", "a"], []])
def test_chosen_images_keep_the_order_of_the_cache_and_other_shards_are_not_read(tmp_path, monkeypatch, images):
    written = example_maps()
    folder = caches.write_maps(tmp_path, [written[:2], written[2:3], written[3:]])
    everything = {item.image: item for item in maps.read(folder)}
    verified = []
    verify = index.verify
    monkeypatch.setattr(index, "verify", lambda folder, shard: verified.append(shard["file"]) or verify(folder, shard))
    read = list(maps.read(folder, images))
    assert [item.image for item in read] == [image for image in everything if image in images]
    for item in read:
        np.testing.assert_array_equal(item.features, everything[item.image].features)
        np.testing.assert_array_equal(item.mask, everything[item.image].mask)
    shards = {"v": 0, "b": 0, "k": 1, "a": 2, "z": 2}
    assert verified == [f"shard-{number:05d}.h5" for number in sorted({shards[image] for image in images})]


def test_read_masks_does_not_read_features(tmp_path, monkeypatch):
    written = example_maps()
    folder = caches.write_maps(tmp_path, [written[:2], written[2:]])
    monkeypatch.setattr(index, "verify", None)
    read = list(maps.read_masks(folder))
    assert [image for image, _ in read] == ["v", "b", "k", "a", "z"]
    for (_, mask), (_, _, expected) in zip(read, written, strict=True):
        np.testing.assert_array_equal(mask, expected)
    (folder / "shard-00001.h5").unlink()
    with pytest.raises(index.ShardError, match=r"shard-00001\.h5: missing"):
        next(maps.read_masks(folder))


def test_bytes_of_a_shard_do_not_depend_on_its_name(tmp_path):
    images, features, masks = zip(*example_maps(), strict=True)
    for name in ("a.h5", "of_another_name.h5"):
        maps.write(tmp_path / name, list(range(len(images))), list(features), list(masks))
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "of_another_name.h5").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.h5", "of_another_name.h5"]


def test_only_one_image_is_in_memory(tmp_path):
    dim = 256
    folder = caches.write_maps(tmp_path, [[caches.scene(name, 32, 32, dim) for name in "abcdefgh"]], dim)
    bytes_of_image = 32 * 32 * dim * 2 + 127 * 127
    next(maps.read(folder))  # Modules that are imported on first use must not count.
    reader = maps.read(folder)
    assert isinstance(reader, types.GeneratorType)
    tracemalloc.start()
    try:
        n_read = 0
        for item in reader:
            n_read += 1
            del item
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # The buffer of the checksum takes 256 KiB and is freed before the first image is read.
    assert n_read == 8 and peak < bytes_of_image + 2**18


def test_a_cache_of_rows_is_refused(tmp_path):
    folder = caches.write_rows(tmp_path / "train", [caches.table([0, 1])])
    with pytest.raises(
        index.ShardError, match="train: holds rows, but maps are needed; give the folder of a cache of maps"
    ):
        next(maps.read(folder))


def test_an_altered_shard_is_refused_after_the_shards_before_it(tmp_path):
    first, second, *_ = example_maps()
    folder = caches.write_maps(tmp_path, [[first], [second]])
    path = folder / "shard-00001.h5"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    reader = maps.read(folder)
    assert next(reader).image == "v"
    with pytest.raises(index.ShardError, match="shard-00001.h5: altered since it was written"):
        next(reader)

import functools

import numpy as np
import pytest
import torch

from zeroshot.cache import index, rows, shard_work
from zeroshot.zsi.regions import evaluation_regions, region_shards

DIM = 6
ROW_BYTES = 2 * DIM + rows.ROW_BYTES
REGION_BYTES = evaluation_regions.region_bytes(DIM, 2)


def cache(kind, items, sizes, shard_bytes):
    """Return a cache whose image of number i has `items[i]`."""
    write = {"rows": region_shards.write_rows, "regions": region_shards.write_evaluation}[kind]
    return region_shards.Cache(
        kind=kind,
        dim=DIM,
        classes=("background", "cow", "crow"),
        images=("7", "5", "9", *map(str, range(10, 200)))[: len(items)],
        sizes=sizes,
        provenance={"encoder": "none"},
        shard_bytes=shard_bytes,
        write=functools.partial(write, items.__getitem__),
    )


def written(tmp_path, *arguments):
    """Write and publish a cache; return its folder."""
    described, work = cache(*arguments), tmp_path / "work"
    shards = described.shards(work)
    shard_work.finish("dump", work, shards, lambda: described.publish(work, tmp_path / "cache", shards))
    assert not work.exists()
    return tmp_path / "cache"


def table(number, labels):
    n = len(labels)
    return {
        "features": np.full((n, DIM), number, np.float16),
        "label": np.array(labels, np.uint16),
        "image": np.full(n, number, np.int32),
        "view": np.zeros(n, np.uint8),
        "position": np.zeros((n, 2), np.uint16),
        "component": np.arange(1, n + 1, dtype=np.int32),
        "weight": np.ones(n, np.float32),
    }


def evaluated(number, n):
    return evaluation_regions.EvaluationRegions(
        np.full((n, DIM), number, np.float16),
        np.full((n, 4), number, np.float32),
        np.arange(n, dtype=np.float16)[:, None, None, None] * np.ones((1, 2, 14, 14), np.float16),
        (40, 50 + number),
        (80, 100 + number),
    )


def test_rows_of_images_are_in_shards_of_the_stated_size_and_sorted_by_class(tmp_path):
    tables = [table(0, [1, 0]), table(1, [0, 0]), table(2, [1] * 5)]
    folder = written(tmp_path, "rows", tables, [2 * ROW_BYTES, 2 * ROW_BYTES, 5 * ROW_BYTES], 3 * ROW_BYTES)
    described = index.read(folder, "rows")
    # Two images do not fit into a shard of three rows, and the third one is larger than a shard.
    assert [shard["rows"] for shard in described.shards] == [2, 2, 5]
    assert described.presence == [[0, 1], [0], [1]] and described.images == ["7", "5", "9"]
    assert [part["label"].tolist() for part in rows.read(folder)] == [[0, 1], [0, 0], [1] * 5]


def test_images_fill_shards_by_their_bounds_and_a_shard_has_a_largest_number_of_images(tmp_path):
    def plan(sizes, shard_bytes):
        described = cache("rows", [None] * len(sizes), sizes, shard_bytes)
        return [(shard.path.name, shard.n_bytes) for shard in described.shards(tmp_path)]

    assert plan([2, 1, 3], 3) == [("shard-00000.h5", 3), ("shard-00001.h5", 3)]
    assert [n_bytes for _, n_bytes in plan([4, 1, 1, 1, 2], 3)] == [4, 3, 2]
    assert [n_bytes for _, n_bytes in plan([1] * 130, 1000)] == [64, 64, 2]
    assert plan([], 3) == []


def test_the_bounds_are_those_of_the_bytes_in_a_file():
    columns = sum(column.nbytes for column in table(0, [1]).values())
    one = evaluated(0, 1)
    assert columns == ROW_BYTES
    assert one.features.nbytes + one.boxes.nbytes + one.mask_features.nbytes == REGION_BYTES


def test_regions_of_evaluation_images_come_back_and_an_image_may_have_none(tmp_path):
    images = [evaluated(0, 2), evaluated(1, 0), evaluated(2, 3)]
    folder = written(tmp_path, "regions", images, [2 * REGION_BYTES] * 3, 5 * REGION_BYTES)
    assert len(index.read(folder, "regions").shards) == 2
    found = dict(evaluation_regions.read(folder, torch.device("cpu")))
    assert {image: len(one.boxes) for image, one in found.items()} == {"7": 2, "5": 0, "9": 3}
    assert found["9"].size == (80, 102) and found["9"].resized == (40, 52)
    pooled = found["9"].mask_features(torch.tensor([2, 0]), found["9"].boxes[:2])
    assert pooled[:, 0, 0, 0].tolist() == [2, 0]


def test_a_missing_or_damaged_cache_of_regions_names_the_stage_that_dumps_regions(tmp_path):
    folder = tmp_path / "cache"
    texts = []

    def read():
        with pytest.raises(index.ShardError) as caught:
            list(evaluation_regions.read(folder, torch.device("cpu")))
        texts.append(str(caught.value))

    read()
    written(tmp_path, "regions", [evaluated(0, 2)], [2 * REGION_BYTES], REGION_BYTES)
    shard = folder / "shard-00000.h5"
    content = shard.read_bytes()
    shard.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    read()
    shard.write_bytes(content[:-1])
    read()
    causes = ("no readable index.json", "altered since it was written", "truncated or missing shards")
    for text, cause in zip(texts, causes, strict=True):
        assert cause in text and text.endswith("that of ZSI with `dvc repro zsi/dvc.yaml:dump_regions`")

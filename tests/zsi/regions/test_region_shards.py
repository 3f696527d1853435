import dataclasses

import numpy as np
import pytest
import torch

from zeroshot.base import errors
from zeroshot.cache import index, rows
from zeroshot.zsi.regions import evaluation_regions, region_shards

DIM = 6
DESCRIPTION = region_shards.Description(
    dim=DIM,
    classes=("background", "cow", "crow"),
    images=("7", "5", "9"),
    provenance={"encoder": "none"},
    shard_bytes=3 * (2 * DIM + rows.ROW_BYTES),
)


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
    region_shards.write_rows(tmp_path / "cache", DESCRIPTION, [table(0, [1, 0]), table(1, [0, 0]), table(2, [1] * 5)])
    described = index.read(tmp_path / "cache", "rows")
    # Two images do not fit into a shard of three rows, and the third one is larger than a shard.
    assert [shard["rows"] for shard in described.shards] == [2, 2, 5]
    assert described.presence == [[0, 1], [0], [1]] and described.images == ["7", "5", "9"]
    assert [part["label"].tolist() for part in rows.read(tmp_path / "cache")] == [[0, 1], [0, 0], [1] * 5]


def test_a_cache_without_an_object_is_refused(tmp_path):
    with pytest.raises(errors.UserError, match="no training image has an object of a seen class"):
        region_shards.write_rows(tmp_path / "cache", DESCRIPTION, [table(0, [0]), table(1, []), table(2, [0])])
    assert not (tmp_path / "cache").exists()


def test_regions_of_evaluation_images_come_back_and_an_image_may_have_none(tmp_path):
    region_shards.write_evaluation(
        tmp_path / "cache",
        dataclasses.replace(DESCRIPTION, shard_bytes=4000),
        [evaluated(0, 2), evaluated(1, 0), evaluated(2, 3)],
    )
    assert len(index.read(tmp_path / "cache", "regions").shards) == 2
    found = dict(evaluation_regions.read(tmp_path / "cache", torch.device("cpu")))
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
    region_shards.write_evaluation(folder, DESCRIPTION, [evaluated(0, 2)])
    shard = folder / "shard-00000.h5"
    content = shard.read_bytes()
    shard.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    read()
    shard.write_bytes(content[:-1])
    read()
    causes = ("no readable index.json", "altered since it was written", "truncated or missing shards")
    for text, cause in zip(texts, causes, strict=True):
        assert cause in text and text.endswith("that of ZSI with `dvc repro zsi/dvc.yaml:dump_regions`")

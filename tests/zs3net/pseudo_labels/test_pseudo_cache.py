"""The cache of pseudo-labelled pixels."""

import dataclasses

import torch

from tests.support import pixel_world, unlabelled_world
from zeroshot.cache import index
from zeroshot.pixel_classifiers import pixel_classifier
from zeroshot.zs3net.pseudo_labels import pseudo_cache, selection

LAST = len(pixel_world.CLASSES) - 1


def classifier():
    """Return one that labels every pixel as the last class."""
    n = len(pixel_world.CLASSES)
    return pixel_classifier.PixelClassifier(
        torch.zeros(n, pixel_world.DIM), torch.eye(n)[LAST], torch.arange(n), torch.arange(n) == LAST
    )


def test_pseudo_labels_of_a_class_that_no_mask_shows_are_sampled(tmp_path):
    unlabelled_world.write(tmp_path)
    folder = tmp_path / "features/unlabelled"
    # As for a folder of images whose last class is a mere name.
    described = index.read(folder)
    short = [{**shard, "offsets": shard["offsets"][:-1]} for shard in described.shards]
    index.write(folder, dataclasses.replace(described, classes=described.classes[:LAST], shards=short))
    options = selection.Params(rule="per_image", p=100.0, min_confidence=0.0, classes="unseen")
    tables = pseudo_cache.write(tmp_path / "pseudo", folder, classifier(), options, {}, pixel_world.CLASSES)
    kept = sum(int(table["kept"].sum()) for table in tables)
    pool = pseudo_cache.pool(tmp_path / "pseudo", per_class=10_000, seed=0)
    assert pool.labels.tolist() == [LAST] and len(pool.features) == kept > 0

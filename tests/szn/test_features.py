import pathlib
import types

import pytest

from zeroshot.base import params
from zeroshot.datasets import splits
from zeroshot.szn import features

SECTION = {
    "pixels_per_class": 8,
    "ignored_pixels": True,
    "seed": 3,
    "shard_mib": 2,
    "batch_size": 4,
    "precision": "float32",
    "storage": "int8",
}
ITEMS = (splits.Item("a", "JPEGImages/a.png"),)
LISTS = splits.Images(("background", "cow"), (0, 1), ITEMS, (), ITEMS, {"JPEGImages/a.png": "0"})
NETWORK = types.SimpleNamespace(stride=32, feature_dim=6, margin=3)


@pytest.mark.parametrize("ignored", [True, False])
@pytest.mark.parametrize("name", ["train", "val"])
def test_ignored_pixels_are_sampled_of_training_images_where_the_options_say_so(name, ignored):
    options = params.build(SECTION | {"ignored_pixels": ignored}, features.Params, "features")
    source = features.source(name, LISTS, pathlib.Path("data"), pathlib.Path("masks"), options, NETWORK)
    assert source.samples_ignored == (ignored and name == "train")
    assert (source.name, source.stride, source.margin) == (name, 32, 3)


def test_the_plan_of_a_cache_has_every_image_once_and_whole():
    plan = params.build(SECTION, features.Params, "features").plan()
    assert (plan.scales, plan.flip, plan.val_short_side) == ((1.0,), False, None)
    assert (plan.pixels_per_class, plan.seed, plan.shard_mib, plan.batch_size) == (8, 3, 2, 4)
    assert (plan.precision, plan.storage) == ("float32", "int8")

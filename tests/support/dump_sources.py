"""Inputs of the feature dump: the images of tests/support/block_dataset.py, and the passes over each list of them."""

import itertools

import pytest

from tests.support import block_dataset
from zeroshot.base import params
from zeroshot.cache import shard_plan
from zeroshot.datasets import splits
from zeroshot.images import views
from zeroshot.networks import deeplab

WHOLE = [views.View(1.0, False)]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A folder with the images, their masks and split."""
    folder = tmp_path_factory.mktemp("dump")
    block_dataset.make(folder)
    return folder


def options(**changes):
    """Return options of the dump, changed where a test asks."""
    return params.build(block_dataset.settings(**changes), shard_plan.Params, "features")


def source(root, name, passes=WHOLE):
    """Return the list `name` of the images below `root`, and the passes over it."""
    split = splits.read(root / "split.json")
    masks = None if name == "unlabelled" else root / "masks" / name
    return shard_plan.Source(
        name, getattr(split, name), root / "toy", masks, passes, deeplab.FEATURE_DIM, deeplab.STRIDE
    )


def jobs_of(source):
    """Return the jobs of a source in the order in which they are done."""
    return list(itertools.chain.from_iterable(shard_plan.plan(source, options())))

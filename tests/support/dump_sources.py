"""Inputs of the feature dump: sources and jobs for the images of tests/support/block_dataset.py."""

import itertools

import pytest

from tests.support import block_dataset
from zeroshot.base import params
from zeroshot.cache import shard_plan, sources
from zeroshot.datasets import splits
from zeroshot.images import grids, views
from zeroshot.networks import deeplab

WHOLE = [views.View(1.0, False)]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Return a folder with the images, masks and split."""
    folder = tmp_path_factory.mktemp("dump")
    block_dataset.make(folder)
    return folder


def options(**changes):
    """Return the section `features`, updated by `changes`."""
    return params.build(block_dataset.settings(**changes), sources.Params, "features")


def source(root, name, passes=WHOLE):
    """Return the source of the list `name` of the data set in `root`, with the views `passes`."""
    split = splits.read(root / "split.json")
    masks = None if name == "unlabelled" else root / "masks" / name
    return sources.Source(name, getattr(split, name), root / "toy", masks, passes, deeplab.FEATURE_DIM, grids.STRIDE)


def jobs_of(source):
    """Return the jobs of a source in the order of the plan."""
    return list(itertools.chain.from_iterable(shard_plan.plan(source, options())))

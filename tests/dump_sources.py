"""What the feature dump starts from: the pictures of tests/scenes.py, and the passes over each list of them."""

import itertools

import pytest

from tests import scenes
from zs3 import params, splits, views
from zs3.features import plan

WHOLE = [views.View(1.0, False)]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A folder with the pictures, their masks and split."""
    folder = tmp_path_factory.mktemp("dump")
    scenes.make(folder)
    return folder


def options(**changes):
    """Return options of the dump, changed where a test asks."""
    return params.build(scenes.settings(**changes), plan.Params, "features")


def source(root, name, passes=WHOLE):
    """Return the list `name` of the pictures below `root`, and the passes over it."""
    split = splits.read(root / "split.json")
    masks = None if name == "unlabelled" else root / "masks" / name
    return plan.Source(name, getattr(split, name), root / "toy", masks, passes)


def jobs_of(source):
    """Return the jobs of a source in the order in which they are done."""
    return list(itertools.chain.from_iterable(plan.plan(source, options())))

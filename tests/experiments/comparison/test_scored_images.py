"""The images behind a row of the tables are found in DVC's cache by the hashes of the run's lock."""

import hashlib
import subprocess

import numpy as np
import pytest
import scipy.sparse

from zeroshot.base import params
from zeroshot.datasets import splits
from zeroshot.evaluation import image_confusions
from zeroshot.experiments.comparison import catalogue, collect, dvc_experiments, scored_images

METHOD = params.build(
    {"model": "zs3net", "figures": "without_bias", "set": {}, "target": None, "reads_unseen": False, "note": "."},
    catalogue.Method,
    "method",
)


@pytest.fixture
def root(tmp_path):
    for command in ("git init -q .", "dvc init -q"):
        subprocess.run(command.split(), cwd=tmp_path, check=True)
    return tmp_path


def cached(root, write):
    """Let `write` make a file, move it to the cache, and return its MD5."""
    path = root / "new"
    write(path)
    md5 = hashlib.md5(path.read_bytes()).hexdigest()
    target = root / ".dvc/cache/files/md5" / md5[:2] / md5[2:]
    target.parent.mkdir(parents=True, exist_ok=True)
    path.rename(target)
    return md5


def result(root, hits, images=("a", "b"), unseen=(1,)):
    """Return a run that has `hits` correct pixels of class 1 in each image."""
    counts = scipy.sparse.csr_matrix([[5, 0, 9 - one, one] for one in hits])
    confusions = image_confusions.ImageConfusions(images, 2, {"generalised": counts, "without_bias": 2 * counts})
    split = splits.Split(("background", "cow"), (0,), unseen, "images", (), (), ())
    outs = [
        {
            "path": "metrics/zs3net_images.h5",
            "md5": cached(root, lambda path: image_confusions.write(path, confusions)),
        },
        {"path": "data/split.json", "md5": cached(root, lambda path: splits.write(path, split))},
    ]
    stages = [{"outs": outs}, {"params": {"params.yaml": {"evaluation": {"absent_classes": "zero"}}}}]
    return collect.Result({}, None, dvc_experiments.Experiment("run", "rev", "", "", "done", {}, stages), ())


def test_runs_are_read_with_the_protocol_of_the_row_and_the_roles_of_their_split(root):
    scored = scored_images.read(root, METHOD, [result(root, [3, 4]), result(root, [5, 6])])
    assert (scored.images, scored.seen, scored.unseen, scored.absent) == (("a", "b"), (0,), (1,), "zero")
    expected = [[[10, 0, 12, 6], [10, 0, 10, 8]], [[10, 0, 8, 10], [10, 0, 6, 12]]]
    np.testing.assert_array_equal([counts.toarray() for counts in scored.counts], expected)


def test_there_is_nothing_to_resample_without_runs_or_files_or_with_different_images(root):
    one = result(root, [3, 4])
    assert scored_images.read(root, METHOD, []) is None
    assert scored_images.read(root, METHOD, [one, result(root, [3, 4], images=("a", "c"))]) is None
    for path in (root / ".dvc/cache/files/md5").glob("*/*"):
        path.unlink()
    assert scored_images.read(root, METHOD, [one]) is None

"""The images behind a row of the tables are found in DVC's cache by the hashes of the run's lock."""

import dataclasses
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


def result(
    root, hits, images=("a", "b"), unseen=(1,), matrices="metrics/zs3net_images.h5", split_path="data/split.json"
):
    """Return a run that has `hits` correct pixels of class 1 in each image, in the files `matrices` and `split_path`."""
    counts = scipy.sparse.csr_matrix([[5, 0, 9 - one, one] for one in hits])
    unseen_alone = scipy.sparse.csr_matrix([[0, 0, 2, one] for one in hits])
    protocols = {"generalised": counts, "without_bias": 2 * counts, "vanilla": unseen_alone}
    confusions = image_confusions.ImageConfusions(images, 2, protocols)
    split = splits.Split(("background", "cow"), (0,), unseen, "images", (), (), ())
    outs = [
        {
            "path": matrices,
            "md5": cached(root, lambda path: image_confusions.write(path, confusions)),
        },
        {"path": split_path, "md5": cached(root, lambda path: splits.write(path, split))},
    ]
    stages = [{"outs": outs}, {"params": {"params.yaml": {"evaluation": {"absent_classes": "zero"}}}}]
    return collect.Result({}, None, dvc_experiments.Experiment("run", "rev", "", "", "done", {}, stages), ())


def test_runs_are_read_with_the_protocol_of_the_row_and_the_roles_of_their_split(root):
    scored = scored_images.read(root, METHOD, [result(root, [3, 4]), result(root, [5, 6])])
    assert (scored.images, scored.seen, scored.unseen, scored.absent) == (("a", "b"), (0,), (1,), "zero")
    expected = [[[10, 0, 12, 6], [10, 0, 10, 8]], [[10, 0, 8, 10], [10, 0, 6, 12]]]
    np.testing.assert_array_equal([counts.toarray() for counts in scored.counts], expected)


def test_in_the_vanilla_protocol_the_interval_is_that_of_the_mean_iou_of_unseen_classes(root):
    scored = scored_images.read_vanilla(root, METHOD, [result(root, [3, 6])])
    assert scored is not None and scored.unseen == (1,)
    # Of both images: 3 + 6 right pixels of 13. Of one of them twice: 3 of 5, and 6 of 8.
    sets = np.array([[1, 1], [2, 0], [0, 2]])
    np.testing.assert_allclose(scored.hious(sets), [100 * 9 / 13, 100 * 3 / 5, 100 * 6 / 8])


def test_a_model_of_another_pipeline_has_the_files_of_that_pipeline(root):
    method = dataclasses.replace(METHOD, model="szn/fcn_je")
    own = {"matrices": "metrics/szn/fcn_je_images.h5", "split_path": "data/szn/split.json"}
    scored = scored_images.read(root, method, [result(root, [3, 4], **own)])
    assert scored is not None and scored.images == ("a", "b")
    assert scored_images.read(root, method, [result(root, [3, 4])]) is None
    mixed = own | {"split_path": "data/split.json"}
    assert scored_images.read(root, method, [result(root, [3, 4], **mixed)]) is None


def test_there_is_nothing_to_resample_without_runs_or_files_or_with_different_images(root):
    one = result(root, [3, 4])
    assert scored_images.read(root, METHOD, []) is None
    assert scored_images.read(root, METHOD, [one, result(root, [3, 4], images=("a", "c"))]) is None
    for path in (root / ".dvc/cache/files/md5").glob("*/*"):
        path.unlink()
    assert scored_images.read(root, METHOD, [one]) is None

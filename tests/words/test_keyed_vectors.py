import os
import pickle

import gensim.models
import numpy as np
import pytest

from zeroshot.words import keyed_vectors, pickles, vector_files, word_vectors


@pytest.fixture
def keyed():
    keyed = gensim.models.KeyedVectors(5)
    keyed.add_vectors(["cat", "dog", "cow"], np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32))
    for word in keyed.index_to_key:
        keyed.set_vecattr(word, "count", len(word))
    return keyed


def test_file_saved_by_gensim_is_read(tmp_path, keyed):
    path = tmp_path / "a.kv"
    keyed.save(str(path))
    words = vector_files.read(path, ["cow", "horse"])
    assert list(words.vectors) == ["cow"]
    np.testing.assert_array_equal(words.vectors["cow"], keyed["cow"])
    assert words.vocabulary == ("cat", "dog", "cow")


def test_vectors_of_a_trained_model_are_read(tmp_path):
    model = gensim.models.Word2Vec([["cat", "sat", "mat"]] * 5, vector_size=4, min_count=1, workers=1)
    model.wv.save(str(tmp_path / "a.kv"))
    np.testing.assert_array_equal(vector_files.read(tmp_path / "a.kv", ["cat"]).vectors["cat"], model.wv["cat"])


@pytest.mark.parametrize("name", ["vectors", "syn0"])
@pytest.mark.parametrize("exists", [True, False])
def test_vectors_in_a_second_file_are_refused_because_dvc_hashes_only_the_first(tmp_path, keyed, name, exists):
    """gensim 4 calls the array `vectors`, gensim 3 calls it `syn0`."""
    path = tmp_path / "a.kv"
    if name == "syn0":
        keyed.syn0 = keyed.__dict__.pop("vectors")
    keyed.save(str(path), sep_limit=1)
    if not exists:
        (tmp_path / f"a.kv.{name}.npy").unlink()
    with pytest.raises(
        word_vectors.WordVectorError, match=r"a\.kv: contains no vectors.*DVC would not notice"
    ) as caught:
        vector_files.read(path, ["cat"])
    assert "save_word2vec_format(..., binary=True)" in str(caught.value)


def test_both_remedies_for_a_second_file_help(tmp_path, keyed):
    keyed.save(str(tmp_path / "a.kv"), sep_limit=1)
    loaded = gensim.models.KeyedVectors.load(str(tmp_path / "a.kv"))
    loaded.save(str(tmp_path / "b.kv"), sep_limit=2**40)
    loaded.save_word2vec_format(str(tmp_path / "b.bin"), binary=True)
    for name in ("b.kv", "b.bin"):
        np.testing.assert_array_equal(vector_files.read(tmp_path / name, ["cat"]).vectors["cat"], keyed["cat"])


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

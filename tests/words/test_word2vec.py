import gzip
import random

import gensim.models.word2vec
import numpy as np
import pytest

from zeroshot.words import word2vec, word_vectors

OPTIONS = {"dim": 12, "window": 3, "min_count": 2, "epochs": 12, "negative": 5, "seed": 3}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    rng = random.Random(0)
    topics = (
        (["cat", "dog", "cow"], ["fur", "tail", "paw", "barn"]),
        (["bus", "car", "van"], ["road", "wheel", "fuel", "lane"]),
    )
    lines = []
    for _ in range(1200):
        names, hints = rng.choice(topics)
        line = [rng.choice(names), rng.choice(names), *rng.sample(hints, 3)]
        rng.shuffle(line)
        lines.append(" ".join(line))
    path = tmp_path_factory.mktemp("corpus") / "corpus.txt"
    path.write_text("\n".join([*lines, "once"]) + "\n")
    return path


def test_words_of_one_topic_have_similar_vectors(corpus):
    vectors = word2vec.train(corpus, ["cat", "dog", "bus"], **OPTIONS).vectors
    unit = {word: vector / np.linalg.norm(vector) for word, vector in vectors.items()}
    assert unit["cat"] @ unit["dog"] > unit["cat"] @ unit["bus"] + 0.1


def test_only_requested_words_are_returned_and_rare_words_are_absent(corpus):
    words = word2vec.train(corpus, ["cat", "once", "zebra"], **OPTIONS)
    assert list(words.vectors) == ["cat"] and words.vectors["cat"].shape == (12,)
    assert "dog" in words.vocabulary and "once" not in words.vocabulary


def test_compressed_text_gives_equal_vectors_and_another_seed_different_ones(corpus, tmp_path):
    (tmp_path / "corpus.txt.gz").write_bytes(gzip.compress(corpus.read_bytes()))
    plain, compressed, other = (
        word2vec.train(path, ["cat"], **{**OPTIONS, "seed": seed}).vectors["cat"]
        for path, seed in ((corpus, 3), (tmp_path / "corpus.txt.gz", 3), (corpus, 4))
    )
    np.testing.assert_array_equal(plain, compressed)
    assert not np.array_equal(plain, other)


def test_sentences_are_those_of_gensim(tmp_path, monkeypatch):
    path = tmp_path / "corpus.txt"
    path.write_text("the cat\u00a0sat\n\n  \nä b\tc\r\n" + "word " * 7 + "\nlast")
    monkeypatch.setattr(word2vec, "MAX_SENTENCE", 3)
    expected = list(gensim.models.word2vec.LineSentence(str(path), max_sentence_length=3))
    assert list(word2vec._Corpus(path)) == expected and len(expected) == 6


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_byte_order_mark_of_a_corpus_is_not_a_part_of_its_first_word(tmp_path, suffix):
    path = tmp_path / f"corpus.txt{suffix}"
    content = ("cat dog\n" * 2).encode("utf-8-sig")
    path.write_bytes(gzip.compress(content) if suffix else content)
    assert sorted(word2vec.train(path, ["cat", "dog"], **OPTIONS).vectors) == ["cat", "dog"]


def test_line_without_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(word_vectors, "MAX_LINE", 20)
    path = tmp_path / "corpus.txt.gz"
    path.write_bytes(gzip.compress(b"one two three four\n" + b"one two three four five\n"))
    with pytest.raises(word_vectors.WordVectorError, match=r"corpus.txt.gz: .*line 2 is longer than 20 bytes.*fold -s"):
        word2vec.train(path, ["one"], **OPTIONS)


def test_track_receives_every_epoch(corpus):
    epochs = []
    word2vec.train(corpus, ["cat"], **OPTIONS, track=lambda items: (epochs.append(item) or item for item in items))
    assert epochs == list(range(12))


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("a.txt", b"", "no vocabulary|no word occurs"),
        ("a.txt", b"one two three\n", "no vocabulary|no word occurs embeddings.min_count=2 times"),
        ("a.txt", b"caf\xe9 caf\xe9\n", "cannot be read as UTF-8 text"),
        ("a.gz", b"no gzip", "cannot be read as UTF-8 text"),
    ],
)
def test_unusable_corpus_is_named(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(word_vectors.WordVectorError, match=message) as error:
        word2vec.train(tmp_path / name, ["cat"], **OPTIONS)
    assert str(tmp_path / name) in str(error.value)

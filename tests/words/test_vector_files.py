import gzip
import struct
import tracemalloc

import gensim.models
import numpy as np
import pytest

from zeroshot.base import errors
from zeroshot.words import vector_files, word_vectors

WORDS = ["cat", "dog", "dining_table", "Bäume", "tv"]


@pytest.fixture
def keyed():
    keyed = gensim.models.KeyedVectors(7)
    keyed.add_vectors(WORDS, np.random.default_rng(0).normal(size=(len(WORDS), 7)).astype(np.float32))
    return keyed


def save(keyed, folder, kind):
    path = folder / f"vectors.{kind}"
    if kind == "vec":  # fastText ends lines with a space.
        keyed.save_word2vec_format(path)
        path.write_bytes(path.read_bytes().replace(b"\n", b" \n"))
    elif kind == "glove":
        keyed.save_word2vec_format(path, write_header=False)
    elif kind == "bin":
        keyed.save_word2vec_format(path, binary=True)
    elif kind == "newline":  # The original C program ends every vector with a line feed.
        rows = [word.encode() + b" " + keyed[word].tobytes() + b"\n" for word in WORDS]
        path.write_bytes(b"5 7\n" + b"".join(rows))
    return path


@pytest.mark.parametrize("gzipped", [False, True])
@pytest.mark.parametrize("kind", ["vec", "glove", "bin", "newline"])
def test_every_format_gives_the_vectors_of_gensim(tmp_path, keyed, kind, gzipped):
    path = save(keyed, tmp_path, kind)
    reference = gensim.models.KeyedVectors.load_word2vec_format(
        path, binary=kind in ("bin", "newline"), no_header=kind == "glove"
    )
    if gzipped:
        path.write_bytes(gzip.compress(path.read_bytes()))
    words = vector_files.read(path, ["tv", "cow", "Bäume"])
    assert sorted(words.vectors) == ["Bäume", "tv"]
    for word, vector in words.vectors.items():
        assert vector.dtype == np.float32
        np.testing.assert_array_equal(vector, reference[word])
    assert words.vocabulary == tuple(WORDS)


def test_binary_vectors_are_read_across_block_borders(tmp_path, keyed, monkeypatch):
    path = save(keyed, tmp_path, "bin")
    for head in range(40, 60):
        monkeypatch.setattr(vector_files, "HEAD", head)
        words = vector_files.read(path, WORDS)
        assert all(np.array_equal(words.vectors[word], keyed[word]) for word in WORDS)


def test_first_of_two_equal_words_is_used(tmp_path):
    (tmp_path / "a.txt").write_text("cat 1 2\ncat 3 4\n")
    np.testing.assert_array_equal(vector_files.read(tmp_path / "a.txt", ["cat"]).vectors["cat"], [1, 2])


def test_entries_of_several_words_are_not_read_as_their_first_word(tmp_path):
    (tmp_path / "a.txt").write_text("the 1 2\nat home 3 4\nat 5 6\n")
    np.testing.assert_array_equal(vector_files.read(tmp_path / "a.txt", ["at"]).vectors["at"], [5, 6])


def test_all_vectors_are_handed_over_but_those_of_entries_of_several_words(tmp_path):
    (tmp_path / "a.txt").write_text("the 1 2\nat home 3 4\nat 5 6\nthe 7 8\n")
    blocks = []
    words = vector_files.read(tmp_path / "a.txt", ["the"], consume=blocks.append)
    np.testing.assert_array_equal(words.vectors["the"], [1, 2])
    assert all(block.shape == (1, 2) and block.dtype == np.float32 for block in blocks)
    np.testing.assert_array_equal(np.concatenate(blocks), [[1, 2], [5, 6], [7, 8]])


@pytest.mark.parametrize("word", ["cat", "cow"])
def test_number_that_cannot_be_read_is_a_fault_of_any_word_if_all_are_handed_over(tmp_path, word):
    (tmp_path / "a.txt").write_text("dog 1 2\ncow 3 x\ncat 4 5\n")
    with pytest.raises(word_vectors.WordVectorError, match="damaged at word 2"):
        vector_files.read(tmp_path / "a.txt", [word], consume=lambda block: None)


def test_error_of_the_consumer_is_not_taken_for_damage(tmp_path):
    def refuse(block):
        raise errors.UserError("too few dimensions")

    (tmp_path / "a.txt").write_text("dog 1 2\n")
    with pytest.raises(errors.UserError, match="^too few dimensions$"):
        vector_files.read(tmp_path / "a.txt", ["dog"], consume=refuse)


def test_vocabulary_for_suggestions_is_limited(tmp_path, monkeypatch):
    monkeypatch.setattr(word_vectors, "NEAR_VOCABULARY", 2)
    (tmp_path / "a.txt").write_text("cat 1 2\ndog 3 4\ncow 5 6\n")
    words = vector_files.read(tmp_path / "a.txt", ["cow"])
    assert words.vocabulary == ("cat", "dog") and "cow" in words.vectors


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "is not a file of word vectors"),
        (b"just some prose\nover two lines\n", "is not a file of word vectors.*found b'just some prose'"),
        (
            b"3 2\ncat 1 2\ndog 3 4\n",
            "announces 3 words, found 2; download .* shortened it yourself, change its first line to `2 2`",
        ),
        (b"9" * 5000 + b" 2\ncat 1 2\n", "is not a file of word vectors"),
        (gzip.compress(b"1 2\ncat 1 2\n" * 999)[:60] + bytes(60), "cannot be decompressed"),
        (b"1 2\ncat 1 2\ndog 3 4\n", "announces 1 words, found 2"),
        (b"2 2\ndog 1 2\ncat 3\n", "damaged at word 2: needs 2 numbers, found 1"),
        (b"2 2\ndog 1 2\ncat 3 x\n", "damaged at word 2"),
        (b"2 999999999\ncat 1 2\n", "is not a file of word vectors"),
        (b"9999999999 2\ncat " + struct.pack("<2f", 1, 2), "announces 9999999999 words, found 1"),
        (b"2 2\ncat " + struct.pack("<3f", 1, 2, 3), "announces 2 words, found 1"),
        (vector_files.FASTTEXT_MAGIC + b"rest", r"fastText \.bin file; use the \.vec"),
        (gzip.compress(b"2 2\ncat 1 2\ndog 3 4\n", mtime=0)[:-9], "cannot be decompressed"),
    ],
)
def test_damaged_files_are_named_with_the_fault(tmp_path, content, message):
    path = tmp_path / "vectors"
    path.write_bytes(content)
    with pytest.raises(word_vectors.WordVectorError, match=message) as error:
        vector_files.read(path, ["cat"])
    assert str(path) in str(error.value)


@pytest.mark.parametrize("start", [b"cat 1 2\ndog ", b"2 2\ncat 1 2\ndog "])
@pytest.mark.parametrize("word", [b"9" * 10, b" 1" * 5])
def test_endless_line_of_a_small_compressed_file_is_refused_in_bounded_memory(tmp_path, monkeypatch, start, word):
    monkeypatch.setattr(word_vectors, "MAX_LINE", 100_000)
    path = tmp_path / "vectors.gz"
    with gzip.open(path, "wb") as file:
        file.write(start)
        file.write(word * 1_000_000)
    assert path.stat().st_size < 100_000
    tracemalloc.start()
    try:
        with pytest.raises(
            word_vectors.WordVectorError, match=r"vectors\.gz: is damaged at word 1: line 2 is longer than 100,000"
        ):
            vector_files.read(path, ["cat"])
        # The whole line has 10 MB. The first block has 1 MB, and its numbers are split.
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


def test_long_words_do_not_fill_the_vocabulary_for_suggestions(tmp_path):
    (tmp_path / "a.txt").write_text(f"{'x' * 5000} 1 2\ncat 3 4\n")
    assert vector_files.read(tmp_path / "a.txt", ["cat"]).vocabulary == ("x" * vector_files.MAX_WORD, "cat")


@pytest.mark.parametrize("header", ["", "2 2\n"])
@pytest.mark.parametrize("gzipped", [False, True])
def test_byte_order_mark_is_not_a_part_of_the_first_word_or_number(tmp_path, header, gzipped):
    content = f"{header}cat 1 2\ndog 3 4\n".encode("utf-8-sig")
    (tmp_path / "a.txt").write_bytes(gzip.compress(content) if gzipped else content)
    words = vector_files.read(tmp_path / "a.txt", ["cat", "dog"])
    assert sorted(words.vectors) == ["cat", "dog"] and words.vocabulary == ("cat", "dog")


def test_track_receives_every_row(tmp_path, keyed):
    rows_read = []
    path = save(keyed, tmp_path, "bin")
    vector_files.read(path, ["cat"], track=lambda rows: (rows_read.append(row) or row for row in rows))
    assert len(rows_read) == len(WORDS)


@pytest.mark.parametrize("header", ["", "2 3\n"])
@pytest.mark.parametrize("row", ["cat 0,1 -0,2 1e-3", "cat 0,1 -2,5e-3 1"])
def test_decimal_commas_are_named(tmp_path, header, row):
    path = tmp_path / "a.txt"
    path.write_text(f"{header}{row}\ndog 1 2 3\n")
    with pytest.raises(
        word_vectors.WordVectorError, match=r"a\.txt: has numbers with decimal commas; write decimal points"
    ):
        vector_files.read(path, ["cat"])
    path.write_text(f"{header}{row.replace(',', '.')}\ndog 1 2 3\n")
    assert vector_files.read(path, ["cat"]).vectors["cat"][0] == np.float32(0.1)


def test_a_comma_may_be_a_word(tmp_path):
    (tmp_path / "a.txt").write_text(", 1 2\ncat 3 4\n")
    assert vector_files.read(tmp_path / "a.txt", ["cat"]).vocabulary == (",", "cat")

"""Reading the vectors of chosen words from a file, in one pass and in bounded memory.

gensim's readers load the whole file into memory (3.6 GB for GoogleNews), allocate what the header claims and, for `.kv`, run the
pickle. The formats are simple, so this module reads them itself; tests compare the result with gensim's.
"""

import codecs
import contextlib
import gzip
import pathlib
import zlib
from collections.abc import Collection, Iterator
from typing import BinaryIO, cast

import numpy as np

from zeroshot.base import errors, user_files
from zeroshot.words import keyed_vectors, word_vectors

# Bytes per read. The first block decides the format, so it must hold a first line with thousands of numbers.
HEAD = 1 << 20
MAX_DIM = 10_000
# Words of the vocabulary, which is for suggestions only, are cut to this number of bytes.
MAX_WORD = 200
# Exceptions on damaged bytes, compressed or not.
_DAMAGE = (EOFError, OSError, ValueError, zlib.error)
FASTTEXT_MAGIC = (793712314).to_bytes(4, "little")


def read(
    path: str | pathlib.Path,
    lookup_words: Collection[str],
    track: word_vectors.Track = iter,
    consume: word_vectors.Consumer | None = None,
) -> word_vectors.WordVectors:
    """Read the vectors of the given words.

    The content decides the format: gensim's `.kv` (a pickle, whose code is not run), word2vec binary, word2vec text and fastText `.vec`
    (a header line `words dim`), or GloVe (no header). All but `.kv` may be gzipped. If a word occurs twice, the first vector is used.

    Args:
        path: the file.
        lookup_words: the words to look up.
        track: called with the lines of the file, for a progress bar.
        consume: called with the vectors of all words, in the same pass. GloVe's entries of several words are left out.

    Raises:
        WordVectorError: if the file has none of these formats or is damaged.
        user_files.FileError: if the file cannot be opened.
    """
    path = pathlib.Path(path)
    start = user_files.head(path)
    try:
        with _open(path, start) as file:
            head = file.read(HEAD)
    except _DAMAGE as error:
        raise word_vectors.WordVectorError(f"{path}: cannot be decompressed: {error}") from None
    if path.suffix == ".kv" or head.startswith(b"\x80"):
        return keyed_vectors.read(path, lookup_words, consume)
    if head.startswith(FASTTEXT_MAGIC):
        raise word_vectors.WordVectorError(
            f"{path}: is a fastText .bin file; use the .vec file that is published with it"
        )

    first, _, rest = head.partition(b"\n")
    header = first.split()
    if len(header) == 2 and all(field.isdigit() for field in header):
        # Python refuses to read thousands of digits as a number.
        count, dim = (int(field) if len(field) < 19 else 0 for field in header)
        binary = not _is_text_row(rest.partition(b"\n")[0], dim)
    else:
        count, dim, binary = None, len(header) - 1, False
    row = first if count is None else rest.partition(b"\n")[0]
    if not _is_text_row(row, dim) and _is_text_row(row.replace(b",", b"."), dim):
        raise word_vectors.WordVectorError(
            f"{path}: has numbers with decimal commas; write decimal points (0.1, not 0,1): {row[:60]!r}"
        )
    if not 1 <= dim <= MAX_DIM or not (count or _is_text_row(first, dim)):
        raise word_vectors.WordVectorError(
            f"{path}: is not a file of word vectors: the first line must be `words dim` (word2vec, fastText) "
            f"or a word and its numbers (GloVe); found {first[:60]!r}"
        )

    keys = {word.encode(): word for word in lookup_words}
    vectors: dict[str, np.ndarray] = {}
    vocabulary: list[str] = []
    n_rows = 0
    with _open(path, start) as file:
        if count is not None:
            file.readline()
        rows = _binary_rows(file, dim, count or 0) if binary else _text_rows(file)
        try:
            for key, numbers in track(rows):
                n_rows += 1
                if len(vocabulary) < word_vectors.NEAR_VOCABULARY:
                    vocabulary.append(key[:MAX_WORD].decode(errors="replace"))
                looked_up = key in keys and keys[key] not in vectors
                if not looked_up and consume is None:
                    continue
                values = np.frombuffer(numbers, "<f4") if binary else _parse(numbers, dim)
                if values is None:
                    continue
                vector = values.astype(np.float32)
                if looked_up:
                    vectors[keys[key]] = vector
                if consume is not None:
                    consume(vector[None])
        except errors.UserError:
            raise
        except _DAMAGE as error:
            raise word_vectors.WordVectorError(f"{path}: is damaged at word {n_rows or 1}: {error}") from None
    if count is not None and n_rows != count:
        raise word_vectors.WordVectorError(
            f"{path}: the header announces {count} words, found {n_rows}; download the file again or, if you shortened it yourself, "
            f"change its first line to `{n_rows} {dim}`"
        )
    return word_vectors.WordVectors(vectors, tuple(vocabulary))


@contextlib.contextmanager
def _open(path: pathlib.Path, start: bytes) -> Iterator[BinaryIO]:
    """Open a file that begins with `start`, plain or gzipped, behind its byte order mark."""
    with gzip.open(path) if start.startswith(b"\x1f\x8b") else open(path, "rb") as file:
        if file.read(len(codecs.BOM_UTF8)) != codecs.BOM_UTF8:
            file.seek(0)
        yield cast(BinaryIO, file)


def _is_text_row(line: bytes, dim: int) -> bool:
    fields = line.split()
    if len(fields) <= dim:
        return False
    try:
        np.array(fields[-dim:], dtype=np.float64)
    except ValueError:
        return False
    return True


def _parse(numbers: bytes, dim: int) -> np.ndarray | None:
    fields = numbers.split()
    if len(fields) > dim:
        return None  # GloVe's 840B file has entries of several words; `key` is then only the first word of the entry.
    if len(fields) < dim:
        raise ValueError(f"needs {dim} numbers, found {len(fields)}")
    return np.array(fields, dtype=np.float64)


def _text_rows(file: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """Yield (word, rest of the line). The numbers are not parsed, because most words are usually not looked up."""
    for line in word_vectors.lines(file):
        fields = line.split(maxsplit=1)
        if fields:
            yield fields[0], fields[1] if len(fields) > 1 else b""


def _binary_rows(file: BinaryIO, dim: int, count: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield (word, bytes of `dim` little-endian float32 numbers)."""
    size = 4 * dim
    buffer, start = b"", 0
    for _ in range(count):
        while (space := buffer.find(b" ", start)) < 0 or len(buffer) < space + 1 + size:
            block = file.read(HEAD)
            if not block or (space < 0 and len(buffer) - start > HEAD):
                return
            buffer, start = buffer[start:] + block, 0
        # Some writers end every vector with a line feed.
        yield buffer[start:space].lstrip(b"\n"), buffer[space + 1 : space + 1 + size]
        start = space + 1 + size

import os
import unicodedata

import pytest

from zeroshot.base import text_files


def write(path, content):
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_byte_order_mark_line_ends_and_outer_white_space_do_not_matter(tmp_path, encoding, newline):
    content = newline.join(["background ", "\tCafé", "", "zebra", "", ""]).encode(encoding)
    assert text_files.read_lines(write(tmp_path / "a.txt", content)) == ["background", "Café", "", "zebra"]


@pytest.mark.parametrize("content", ["", "\n", " \r\n\t\n", "\ufeff"])
def test_blank_file_has_no_lines(tmp_path, content):
    assert text_files.read_lines(write(tmp_path / "a.txt", content.encode())) == []


def test_separators_inside_a_line_do_not_end_it(tmp_path):
    """str.splitlines would also split at a form feed and at U+2028, and move all later labels."""
    assert text_files.read_lines(write(tmp_path / "a.txt", "a\x0cb\u2028c\nd".encode())) == ["a\x0cb\u2028c", "d"]


@pytest.mark.parametrize("name", ["café", "Å", "ệ"])
def test_composed_and_decomposed_letters_are_equal(tmp_path, name):
    forms = [unicodedata.normalize(form, name) for form in ("NFC", "NFD")]
    assert forms[0] != forms[1]
    lines = [text_files.read_lines(write(tmp_path / "a.txt", form.encode())) for form in forms]
    assert lines[0] == lines[1] == [text_files.normalise(forms[1])]


def test_read_keeps_the_text_as_it_is(tmp_path):
    content = " e\u0301\r\n\n"
    assert text_files.read(write(tmp_path / "a.txt", content.encode("utf-8-sig"))) == content


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a\nb\n".encode("utf-16"), "a.txt: is UTF-16 text; save it as UTF-8"),
        ("a\ncafé\n".encode("latin-1"), r"a.txt: is not UTF-8 text \(line 2\); save it as UTF-8"),
        ("a\ncafé\n".encode("utf-16-le"), "a.txt: is not "),
        (b"a\nb\0c\n", "a.txt: is not text: line 2 contains a zero byte"),
    ],
)
def test_other_encodings_are_explained(tmp_path, content, message):
    with pytest.raises(text_files.TextError, match=message):
        text_files.read(write(tmp_path / "a.txt", content))


def test_missing_files_folders_pipes_and_devices_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    os.symlink("/dev/zero", tmp_path / "zero")
    for path, message in {
        tmp_path / "none": "none: No such file or directory",
        tmp_path: "is a folder; it must be a regular file",
        tmp_path / "pipe": "pipe: is a pipe or device; it must be a regular file",
        tmp_path / "zero": "zero: is a pipe or device; it must be a regular file",
    }.items():
        with pytest.raises(text_files.TextError, match=message):
            text_files.read_lines(path)


def test_files_above_the_limit_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(text_files, "MAX_BYTES", 3)
    assert text_files.read(write(tmp_path / "a.txt", b"abc")) == "abc"
    with pytest.raises(text_files.TextError, match="a.txt: has 4 bytes; text files above 3 are refused"):
        text_files.read(write(tmp_path / "a.txt", b"abcd"))


def test_the_cause_does_not_repeat_the_path(tmp_path):
    with pytest.raises(text_files.TextError) as caught:
        text_files.read(tmp_path / "none")
    assert caught.value.cause == "No such file or directory"

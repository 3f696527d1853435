"""Reading text files of users: UTF-8 whatever the locale is, and equal names however their accents are encoded."""

import codecs
import os
import pathlib
import re
import stat
import sys
import unicodedata

from zeroshot.base import errors

# Lists of a million images have about 20 MB.
MAX_BYTES = 64 * 2**20
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class TextError(errors.UserError):
    """Raised if a file cannot be read as text; the text names the file and the cause.

    Attributes:
        cause: the cause alone, without the file.
    """

    def __init__(self, path: str | pathlib.Path, cause: str) -> None:
        super().__init__(f"{path}: {cause}")
        self.cause = cause


def read(path: str | pathlib.Path) -> str:
    """Return the text of a UTF-8 file, without its byte order mark if it has one.

    Raises:
        TextError: if the file is missing, is no regular file, has more than `MAX_BYTES`, or is in another encoding.
    """
    size = check_regular(path)
    if size > MAX_BYTES:
        raise TextError(path, f"has {size:,} bytes; text files above {MAX_BYTES:,} are refused")
    try:
        content = pathlib.Path(path).read_bytes()
    except OSError as error:
        raise TextError(path, error.strerror or str(error)) from None
    if content.startswith(_UTF16):
        raise TextError(path, "is UTF-16 text; save it as UTF-8")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise TextError(path, f"is not UTF-8 text (line {line}); save it as UTF-8") from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise TextError(path, f"is not text: line {line} contains a zero byte")
    return text


def read_lines(path: str | pathlib.Path) -> list[str]:
    """Return the lines of a UTF-8 file, normalised, without white space at their ends and without empty lines at the end of the file.

    Raises:
        TextError: as in `read`.
    """
    lines = re.split(r"\r\n|\r|\n", normalise(read(path)).rstrip())
    return [line.strip() for line in lines] if any(lines) else []


def normalise(text: str) -> str:
    """Return `text` in Unicode's composed form (NFC), in which an accented letter is one character.

    Without it, `é` of one program and `e` with a combining accent of another are different names.
    """
    return unicodedata.normalize("NFC", text)


def check_regular(path: str | pathlib.Path) -> int:
    """Return the size in bytes of `path`, which must be a regular file, since a named pipe or a device may never end.

    Raises:
        TextError: if it is missing or anything else.
    """
    try:
        status = os.stat(path)
    except (OSError, ValueError) as error:
        cause = getattr(error, "strerror", None) or str(error)
        raise TextError(path, "; ".join(filter(None, [cause, locale_fault(str(path))]))) from None
    if not stat.S_ISREG(status.st_mode):
        kind = "folder" if stat.S_ISDIR(status.st_mode) else "pipe or device"
        raise TextError(path, f"is a {kind}; it must be a regular file")
    return status.st_size


def locale_fault(name: str) -> str | None:
    """Return why a file of this name cannot be found, and what to do; None if the locale is UTF-8 or the name is ASCII."""
    encoding = sys.getfilesystemencoding()
    if name.isascii() or errors.is_utf8(encoding):
        return None
    return f"file names are in the encoding {encoding} here, so those with other letters than ASCII are not found; {errors.UTF8_REMEDY}"

import os
import sys
import types

import pytest

from zeroshot.base import resuming


def test_the_folder_is_made_under_the_stage_and_the_same_for_the_same_inputs(tmp_path):
    folder = resuming.folder(tmp_path / "work", "train_backbone", b"params", b"split")
    assert folder.is_dir() and folder.parent == tmp_path / "work/train_backbone"
    (folder / "state.pt").write_text("half")
    again = resuming.folder(str(tmp_path / "work"), "train_backbone", b"params", b"split")
    assert again == folder and (again / "state.pt").read_text() == "half"


def test_other_inputs_get_another_folder(tmp_path):
    # The last two hold the same bytes as the first, cut and ordered otherwise.
    inputs = [(b"ab", b"c"), (b"ab", b"d"), (b"ab",), (b"ab", b"c", b""), (b"a", b"bc"), (b"c", b"ab")]
    folders = {resuming.folder(tmp_path, "stage", *parts).name for parts in inputs}
    assert len(folders) == len(inputs)


def test_work_of_other_code_is_not_continued(tmp_path, monkeypatch):
    source = tmp_path / "probe.py"
    module = types.ModuleType("zeroshot.probe")
    module.__file__ = str(source)
    source.write_text("x = 1\n")
    without = resuming.folder(tmp_path, "stage", b"")
    monkeypatch.setitem(sys.modules, "zeroshot.probe", module)
    first = resuming.folder(tmp_path, "stage", b"")
    source.write_text("x = 2\n")
    second = resuming.folder(tmp_path, "stage", b"")
    source.write_text("x = 1\n")
    assert len({without, first, second}) == 3 and resuming.folder(tmp_path, "stage", b"") == first


def test_a_fingerprint_follows_names_sizes_and_times_of_the_files_named(tmp_path):
    def stamp(name, content, seconds):
        (tmp_path / name).write_text(content)
        os.utime(tmp_path / name, (seconds, seconds))

    for name in ("a", "b", "other"):
        stamp(name, "12", 1000)
    first = resuming.fingerprint(tmp_path, ["a", "b"])
    stamp("other", "123", 2000)
    assert resuming.fingerprint(tmp_path, ["a", "b"]) == first
    prints = {first, resuming.fingerprint(tmp_path, ["a"]), resuming.fingerprint(tmp_path, ["a", "other"])}
    stamp("b", "123", 1000)
    prints.add(resuming.fingerprint(tmp_path, ["a", "b"]))
    stamp("b", "12", 1001)
    prints.add(resuming.fingerprint(tmp_path, ["a", "b"]))
    assert len(prints) == 5
    stamp("b", "12", 1000)
    assert resuming.fingerprint(tmp_path, ["a", "b"]) == first


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        resuming.fingerprint(tmp_path, ["gone"])

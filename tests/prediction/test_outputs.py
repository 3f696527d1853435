import pathlib

import pytest

from zeroshot.base import errors
from zeroshot.prediction import outputs


@pytest.fixture
def photographs(tmp_path, monkeypatch):
    """Two photographs in a folder and one below it, as empty files, since only their names are read."""
    monkeypatch.chdir(tmp_path)
    place(tmp_path, "photos/a.jpg", "photos/b.jpg", "photos/day/c.png")
    return tmp_path


def place(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def stems(*paths, out="predictions"):
    return [source.stem.as_posix() for source in outputs.find(map(pathlib.Path, paths), pathlib.Path(out))]


def test_results_go_where_their_photographs_lie_below_the_folder(photographs):
    assert stems("photos") == ["a", "b", "day/c"]
    assert stems("photos/b.jpg", "photos/day") == ["b", "c"]


@pytest.mark.parametrize("table", ["shares", "instances"])
def test_results_of_an_earlier_call_are_no_photographs(photographs, capsys, table):
    place(photographs, "photos/first/a.png", "photos/first/day/c.png", f"photos/first/{table}.csv")
    place(photographs, f"photos/first/{table}.json")
    assert stems("photos", out="photos/second") == ["a", "b", "day/c"]
    folder = photographs / "photos/first"
    assert capsys.readouterr().err == f"left out {folder}, which has results of an earlier call\n"
    # They are what the user asks for by name.
    assert stems("photos/first", out="photos/second") == ["a", "day/c"]


def test_a_folder_with_annotations_of_instances_is_searched(photographs, capsys):
    place(photographs, "photos/day/instances.json")
    assert stems("photos") == ["a", "b", "day/c"] and not capsys.readouterr().err


def test_the_folder_of_results_is_left_out_without_a_word(photographs, capsys):
    place(photographs, "photos/out/a.png", "photos/out/shares.csv", "photos/out/shares.json")
    assert stems("photos", out="photos/out") == ["a", "b", "day/c"] and not capsys.readouterr().err


def test_photographs_of_formats_that_are_not_read_are_counted(photographs, capsys):
    place(photographs, "photos/phone.HEIC", "photos/day/d.gif", "photos/notes.txt")
    # In results of an earlier call nothing is counted.
    place(photographs, "photos/out/e.gif", "photos/out/shares.csv", "photos/out/shares.json")
    assert stems("photos", out="photos/out") == ["a", "b", "day/c"]
    assert capsys.readouterr().err == "left out, of formats that are not read: 2, such as photos/day/d.gif\n"


def test_two_photographs_with_the_same_results_are_refused(photographs):
    place(photographs, "photos/a.png")
    with pytest.raises(
        errors.UserError, match=r"^photos/a\.jpg and photos/a\.png: would have the same results, a\.png;"
    ):
        stems("photos")

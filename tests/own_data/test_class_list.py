"""Class lists of a folder in their forms, and their faults."""

import re
import textwrap

import pytest

from tests.support import dag
from zeroshot.base import errors
from zeroshot.own_data import class_list


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cow\ncow\n", "`cow` and `cow` have the same name"),
        ("cow\nhorse\nCow\n", "`cow` and `Cow` have the same name"),
        ("1 2 3 cow\n7: horse\n", "`cow` has a colour in masks and `horse` a value; all need the same"),
        ("cow\n", "fewer than two classes"),
        ("cow, horse\n", "fewer than two classes; write one name in a line"),
        ("cow;horse\n", "fewer than two classes; write one name in a line"),
        ("cow 300 0 0\nhorse 1 1 1\n", "a colour has numbers from 0 to 255"),
        ("cow\n\nhorse\n", "an empty line stands among the names, whose values in masks are their line numbers"),
    ],
)
def test_faults_of_class_lists_are_named(tmp_path, text, message):
    path = tmp_path / "classes.txt"
    path.write_text(text)
    with pytest.raises(errors.UserError, match=message):
        class_list.read(path)


def test_the_class_list_in_the_docs_is_valid(tmp_path):
    text = (dag.ROOT / "docs/own_data.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^  ```yaml\n(.*?)^  ```$", text, re.MULTILINE | re.DOTALL)
    (tmp_path / "classes.yaml").write_text(textwrap.dedent(block))
    assert [entry.role for entry in class_list.read(tmp_path / "classes.yaml")] == ["seen", "void", "unseen"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sky,road,car\n".replace(",", "\n"), [("sky", 0, None), ("road", 1, None), ("car", 2, None)]),
        ("name,value\nsky,4\nroad,2\n", [("sky", 4, None), ("road", 2, None)]),
        ("0 sky\n1 road\n", [("sky", 0, None), ("road", 1, None)]),
        ("\n0 sky\n\n1 road\n", [("sky", 0, None), ("road", 1, None)]),
        ("\n# roads\nsky\nroad\n\n", [("sky", 0, None), ("road", 1, None)]),
        ("red\ngreen\n", [("red", 0, None), ("green", 1, None)]),
        ("class\n\nsky\nroad\n", [("sky", 0, None), ("road", 1, None)]),
        ("id,r,g,b\nsky,1,2,3\nroad,4,5,6\n", [("sky", None, (1, 2, 3)), ("road", None, (4, 5, 6))]),
        ("name r g b\n1 2 3 sky\n4 5 6 road way\n", [("sky", None, (1, 2, 3)), ("road way", None, (4, 5, 6))]),
        (
            "# label:color_rgb:parts:actions\nsky:0,0,9::\nroad:8,8,8::\n",
            [("sky", None, (0, 0, 9)), ("road", None, (8, 8, 8))],
        ),
    ],
)
@pytest.mark.parametrize("name", ["classes.txt", "classes.csv"])
def test_forms_of_class_lists(tmp_path, name, text, expected):
    (tmp_path / name).write_text(text)
    assert [(entry.name, entry.value, entry.colour) for entry in class_list.read(tmp_path / name)] == expected

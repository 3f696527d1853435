import pytest

from zeroshot.base import errors
from zeroshot.figures import near_names


def test_known_names_pass():
    near_names.check("here", "class", ["cow", "dog"], {"cow", "dog", "cat"})


def test_all_unknown_names_are_in_one_message_with_near_names():
    with pytest.raises(errors.UserError) as error:
        near_names.check(
            "features/val", "image", ["val_0001", "cow", "zzz"], {"val_00001": 0, "val_90000": 1, "cow": 2}
        )
    lines = str(error.value).splitlines()
    assert lines[0].startswith("features/val: no image `val_0001`; near names: val_00001")
    assert lines[1:] == ["features/val: no image `zzz`; there are cow, val_00001, val_90000"]


def test_many_names_are_not_all_listed():
    with pytest.raises(errors.UserError, match=r"there are a000, .*, a019, \.\.\.$"):
        near_names.check("here", "class", ["zzz"], [f"a{number:03}" for number in range(50)])

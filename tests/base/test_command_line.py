"""Command lines made from functions with typed parameters."""

import pathlib

import pytest

from zeroshot.base import command_line, errors


def add(*, split_path: pathlib.Path, count: int = 2) -> tuple[pathlib.Path, int]:
    """Add something.

    Args:
        split_path: the split.
        count: how many.
    """
    if count < 0:
        raise errors.UserError(f"{split_path}: count is {count}; use 0 or more")
    return split_path, count


@pytest.mark.parametrize(
    ("argv", "count"), [(["--split-path", "a.json"], 2), (["--count", "3", "--split-path", "a.json"], 3)]
)
def test_flags_follow_parameter_names(argv, count):
    assert command_line.run(add, argv) == (pathlib.Path("a.json"), count)


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ([], "--split-path"),
        (["--split-path"], "--split-path"),
        (["--split-path", "a", "--count", "x"], "--count"),
        (["--split-path", "a", "b.json"], "b.json"),
    ],
)
def test_wrong_arguments_exit_with_status_2(argv, expected, capsys):
    with pytest.raises(SystemExit) as caught:
        command_line.run(add, argv)
    assert caught.value.code == 2 and expected in capsys.readouterr().err


def test_user_error_exits_with_its_text():
    with pytest.raises(SystemExit) as caught:
        command_line.run(add, ["--split-path", "a", "--count", "-1"])
    assert caught.value.code == "a: count is -1; use 0 or more"


def test_help_contains_the_docstring(capsys):
    with pytest.raises(SystemExit) as caught:
        command_line.run(add, ["--help"])
    text = capsys.readouterr().out
    assert caught.value.code == 0 and all(part in text for part in ("Add something.", "the split.", "how many."))


def test_sub_command_is_called_by_name():
    calls = []

    def show(folder: pathlib.Path, /) -> None:
        """Show a folder."""
        calls.append(folder)

    command_line.run_one_of({"show": show, "add": add}, "zeroshot", ["show", "features"])
    assert calls == [pathlib.Path("features")]

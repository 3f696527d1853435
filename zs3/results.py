"""The result table on the terminal, in the layout of the paper's Table 1: `python -m zs3.results metrics`."""

import json
import pathlib
import sys
from typing import Any

from zs3 import errors

GROUPS = ("seen", "unseen", "all")
FIGURES = ("PA", "MA", "mIoU")


def table(folder: str | pathlib.Path) -> str:
    """Return one line for each model evaluated in `folder`, and one for it without its seen bias where it has one.

    Raises:
        ValueError: if the folder holds no metrics.
    """
    lines = [
        f"{'':24}" + "".join(f"{group.capitalize():^21}" for group in GROUPS),
        f"{'per cent':24}" + f"{'PA':>7}{'MA':>7}{'mIoU':>7}" * len(GROUPS) + f"{'hIoU':>8}",
    ]
    for path in sorted(pathlib.Path(folder).glob("*.json")):
        values = json.loads(path.read_text())
        name = path.stem if values["exclude"] == "images" else f"{path.stem} ({values['exclude']})"
        if values["seen_bias"]:
            lines.append(_line(f"{name}, no bias", values["without_bias"]))
            name = f"{name}, bias {values['seen_bias']:g}"
        lines.append(_line(name, values["generalised"]))
    if len(lines) == 2:
        raise errors.UserError(f"{folder}: no metrics; make them with `dvc repro`")
    return "\n".join(lines)


def _line(name: str, values: dict[str, Any]) -> str:
    figures = [values[group][figure] for group in GROUPS for figure in FIGURES]
    return f"{name:24}" + "".join(_number(value, 7) for value in figures) + _number(values["hIoU"], 8)


def _number(value: float | None, width: int) -> str:
    return f"{'-':>{width}}" if value is None else f"{value:{width}.1f}"


@errors.reported
def main() -> None:
    """Print the table of the folder on the command line."""
    print(table(sys.argv[1] if len(sys.argv) > 1 else "metrics"))


if __name__ == "__main__":
    main()

"""Check every section of a parameter file before any stage runs."""

import pathlib
from typing import Annotated

import tyro


def main(
    path: Annotated[tyro.conf.Positional[pathlib.Path], tyro.conf.arg(metavar="FILE")] = pathlib.Path("params.yaml"),
) -> None:
    """Check every section of a parameter file before any stage runs.

    Args:
        path: the parameter file.
    """
    from zeroshot.experiments import schema

    schema.check(path)
    print(f"{path}: all {len(schema.SECTIONS)} sections are valid")

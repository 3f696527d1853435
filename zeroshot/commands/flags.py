"""Print the flags of `dvc exp run` that select a method."""

import pathlib
from typing import Annotated

import tyro


def main(method: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="NAME")]) -> None:
    """Print the flags of `dvc exp run`, and its target, that turn params.yaml into a method.

    Args:
        method: name of a method of presets/comparison/methods.yaml.
    """
    from zeroshot.experiments.comparison import launch

    print(launch.flags(pathlib.Path(), method))

"""Print the flags of `dvc exp run` that select a method."""

import pathlib

import tyro


def main(method: tyro.conf.Positional[str]) -> None:
    """Print the flags of `dvc exp run`, and its target, that turn params.yaml into a method.

    Args:
        method: name of a method of presets/comparison/methods.yaml.
    """
    from zeroshot.experiments.comparison import launch

    print(launch.flags(pathlib.Path(), method))

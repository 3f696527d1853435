"""Print the flags of `dvc exp run` that lead to a method."""

import pathlib

import tyro


def main(method: tyro.conf.Positional[str]) -> None:
    """Print the flags of `dvc exp run`, and its target, that lead from params.yaml to a method.

    Args:
        method: a method of presets/comparison/methods.yaml.
    """
    from zeroshot.experiments.comparison import launch

    print(launch.flags(pathlib.Path(), method))

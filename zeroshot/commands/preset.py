"""Write the parameter file of a preset."""

import pathlib

import tyro


def main(name: tyro.conf.Positional[str], *, out: pathlib.Path = pathlib.Path("params.yaml")) -> None:
    """Write the parameter file of a preset, with a comment at every key.

    The result does not depend on the present content of the file: `preset toy` always gives the default.

    Args:
        name: name of a file of presets/ without .yaml, such as voc_small.
        out: the file to write.
    """
    from zeroshot.base import storage
    from zeroshot.experiments import presets

    storage.write_text(out, presets.text(name))
    print(f"{out}: preset {name}")

"""Write the tables of comparisons from DVC's experiments."""

import pathlib

import tyro


def main(names: tyro.conf.Positional[tuple[str, ...]]) -> None:
    """Write the tables of comparisons from DVC's experiments, to plots/comparison/NAME/report.md.

    Args:
        names: comparisons of presets/comparison/tables.yaml.
    """
    from zeroshot.experiments.comparison import comparison_report, survey

    for name in names:
        found = survey.take(pathlib.Path(), name)
        path = comparison_report.write(found, f"zeroshot tables {name}")
        print(f"{path}: {len(found.results)} results, {len(found.missing)} runs missing")

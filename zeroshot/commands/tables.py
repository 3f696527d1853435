"""Write the tables of comparisons from DVC's experiments."""

import pathlib

import tyro


def main(names: tyro.conf.Positional[tuple[str, ...]]) -> None:
    """Write the tables of comparisons from DVC's experiments and the workspace, to plots/comparison/NAME/report.md.

    Args:
        names: names of comparisons of presets/comparison/tables.yaml.
    """
    from zeroshot.experiments.comparison import comparison_report, run_status

    for name in names:
        status = run_status.read(pathlib.Path(), name, workspace=True)
        path = comparison_report.write(status, f"zeroshot tables {name}")
        print(f"{path}: {len(status.results)} results, {len(status.missing)} runs missing")

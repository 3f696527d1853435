"""hIoU against p: which runs count."""

import shutil

import pytest

from tests.evaluation import test_results_table
from tests.support import dag, pixel_world
from zeroshot.base import errors
from zeroshot.experiments import presets
from zeroshot.experiments.comparison import catalogue, dvc_experiments, overrides
from zeroshot.report import sweeps, workspace


def run(root):
    return workspace.Workspace(root, pixel_world.split(), "here", {}, ())


def experiment(p, hiou, seed=0, lr=0.1, checksum="here", extra=()):
    """Return an experiment whose metrics of ZS5Net come from one stage with these parameters."""
    values = {"pseudo_labels": {"p": p, "rule": "per_image", "seed": seed}, "gmmn": {"lr": lr, "seed": seed}}
    stage = {"params": {"params.yaml": values}, "outs": [{"path": "metrics/zs5net.json", "md5": "1"}], "deps": []}
    metrics = {"generalised": test_results_table.metrics(50) | {"hIoU": hiou}, "split": {"checksum": checksum}}
    return dvc_experiments.Experiment(
        f"p{p}", f"p{p}-{hiou}", "base", "", "done", {"metrics/zs5net.json": metrics}, [stage, *extra]
    )


@pytest.fixture
def experiments(monkeypatch):
    """Set the results in the folder and DVC's experiments."""

    def use(present, *others):
        monkeypatch.setattr(dvc_experiments, "workspace", lambda root: present)
        monkeypatch.setattr(dvc_experiments, "read", lambda root: list(others))

    return use


def test_runs_that_differ_in_p_and_seeds_count(experiments, tmp_path):
    experiments(experiment(75, 40.0), experiment(25.0, 30.0), experiment(25, 32.0, seed=1))
    sweep = sweeps.of_experiments(run(tmp_path))
    assert sweep is not None and sweep.source.startswith("3 runs")
    assert sweep.points["hIoU"] == {75.0: [40.0], 25.0: [30.0, 32.0]}
    assert sweep.points["unseen mIoU"] == {75.0: [55.26], 25.0: [55.26, 55.26]}


def test_runs_with_other_parameters_or_another_split_do_not_count(experiments, tmp_path):
    old = experiment(10, 30.0)
    del old.metrics["metrics/zs5net.json"]["split"]
    elsewhere = experiment(50, 30.0, checksum="elsewhere")
    experiments(experiment(75, 40.0), experiment(25, 30.0, lr=0.2), elsewhere, old)
    assert sweeps.of_experiments(run(tmp_path)) is None


def test_metrics_older_than_their_inputs_do_not_count(experiments, tmp_path):
    stale = experiment(75, 40.0)
    stale.stages[0]["deps"].append({"path": "models/zs3net.pt", "md5": "old"})
    stale.stages.append({"outs": [{"path": "models/zs3net.pt", "md5": "new"}], "deps": []})
    experiments(stale, experiment(25, 30.0))
    assert sweeps.of_experiments(run(tmp_path)) is None


@pytest.fixture
def comparison(tmp_path):
    """A recorded comparison with two values of p, and the parameters of its K."""
    shutil.copytree(dag.ROOT / "presets", tmp_path / "presets")
    folder = tmp_path / catalogue.FOLDER
    toy = catalogue.comparison(folder, "toy", catalogue.methods(folder))
    (tmp_path / "metrics/comparison/toy").mkdir(parents=True)
    (tmp_path / "metrics/comparison/toy/runs.csv").write_text(
        "method,k,seed,swept,seen.mIoU,unseen.mIoU,hIoU\n"
        "ZS5Net,4,0,,90,80,85\nZS5Net,4,0,75.0,90,80,85\nZS5Net,4,1,75.0,92,82,87\nZS5Net,4,0,25.0,88,60,\n"
        "ZS5Net,4,1,25.0,88,60,71\nZS5Net,2,0,25.0,1,1,1\nALE,4,0,25.0,1,1,1\n"
    )
    return tmp_path, overrides.merged(presets.read_files("toy", tmp_path), toy.splits[4])["params.yaml"]


def test_a_comparison_on_the_same_data_and_classes_is_a_curve(comparison):
    root, current = comparison
    (sweep,) = sweeps.of_comparisons(run(root), current)
    assert sweep.points["hIoU"] == {75.0: [85.0, 87.0], 25.0: [71.0]}
    assert sweep.points["seen mIoU"] == {75.0: [90.0, 92.0], 25.0: [88.0, 88.0]}
    assert "zeroshot tables toy" in sweep.source


def test_a_comparison_with_other_unseen_classes_or_of_an_unknown_name_is_no_curve(comparison):
    root, current = comparison
    (root / "metrics/comparison/toy").rename(root / "metrics/comparison/mine")
    assert sweeps.of_comparisons(run(root), current) == []
    (root / "metrics/comparison/mine").rename(root / "metrics/comparison/toy")
    other = overrides.merged({"params.yaml": current}, {"data.unseen": ["red-striped"]})["params.yaml"]
    assert sweeps.of_comparisons(run(root), other) == []


def test_a_damaged_table_of_a_comparison_is_named(comparison):
    root, current = comparison
    (root / "metrics/comparison/toy/runs.csv").write_text("method,k\n")
    with pytest.raises(errors.UserError, match=r"runs.csv: has no column swept"):
        sweeps.of_comparisons(run(root), current)

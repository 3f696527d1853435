"""Queueing, running and reporting in a DVC repository with quick stages."""

import dataclasses
import pathlib
import re
import shutil
import subprocess

import pandas
import pytest
import yaml

from tests.support import comparison_repo, dag
from zeroshot.commands import __main__ as commands
from zeroshot.experiments.comparison import dvc_experiments, published_results, run_status


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """The repository, with finished runs of two methods of seed 0 and one queued run of seed 1."""
    root = tmp_path_factory.mktemp("comparison") / "repository"
    log = comparison_repo.make(root)
    folder = root / "presets" / "comparison"
    (folder / "published.csv").write_text(",".join(published_results.HEADER) + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        commands.main(["queue", "tiny", "--seed", "0", "--method", "ZS3Net", "--method", "GAN", "--here"])
        commands.main(["reset"])
        commands.main(["queue", "tiny", "--seed", "1", "--method", "ZS3Net"])
    return root, log


@pytest.fixture
def inside(repository, monkeypatch):
    monkeypatch.chdir(repository[0])
    return repository


@pytest.fixture
def edit(inside):
    """Return a function that writes a text or YAML file of the repository; the end of the test restores it."""
    root, _ = inside
    before = {}

    def write(name, content):
        path = root / name
        before.setdefault(path, path.read_text())
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False))

    yield write
    for path, text in before.items():
        path.write_text(text)


def printed(capsys, *words):
    capsys.readouterr()
    commands.main(list(words))
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(("flag", "value"), [("--method", "Z3SNet"), ("--k", "3"), ("--seed", "9")])
def test_unknown_methods_ks_and_seeds_are_refused(inside, capsys, flag, value):
    capsys.readouterr()
    with pytest.raises(SystemExit, match=f"^{flag}: tiny has no `{value}`; choose from "):
        commands.main(["queue", "tiny", "--dry-run", flag, value])
    assert capsys.readouterr().out == ""


def test_two_methods_share_one_backbone(inside):
    _, log = inside
    assert log.read_text().splitlines() == ["0 2"]


def test_only_missing_runs_that_are_not_in_the_queue_are_queued(inside, capsys):
    lines = printed(capsys, "queue", "tiny", "--dry-run")
    commands = [line for line in lines if line.startswith("dvc")]
    assert [line.partition(" -S ")[2] for line in commands] == [
        "'data.unseen=[]'",
        "'data.unseen=[]' -S backbone.seed=1 -S gmmn.seed=1",
        "backbone.seed=1 -S gmmn.generator=gan -S gmmn.seed=1",
    ]
    assert [line.split()[5][:-7] for line in commands] == [
        "tiny-k2-s0-supervised",
        "tiny-k2-s1-supervised",
        "tiny-k2-s1-gan",
    ]
    assert lines[:2] == [
        "# DeViSE: no stage writes metrics/devise.json",
        "# Later: the parameter file has no key later.key",
    ]
    assert lines[-1] == "# 3 runs; 1 already in the queue"


def test_parameters_of_metrics_are_read_from_the_pipeline():
    keys = dvc_experiments.metric_parameters(dag.ROOT)
    seen_only, zs3net, zs5net = (keys[f"metrics/{name}.json"] for name in ("seen_only", "zs3net", "zs5net"))
    assert {"toy", "backbone", "features", "evaluation"} <= seen_only <= zs3net <= zs5net
    assert {"gmmn", "classifier"} <= zs3net - seen_only and {"self_training"} <= zs5net - zs3net
    assert not {"baseline", "visualise", "runtime"} & zs5net


def test_methods_of_another_pipeline_have_it_as_target_and_are_unavailable_without_it(edit, capsys):
    other = {name: comparison_repo.METHODS[name] | {"target": "other/dvc.yaml"} for name in ("GAN", "DeViSE")}
    edit("presets/comparison/methods.yaml", comparison_repo.METHODS | other)
    assert printed(capsys, "flags", "GAN") == ["-S gmmn.generator=gan other/dvc.yaml"]
    reason = "other/dvc.yaml does not exist"
    assert {f"# {name}: {reason}" for name in other} <= set(printed(capsys, "queue", "tiny", "--dry-run"))


def test_a_method_can_end_with_a_stage_of_the_main_pipeline(edit, capsys):
    changed = {"GAN": comparison_repo.METHODS["GAN"] | {"target": "evaluate@zs3net"}}
    edit("presets/comparison/methods.yaml", comparison_repo.METHODS | changed)
    lines = printed(capsys, "queue", "tiny", "--dry-run")
    assert not [line for line in lines if line.startswith("# GAN")]
    assert [line for line in lines if "gmmn.generator=gan" in line and "evaluate@zs3net" in line]


def test_the_report_has_results_and_the_commands_of_missing_runs(inside, capsys):
    root, _ = inside
    printed(capsys, "tables", "tiny")
    text = (root / "plots" / "comparison" / "tiny" / "report.md").read_text()
    rows = [[word.strip() for word in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    table = {row[1]: row for row in rows[2:7]}
    assert table["Supervised"] == ["", "Supervised", "0 of 2", *["—"] * 11]
    assert table["ZS3Net"] == ["2", "ZS3Net", "1 of 2", *["20.0"] * 11]
    assert table["GAN"] == ["", "GAN", "1 of 2", *["20.5"] * 11]
    assert table["DeViSE"] == ["", "DeViSE", "0 of 2", *["—"] * 11]
    commands = [line for line in text.splitlines() if line.startswith("dvc exp run --queue -n tiny-k2-s1-")]
    assert len(commands) == 3
    assert [line.endswith("# in the queue") for line in commands] == [False, True, False]
    assert "Experiments used: 2; 2 from commit" in text
    assert "The encoder was pretrained with labels, none of them of an unseen class." in text.splitlines()
    # Every model of the quick stages depends on all parameters, so no runs share a network.
    assert "They take about 9.0 hours: 4 networks of 2 hours and 4 runs of 0.25 hours (`hours` in tables.yaml" in text


def test_runs_share_a_network_if_their_parameters_up_to_there_are_equal():
    runs = [{"params.yaml": {"backbone": {"seed": seed}, "gmmn": {"lr": lr}}} for seed in (0, 1, 1.0) for lr in (1, 2)]
    assert len({run_status.network(run, "", {"backbone"}) for run in runs}) == 2
    assert len({run_status.network(run, "", {"backbone", "gmmn"}) for run in runs}) == 4
    assert run_status.network(runs[0], "", set()) != run_status.network(runs[0], "szn", set())


def test_networks_of_finished_runs_are_not_counted(inside):
    status = run_status.read(inside[0], "tiny", workspace=False)
    networks = {*status.network_of_run.values()}
    assert status.n_networks == len(networks) == 4
    assert dataclasses.replace(status, trained=frozenset([*networks][:1])).n_networks == 3


def test_images_of_a_method_are_from_its_own_run(inside, capsys):
    root, _ = inside
    folder = root / "plots" / "comparison" / "tiny"
    (folder / "pictures" / "old-run").mkdir(parents=True)
    printed(capsys, "tables", "tiny")
    text = (folder / "report.md").read_text()
    shown = re.findall(r"^\*\*(.+)\*\* \((.+)\)\n\n!\[one\]\((.+)\)$", text, re.MULTILINE)
    assert [methods for methods, _, _ in shown] == ["ZS3Net", "GAN"]
    assert [path for _, _, path in shown] == [f"pictures/{name}/one.png" for _, name, _ in shown]
    assert [(folder / path).read_text() for _, _, path in shown] == ["mlp 0", "gan 0"]
    assert {path.name for path in (folder / "pictures").iterdir()} == {name for _, name, _ in shown}


def test_a_method_whose_model_is_not_in_the_images_has_none(edit, capsys):
    edit(
        "presets/comparison/methods.yaml",
        comparison_repo.METHODS | {"GAN": comparison_repo.METHODS["GAN"] | {"model": "seen_only"}},
    )
    printed(capsys, "tables", "tiny")
    text = pathlib.Path("plots/comparison/tiny/report.md").read_text()
    assert "**ZS3Net** (tiny-k2-s0-defaults-" in text and "**GAN** (tiny" not in text
    assert "|  | GAN | 1 of 2 | 20.0 |" in text


def test_images_older_than_the_metrics_are_not_shown(repository, tmp_path, monkeypatch, capsys):
    shutil.copytree(repository[0], tmp_path / "repository", symlinks=True)
    monkeypatch.chdir(tmp_path / "repository")
    # The commit has a complete run of another seed, with images.
    subprocess.run("dvc repro -q && git add -A && git commit -q -m whole", shell=True, check=True)
    command = "dvc exp run -q -n partly -S backbone.seed=1 -S gmmn.seed=1 evaluate@zs3net"
    subprocess.run(command, shell=True, check=True)
    subprocess.run("git checkout -q -f . && dvc checkout -q -f dvc.yaml", shell=True, check=True)
    comparison = comparison_repo.COMPARISON | {"seeds": [1]}
    comparison_repo.write(pathlib.Path("presets/comparison/tables.yaml"), {"tiny": comparison})
    printed(capsys, "tables", "tiny")
    text = pathlib.Path("plots/comparison/tiny/report.md").read_text()
    assert ".png" not in text and "| 2 | ZS3Net | 1 |" in text


def test_the_run_of_the_workspace_is_shown_but_does_not_keep_a_run_from_the_queue(
    repository, tmp_path, monkeypatch, capsys
):
    root = shutil.copytree(repository[0], tmp_path / "repository", symlinks=True)
    monkeypatch.chdir(root)
    base = comparison_repo.BASE
    settings = base | {"backbone": {"seed": 7}, "gmmn": base["gmmn"] | {"seed": 7}}
    comparison_repo.write(root / "params.yaml", settings)
    subprocess.run("dvc repro -q", shell=True, check=True)
    comparison = comparison_repo.COMPARISON | {"seeds": [7], "hours": None}
    comparison_repo.write(root / "presets/comparison/tables.yaml", {"tiny": comparison})
    assert printed(capsys, "tables", "tiny")[-1].endswith(": 1 results, 2 runs missing")
    text = (root / "plots/comparison/tiny/report.md").read_text()
    assert "| 2 | ZS3Net | 1 | 34.0 |" in text and "tables.yaml has no `hours`" in text
    assert "pictures/workspace/one.png" in text
    assert printed(capsys, "queue", "tiny", "--dry-run")[-1].startswith("# 3 runs")
    # Metrics that no stage wrote are no result.
    (root / "metrics/zs3net.json").write_text((root / "metrics/seen_only.json").read_text())
    assert printed(capsys, "tables", "tiny")[-1].endswith(": 0 results, 3 runs missing")


def test_images_missing_in_the_cache_are_not_shown(repository, tmp_path, monkeypatch, capsys):
    shutil.copytree(repository[0], tmp_path / "repository", symlinks=True)
    monkeypatch.chdir(tmp_path / "repository")
    shutil.rmtree(".dvc/cache")
    assert printed(capsys, "tables", "tiny")[-1].endswith(": 2 results, 4 runs missing")
    assert "Example images" not in pathlib.Path("plots/comparison/tiny/report.md").read_text()


def test_metrics_of_every_run_are_written_as_csv(inside, capsys):
    root, _ = inside
    printed(capsys, "tables", "tiny")
    table = pandas.read_csv(root / "plots" / "comparison" / "tiny" / "runs.csv")
    assert table[["method", "k", "seed", "hIoU", "vanilla.mIoU"]].to_numpy().tolist() == [
        ["ZS3Net", 2, 0, 20.0, 20.0],
        ["GAN", 2, 0, 20.5, 20.5],
    ]
    assert all(name.startswith("tiny-k2-s0-") for name in table["experiment"]) and table["code"].isna().all()


def test_the_report_has_the_parameters_of_every_run(inside, edit, capsys):
    root, _ = inside
    edit("presets/comparison/tables.yaml", {"tiny": comparison_repo.COMPARISON | {"set": {"evaluation.size": "mask"}}})
    assert printed(capsys, "tables", "tiny")[-1].endswith(": 2 results, 4 runs missing")
    text = (root / "plots" / "comparison" / "tiny" / "report.md").read_text()
    assert "\nEvery run has `evaluation.size=mask`.\n" in text


def test_changed_parameters_and_changed_code_are_reported(inside, edit, capsys):
    root, _ = inside
    before = (root / "presets" / "toy.yaml").read_text()
    edit("presets/toy.yaml", before.replace("size: mask", "size: half"))
    assert printed(capsys, "tables", "tiny")[-1].endswith(": 0 results, 6 runs missing")
    # The device does not matter, and changed code is named in the report.
    edit("presets/toy.yaml", before.replace("device: cpu", "device: cuda"))
    edit("score.py", (root / "score.py").read_text() + "# Another comment.\n")
    assert printed(capsys, "tables", "tiny")[-1].endswith(": 2 results, 4 runs missing")
    text = (root / "plots" / "comparison" / "tiny" / "report.md").read_text()
    assert "**2 of them ran with code that has changed since:** score.py." in text


def test_a_workspace_that_differs_from_the_commit_gives_a_warning(inside, edit, capsys):
    root, _ = inside
    warning = "# the workspace differs from the last commit, and runs use the files of the workspace: see `git status`"
    assert warning not in printed(capsys, "queue", "tiny", "--dry-run")
    edit("score.py", (root / "score.py").read_text() + "# Another comment.\n")
    assert warning in printed(capsys, "queue", "tiny", "--dry-run")


def test_flags_of_a_method(inside, capsys):
    assert printed(capsys, "flags", "GAN") == ["-S gmmn.generator=gan"]
    with pytest.raises(SystemExit, match=r"methods.yaml: no method `gan`; choose from `Supervised`, `ZS3Net`, "):
        commands.main(["flags", "gan"])

"""`dvc repro` with tiny parameters in a new repository: the stages that run, the stages that run again, and byte-identical results.

The repository also contains the optional pipelines, which run separately.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest
import yaml

from tests.support import dag, tiny

STAGES = dag.stages(tiny.settings())
OUTS = tuple(out for stage in STAGES.values() for out in stage.outs)
SUMMARY = "metrics/summary.json"
METRICS = {out for out in OUTS if out.startswith("metrics/") and out.endswith(".json") and out != SUMMARY}
# What Git tracks of metrics/. The matrices of single images and the curve of the network are in DVC's cache.
TABLES = {out for out in OUTS if out.startswith("metrics/") and not out.endswith((".h5", "/backbone_curve.csv"))}
pytestmark = pytest.mark.timeout(600)


AFTER_PSEUDO_LABELS = {
    *("pseudo_label", "report_pseudo_labels", "self_train", "evaluate@zs5net", "visualise", "zs5net"),
}
# The tiny network can have the same figures before and after, and then the summary stays.
SUMMARY_STAGE = {"summarise"}


def environment(folder: pathlib.Path) -> dict[str, str]:
    """Return an environment with this `python` and an author for git, in which all files are written below `folder`."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "DVC_"))}
    who = {f"GIT_{role}_{part}": "test@example.org" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}
    return {
        **variables,
        **who,
        "PATH": os.pathsep.join([str(pathlib.Path(sys.executable).parent), os.environ["PATH"]]),
        "HOME": str(folder),
        "DVC_SITE_CACHE_DIR": str(folder / "site"),
        "OMP_NUM_THREADS": "1",
    }


def command(folder: pathlib.Path, *words: str) -> str:
    """Run a program in `folder` and return its output."""
    process = subprocess.run(words, cwd=folder, env=environment(folder.parent), capture_output=True, text=True)
    assert process.returncode == 0, f"{' '.join(words)}\n{process.stdout}\n{process.stderr}"
    return process.stdout


def dvc(folder: pathlib.Path, *words: str) -> str:
    return command(folder, sys.executable, "-m", "dvc", *words)


def stages_run(output: str) -> list[str]:
    """Return the stages that ran; those of optional pipelines have the form `szn/dvc.yaml:evaluate@szn_ps`."""
    return re.findall(r"^Running stage '(.+)':", output, flags=re.MULTILINE)


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """A repository with all pipelines, committed after its first `dvc repro`; the output of that command; the digests of the outs."""
    folder = tiny.make(tmp_path_factory.mktemp("pipeline") / "repository")
    for name in ("zeroshot", "stages", ".dvc/plots"):
        shutil.copytree(dag.ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in (dag.MAIN, *dag.OPTIONAL, ".dvc/config", ".dvc/.gitignore", ".dvcignore", ".gitignore"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(dag.ROOT / name, folder / name)
    command(folder, "git", "init", "--quiet")
    said = dvc(folder, "repro")
    command(folder, "git", "add", "--all")
    command(folder, "git", "commit", "--quiet", "--message", "first")
    return folder, said, tiny.digests(folder, *OUTS)


def test_the_first_repro_runs_every_stage_once_and_writes_all_outs(first):
    folder, said, _ = first
    # DVC chooses the order of stages that do not depend on each other.
    assert sorted(stages_run(said)) == sorted(STAGES)
    assert [out for out in OUTS if not (folder / out).exists()] == []


def test_git_tracks_the_lock_file_and_the_metrics_but_no_artefacts(first):
    folder, _, _ = first
    files = set(command(folder, "git", "ls-files").split())
    assert {"dvc.lock", *TABLES} <= files
    artefacts = {
        file for file in files if file.startswith(("data/", "features/", "models/", "plots/")) or file.endswith(".h5")
    }
    stand_ins = {f"data/pretrained/{name}" for name in ("none", "IMAGENET1K_V1", "IMAGENET1K_V2")}
    assert {file for file in artefacts if not file.endswith("/.gitignore")} == stand_ins
    assert command(folder, "git", "status", "--porcelain") == ""


def test_tests_read_dvc_yaml_as_dvc_does(first):
    folder, _, _ = first
    lock = yaml.safe_load((folder / "dvc.lock").read_text())["stages"]
    assert {name: entry["cmd"] for name, entry in lock.items()} == {name: stage.cmd for name, stage in STAGES.items()}
    for name, entry in lock.items():
        assert {dep["path"] for dep in entry.get("deps", [])} == set(STAGES[name].deps)
        assert {out["path"] for out in entry["outs"]} == set(STAGES[name].outs)


def test_a_second_run_in_another_process_and_folder_gives_the_same_bytes(first, tmp_path):
    _, _, digests = first
    folder = tiny.make(tmp_path / "elsewhere")
    tiny.run(folder, *STAGES)
    assert tiny.digests(folder, *OUTS) == digests


def test_a_second_repro_runs_nothing(first):
    said = dvc(first[0], "repro")
    assert stages_run(said) == []
    assert "up to date" in said


def test_a_second_clone_gets_network_and_cache_from_a_remote_and_recomputes_nothing(first, tmp_path):
    folder, _, digests = first
    remote = str(tmp_path / "remote")
    dvc(folder, "remote", "add", "--local", "--default", "disk", remote)
    dvc(folder, "push", "--run-cache")
    clone = tmp_path / "clone"
    command(tmp_path, "git", "clone", "--quiet", str(folder), str(clone))
    dvc(clone, "remote", "add", "--local", "--default", "disk", remote)
    dvc(clone, "pull", "--run-cache", "--allow-missing")
    assert tiny.digests(clone, *OUTS) == digests
    assert stages_run(dvc(clone, "repro")) == []
    # Without the lock, DVC finds the network and the cache by their inputs in the run cache.
    (clone / "dvc.lock").unlink()
    for name in ("train", "unlabelled", "val"):
        shutil.rmtree(clone / "features" / name)
    (clone / "models/backbone.pt").unlink()
    said = dvc(clone, "repro", "dump_features")
    assert not {"train_backbone", "dump_features"} & set(stages_run(said)), said
    assert tiny.digests(clone, *OUTS) == digests


def test_metrics_and_plots_can_be_shown(first):
    folder, _, _ = first
    found = json.loads(dvc(folder, "metrics", "show", "--json"))[""]["data"]
    # DVC also lists the metrics of optional pipelines, which there are not yet.
    assert {path for path, entry in found.items() if "data" in entry} == {SUMMARY}
    seen = found[SUMMARY]["data"]["seen"]
    assert seen.keys() == {pathlib.Path(path).stem for path in METRICS} and all(value >= 0 for value in seen.values())
    # DVC also lists the plots of optional pipelines.
    beside = {
        out for stage in dag.stages(tiny.settings(), dag.OPTIONAL, tiny.szn_settings()).values() for out in stage.outs
    }
    plots = json.loads(dvc(folder, "plots", "show", "--json"))
    tables = TABLES - METRICS - {SUMMARY} | {"metrics/backbone_curve.csv"}
    images = {path.relative_to(folder).as_posix() for path in (folder / "plots/pictures").iterdir()}
    named = {name.rpartition("::")[2] for name in plots["data"]}
    assert images and named - beside == tables | images
    assert {error["source"] for error in plots.get("errors", [])} <= beside


@pytest.fixture(params=dag.OPTIONAL)
def optional(first, tmp_path, request):
    """A copy of the repository after a run of an optional pipeline; the stages of that pipeline; the output of DVC."""
    folder = shutil.copytree(first[0], tmp_path / "repository", symlinks=True)
    command(folder, "git", "restore", "--staged", "--worktree", ".")
    dvc(folder, "checkout", "--allow-missing")
    stages = dag.stages(tiny.settings(), [request.param], tiny.szn_settings())
    return folder, request.param, stages, dvc(folder, "repro", request.param)


def test_an_optional_pipeline_continues_the_main_one_and_writes_its_own_metrics(first, optional):
    folder, file, stages, said = optional
    assert sorted(stages_run(said)) == sorted(f"{file}:{name.rpartition('/')[2]}" for name in stages)
    assert [out for stage in stages.values() for out in stage.outs if not (folder / out).exists()] == []
    found = {
        pathlib.Path(out).stem: json.loads((folder / out).read_text())
        for stage in stages.values()
        for out in stage.outs
        if out.startswith("metrics/") and out.endswith(".json")
    }
    if file == dag.ZSI:
        names = {"mix", "mix_without_background", "direct", "retrained", "synthesised"}
        assert set(found.pop("summary")["gzsi"]["seen"]) == set(found) == names
        assert all(0 <= metrics["gzsi"]["seen"]["mAP50"] <= 100 for metrics in found.values())
        found = {}
    elif file == dag.SZN:
        assert set(found.pop("summary")["seen"]) == set(found) == {"fcn_s", "fcn_je", "szn", "szn_ps"}
    else:
        assert set(found) == {"devise_network", "zs5net_network"}
        # DeViSE has no seen bias; ZS5Net keeps the seen bias of the last layer that it starts from.
        assert found["devise_network"]["seen_bias"] == 0
        main = json.loads((folder / "metrics/zs5net.json").read_text())
        assert found["zs5net_network"]["seen_bias"] == main["seen_bias"]
    assert all(0 <= metrics["generalised"]["seen"]["mIoU"] <= 100 for metrics in found.values())
    assert all(metrics["images"] == 8 for metrics in found.values())
    # The main pipeline has not changed, and no stage of any pipeline has to run.
    assert tiny.digests(folder, *OUTS) == first[2]
    for words in ([], [file]):
        assert stages_run(dvc(folder, "repro", *words)) == []
    # The other optional pipeline has not run in this folder.
    dvc(folder, "checkout", "--allow-missing")


def test_checkout_works_without_outputs_of_optional_pipelines(first, tmp_path):
    """`dvc checkout` reports these outputs as missing, but only after it has restored all others."""
    folder = shutil.copytree(first[0], tmp_path / "repository", symlinks=True)
    dvc(folder, "exp", "run", "-S", "visualise.panel_side=40", "visualise")
    assert tiny.digests(folder, *OUTS) != first[2]
    command(folder, "git", "restore", "--staged", "--worktree", ".")
    dvc(folder, "checkout", "--allow-missing")
    assert tiny.digests(folder, *OUTS) == first[2]
    assert stages_run(dvc(folder, "repro")) == []


def test_changed_bandwidths_rerun_only_the_generator_and_later_stages(first):
    folder, _, _ = first
    said = dvc(folder, "exp", "run", "-S", "gmmn.bandwidths=[5e-05,3]")
    following = {"train_gmmn", "finetune_classifier", "feature_oracle", "evaluate@zs3net", "zs3net"}
    assert set(stages_run(said)) - SUMMARY_STAGE == following | AFTER_PSEUDO_LABELS
    difference = json.loads(dvc(folder, "metrics", "diff", "--all", "--json"))
    assert {path for path, entry in difference.items() if entry} == {SUMMARY}
    assert set(difference[SUMMARY]["hIoU.zs3net"]) == {"old", "new", "diff"}


def test_a_changed_share_of_pseudo_labels_reruns_only_self_training(first):
    folder, _, _ = first
    said = dvc(folder, "exp", "run", "-S", "pseudo_labels.p=75")
    assert set(stages_run(said)) - SUMMARY_STAGE == AFTER_PSEUDO_LABELS

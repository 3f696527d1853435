"""The registry of models: versions by Git tags, a remote that brings them, and what `dvc gc` leaves (docs/dvc.md)."""

import os
import pathlib
import shutil
import subprocess

import pytest
import yaml
from dvc import cli

from tests.support import dag

MODEL = "models/zs5net.pt"


def test_every_packed_model_is_in_the_registry_under_the_name_of_its_file():
    artifacts = yaml.safe_load((dag.ROOT / "dvc.yaml").read_text(encoding="utf-8"))["artifacts"]
    packed = {out for stage in dag.stages().values() if stage.module == "stages.pack_models" for out in stage.outs}
    assert {entry["path"] for entry in artifacts.values()} == packed
    for name, entry in artifacts.items():
        assert pathlib.Path(entry["path"]).stem == name and entry["type"] == "model" and entry["desc"].endswith(".")


def git(*words: str) -> None:
    subprocess.run(["git", *words], check=True, capture_output=True)


def dvc(*words: str) -> int:
    return cli.main([*words, "--quiet"])


def contents(folder: pathlib.Path) -> set[str]:
    """Return what the files of a cache or a remote contain, without the run cache."""
    return {path.read_text() for path in (folder / "files").rglob("*") if path.is_file()}


def make_version(text: str, tag: str | None = None) -> None:
    """Make the model, commit and push it, and give it a version."""
    pathlib.Path("source").write_text(text)
    assert dvc("repro") == 0
    git("add", "--all")
    git("commit", "-m", text)
    if tag:
        git("tag", "-a", tag, "-m", text)
    assert dvc("push") == 0


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    """A folder with a repository of two versions and a later commit, all pushed to `storage` and to server.git, as a server has it."""
    folder = tmp_path_factory.mktemp("registry")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("DVC_", "GIT_"))]:
            patch.delenv(name)
        for role in ("AUTHOR", "COMMITTER"):
            for part in ("NAME", "EMAIL"):
                patch.setenv(f"GIT_{role}_{part}", "test@example.org")
        patch.setenv("HOME", str(folder))
        patch.setenv("DVC_SITE_CACHE_DIR", str(folder / "site"))
        (folder / "repository/models").mkdir(parents=True)
        patch.chdir(folder / "repository")
        git("init")
        assert dvc("init") == 0
        shutil.copy(dag.ROOT / ".dvc/config", ".dvc/config")
        section = yaml.safe_load((dag.ROOT / "dvc.yaml").read_text(encoding="utf-8"))["artifacts"]
        stage = {"cmd": f"cp source {MODEL}", "deps": ["source"], "outs": [MODEL]}
        document = {"stages": {"zs5net": stage}, "artifacts": {"zs5net": section["zs5net"]}}
        pathlib.Path("dvc.yaml").write_text(yaml.safe_dump(document))
        assert dvc("remote", "add", "--default", "storage", str(folder / "storage")) == 0
        make_version("one", "zs5net@v1.0.0")
        make_version("two", "zs5net@v2.0.0")
        make_version("three")
        git("clone", "--bare", ".", str(folder / "server.git"))
        yield folder


def test_a_colleague_gets_any_version_from_the_remote(registry, monkeypatch):
    server = str(registry / "server.git")
    monkeypatch.chdir(registry)
    git("clone", server, "clone")
    monkeypatch.chdir("clone")
    assert dvc("pull", MODEL) == 0
    assert pathlib.Path(MODEL).read_text() == "three"
    monkeypatch.chdir(registry)
    assert dvc("artifacts", "get", server, "zs5net", "--rev", "v1.0.0", "--out", "old.pt") == 0
    assert dvc("artifacts", "get", server, "zs5net", "--out", "newest.pt") == 0
    assert dvc("get", server, MODEL, "--rev", "zs5net@v1.0.0", "--out", "by_tag.pt") == 0
    assert [pathlib.Path(f"{name}.pt").read_text() for name in ("old", "newest", "by_tag")] == ["one", "two", "one"]
    assert dvc("artifacts", "get", server, "zs5net", "--rev", "v9.0.0", "--out", "missing.pt") != 0


def test_gc_removes_and_keeps_what_the_docs_say(registry):
    """The last test here, since it removes versions from the remote."""
    cache, storage = pathlib.Path(".dvc/cache"), registry / "storage"
    pathlib.Path("source").write_text("four")
    assert dvc("repro") == 0
    assert contents(cache) == {"one", "two", "three", "four"} and contents(storage) == {"one", "two", "three"}
    assert dvc("gc", "--workspace", "--dry") == 0
    assert contents(cache) == {"one", "two", "three", "four"}
    assert dvc("gc", "--workspace", "--force") == 0
    assert contents(cache) == {"four"} and contents(storage) == {"one", "two", "three"}
    # The remote brings an old version back.
    git("checkout", "--force", "zs5net@v1.0.0")
    assert dvc("pull") == 0
    assert pathlib.Path(MODEL).read_text() == "one" and contents(cache) == {"one", "four"}
    assert dvc("gc", "--workspace", "--all-tags", "--cloud", "--force") == 0
    assert contents(cache) == {"one"} and contents(storage) == {"one", "two"}
    server = str(registry / "server.git")
    assert dvc("get", server, MODEL, "--rev", "zs5net@v2.0.0", "--out", "two.pt") == 0
    assert dvc("get", server, MODEL, "--out", "three.pt") != 0

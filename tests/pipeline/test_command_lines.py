"""Stages and commands as programs and as functions: a quick `--help`, and `main` called with Python values."""

import json
import pathlib
import subprocess
import sys

import pytest
import yaml

from stages import convert_labels, make_toy, prepare_split
from tests.support import dag, source_code, tiny
from zeroshot.base import errors
from zeroshot.commands import __main__ as zeroshot_cli
from zeroshot.datasets import splits

STAGES = [".".join(path.relative_to(dag.ROOT).with_suffix("").parts) for path in source_code.modules("stages")]
PROGRAMS = [[module] for module in STAGES if not module.endswith("__init__")]
COMMANDS = [["zeroshot.commands"], *(["zeroshot.commands", name] for name in zeroshot_cli.COMMANDS)]
# Each of these packages takes longer to import than everything else that a help text needs.
SLOW = ("torch", "torchvision", "pandas", "h5py", "scipy", "dvc")

# Run programs with --help one after the other and print the exit status, the text and the slow packages that each one imported.
_SCRIPT = """
import contextlib, io, json, runpy, sys
programs, slow = json.loads(sys.argv[1])
results = []
for module, *words in programs:
    sys.argv, text, status = [module, *words, "--help"], io.StringIO(), None
    with contextlib.redirect_stdout(text):
        try:
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        except SystemExit as end:
            status = end.code
    loaded = [name for name in slow if name in sys.modules]
    for name in [name for name in sys.modules if name.partition(".")[0] in loaded]:
        del sys.modules[name]
    results.append((status, text.getvalue(), loaded))
print(json.dumps(results))
"""


def run_help(folder: pathlib.Path, programs: list[list[str]]) -> list[tuple[int, str, list[str]]]:
    """Return the exit status of each program with --help, its text and the slow packages that it loaded."""
    words = [sys.executable, "-c", _SCRIPT, json.dumps([programs, SLOW])]
    process = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=True)
    return json.loads(process.stdout)


def test_help_imports_no_slow_package():
    programs = [*PROGRAMS, *COMMANDS]
    results = run_help(dag.ROOT, programs)
    assert [(program, loaded) for program, (_, _, loaded) in zip(programs, results, strict=True) if loaded] == []
    assert all(status == 0 and text.startswith("usage:") for status, text, _ in results)
    assert len(PROGRAMS) > 15 and len(COMMANDS) > 7


def test_the_import_of_a_slow_package_is_detected(tmp_path):
    (tmp_path / "slow.py").write_text("import h5py\n")
    (tmp_path / "quick.py").write_text("raise SystemExit(3)\n")
    results = run_help(tmp_path, [["quick"], ["slow"], ["quick"]])
    assert results == [[3, "", []], [None, "", ["h5py"]], [3, "", []]]


def test_stages_can_be_called_from_python(tmp_path, monkeypatch):
    monkeypatch.chdir(tiny.make(tmp_path / "notebook"))
    root, labels, masks = pathlib.Path("data/toy"), pathlib.Path("data/labels"), pathlib.Path("data/masks")
    make_toy.main(data_root=root)
    convert_labels.main(data_root=root, labels_dir=labels)
    prepare_split.main(
        data_root=root,
        labels_dir=labels,
        split_path=pathlib.Path("split.json"),
        training_path=pathlib.Path("training.json"),
        images_path=pathlib.Path("images.json"),
        train_masks_dir=masks / "train",
        unlabelled_masks_dir=masks / "unlabelled",
        val_masks_dir=masks / "val",
        counts_path=pathlib.Path("counts.csv"),
    )
    split = splits.read("split.json")
    assert len(split.train) + len(split.unlabelled) == 48 and len(split.val) == 8
    assert sorted(path.stem for path in (masks / "val").iterdir()) == [item.id for item in split.val]


def test_a_stage_called_from_python_raises_an_error_and_does_not_exit(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    document = yaml.safe_load((dag.ROOT / "params.yaml").read_text())
    pathlib.Path("params.yaml").write_text(yaml.safe_dump({"toy": {}, "runtime": document["runtime"]}))
    with pytest.raises(errors.UserError, match="toy.n_train: missing"):
        make_toy.main(data_root=tmp_path / "toy")


def test_paths_are_keyword_arguments():
    with pytest.raises(TypeError, match="positional"):
        make_toy.main("data/toy")

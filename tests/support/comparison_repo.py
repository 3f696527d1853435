"""A DVC repository of quick stages in place of the pipelines: a `backbone`, models that share it, a plot, and a second pipeline."""

import pathlib
import subprocess
import textwrap

import yaml

BASE = {
    "data": {"unseen": ["a", "b"]},
    "backbone": {"seed": 0},
    "gmmn": {"generator": "mlp", "seed": 0},
    "evaluation": {"size": "mask"},
    "runtime": {"device": "cpu"},
}
SZN_BASE = {"split": {"unseen": ["a", "b"], "train_unseen": 3, "seed": 0}, "network": {"loss": "cosine", "seed": 0}}
# The parameter files of the preset.
FILES = {"params.yaml": BASE, "szn/params.yaml": SZN_BASE}
# Every metric is a sum of parameters, so that tests can compute the expected values.
_SCRIPT = """
    import json, os, sys, yaml
    settings = yaml.safe_load(open("params.yaml"))
    szn = yaml.safe_load(open("szn/params.yaml"))
    if sys.argv[1] == "backbone":
        with open(LOG, "a") as file:
            file.write(f"{settings['backbone']['seed']} {len(settings['data']['unseen'])}\\n")
        value = 10 * len(settings["data"]["unseen"]) + settings["backbone"]["seed"]
        open("backbone.txt", "w").write(str(value))
    elif sys.argv[1] == "visualise":
        os.mkdir("plots/pictures")
        open("plots/pictures/one.png", "w").write(f"{settings['gmmn']['generator']} {settings['gmmn']['seed']}")
    elif sys.argv[1] == "split":
        open("data/szn/split.json", "w").write(f"{szn['split']} {settings['data']}")
    elif sys.argv[1] == "szn_pictures":
        os.makedirs("plots/szn/pictures")
        open("plots/szn/pictures/one.png", "w").write(szn["network"]["loss"])
    else:
        value = int(open("backbone.txt").read()) + (0 if sys.argv[1] == "seen_only" else settings["gmmn"]["seed"])
        value += 0.5 * (sys.argv[1] == "zs3net" and settings["gmmn"]["generator"] == "gan")
        if sys.argv[1].startswith("szn/"):
            value = 10 * szn["split"]["train_unseen"] + szn["network"]["seed"]
            value += 0.5 * (szn["network"]["loss"] == "mse") - 5 * (sys.argv[1] == "szn/fcn_je")
        group = {"PA": value, "MA": value, "mIoU": value}
        block = {"seen": group, "unseen": group, "all": group, "hIoU": value}
        content = {"generalised": block, "vanilla": group, "pretraining": "other_labels"}
        json.dump(content, open(f"metrics/{sys.argv[1]}.json", "w"))
"""
_STAGES = {
    "backbone": {
        "cmd": "python score.py backbone",
        "deps": ["score.py"],
        "params": ["data", "backbone"],
        "outs": ["backbone.txt"],
    },
    "visualise": {
        "cmd": "python score.py visualise",
        "deps": ["score.py", "backbone.txt", "models/classifiers/zs3net.pt"],
        "params": ["gmmn"],
        "outs": ["plots/pictures"],
    },
    "evaluate": {
        "matrix": {"model": ["seen_only", "zs3net"]},
        "cmd": "python score.py ${item.model}",
        "deps": ["score.py", "backbone.txt"],
        "params": ["gmmn", "evaluation"],
        "outs": [{"metrics/${item.model}.json": {"cache": False}}],
    },
}
_SZN_STAGES = {
    "split": {
        "wdir": "..",
        "cmd": "python score.py split",
        "deps": ["score.py"],
        "params": ["data", {"szn/params.yaml": ["split"]}],
        "outs": ["data/szn/split.json"],
    },
    "pictures": {
        "wdir": "..",
        "cmd": "python score.py szn_pictures",
        "deps": ["score.py", "models/szn/classifiers/szn.pt"],
        "params": [{"szn/params.yaml": ["network"]}],
        "outs": ["plots/szn/pictures"],
    },
    "evaluate": {
        "matrix": {"variant": ["fcn_je", "szn"]},
        "wdir": "..",
        "cmd": "python score.py szn/${item.variant}",
        "deps": ["score.py", "backbone.txt", "data/szn/split.json"],
        "params": ["evaluation", {"szn/params.yaml": ["network"]}],
        "outs": [{"metrics/szn/${item.variant}.json": {"cache": False}}],
    },
}
METHODS = {
    "Supervised": {
        "model": "seen_only",
        "figures": "generalised",
        "set": {"data.unseen": []},
        "target": None,
        "reads_unseen": False,
        "note": ".",
    },
    "ZS3Net": {
        "model": "zs3net",
        "figures": "generalised",
        "set": {},
        "target": None,
        "reads_unseen": False,
        "note": ".",
    },
    "GAN": {
        "model": "zs3net",
        "figures": "generalised",
        "set": {"gmmn.generator": "gan"},
        "target": None,
        "reads_unseen": False,
        "note": ".",
    },
    "DeViSE": {
        "model": "devise",
        "figures": "generalised",
        "set": {},
        "target": None,
        "reads_unseen": False,
        "note": ".",
    },
    "Later": {
        "model": "zs3net",
        "figures": "generalised",
        "set": {"later.key": 1},
        "target": None,
        "reads_unseen": False,
        "note": ".",
    },
}
SZN_METHODS = {
    name: {
        "model": model,
        "figures": "generalised",
        "set": changes,
        "target": "szn/dvc.yaml",
        "reads_unseen": name == "SZN",
        "note": ".",
    }
    for name, model, changes in (
        ("FCN-JE", "szn/fcn_je", {}),
        ("SZN", "szn/szn", {}),
        ("SZN, MSE", "szn/szn", {"szn/params.yaml:network.loss": "mse"}),
    )
}
COMPARISON = {
    "title": "Tiny",
    "preset": "toy",
    "set": {},
    "splits": {2: {"data.unseen": ["a", "b"]}},
    "hours": {"network": 2, "rest": 0.25},
    "seeds": [0, 1],
    "more_seeds": {},
    "fixed_seeds": [],
    "tables": [{"title": "All", "methods": list(METHODS)}],
    "differences": [["ZS3Net", "GAN"]],
    "pictures_at": 2,
    "sweep": None,
    "published": None,
}


def make(root: pathlib.Path) -> pathlib.Path:
    """Make the repository at `root`. Return the log file, to which `backbone` appends a line each time it runs."""
    root.mkdir()
    log = root.parent / "backbone.log"
    (root / "score.py").write_text(f"LOG = {str(log)!r}\n" + textwrap.dedent(_SCRIPT))
    write(root / "params.yaml", BASE)
    write(root / "presets" / "toy.yaml", BASE)
    write(root / "szn" / "params.yaml", SZN_BASE)
    write(root / "presets" / "szn" / "toy.yaml", SZN_BASE)
    write(root / "dvc.yaml", {"stages": _STAGES})
    write(root / "szn" / "dvc.yaml", {"stages": _SZN_STAGES})
    write(root / "presets" / "comparison" / "methods.yaml", METHODS)
    write(root / "presets" / "comparison" / "tables.yaml", {"tiny": COMPARISON})
    for path in ("models/classifiers/zs3net.pt", "models/szn/classifiers/szn.pt"):
        (root / path).parent.mkdir(parents=True)
        (root / path).write_text("what is drawn")
    for folder in ("metrics", "metrics/szn", "plots", "plots/szn", "data/szn"):
        (root / folder).mkdir(parents=True, exist_ok=True)
        (root / folder / ".gitignore").write_text("")
    for command in (
        "git init -q -b main .",
        "git config user.email tests@example.org",
        "git config user.name tests",
        "dvc init -q",
        "dvc config core.analytics false",
        "dvc config core.autostage true",
        "git add -A",
        "git commit -q -m start",
    ):
        subprocess.run(command.split(), cwd=root, check=True)
    return log


def write(path: pathlib.Path, content: dict) -> None:
    """Write a YAML file with the keys in the given order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(content, sort_keys=False))

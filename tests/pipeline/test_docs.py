"""README and docs: every command runs or is parsed by its program, every link has a target, and lines are short."""

import functools
import os
import pathlib
import re
import shlex
import shutil
import subprocess

import pytest
from dvc import cli as dvc_cli

from tests.support import caches, dag
from zeroshot.commands import __main__ as zeroshot_cli

FILES = [dag.ROOT / "README.md", *sorted((dag.ROOT / "docs").glob("*.md"))]
files = pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)

_MINUTES = "trains for minutes; test_pipeline.py runs the like at tiny size"
_MODEL = "tests/pipeline/test_own_photographs.py runs it with a small network"
_INSTANCES = "tests/prediction/test_instance_models.py runs it with a small network"
_RESULTS = "needs results of the pipeline; tests/commands runs the like"
_EXPERIMENT = "needs an experiment"
_CACHE = "needs results in DVC's cache"
_REMOTE = "needs a remote"
_REGISTRY = "needs a remote; test_registry.py runs the like"
_VOC = "needs Pascal VOC; tests/own_data/test_voc_instances.py runs it on a small folder"
_ASKS = "asks before it removes"
# Commands that this test does not run, and why. Those of dvc and zeroshot are parsed.
NOT_RUN = {
    "pytest tests/pipeline/test_leaks.py tests/pipeline/test_leaks_files.py tests/pipeline/test_wiring.py": "tests themselves",
    "dvc repro --dry": "needs the data",
    "dvc commit --force train_backbone": "needs the network",
    "dvc repro --dry --allow-missing": "needs a dvc.lock of the present code",
    "dvc gc --workspace": _ASKS,
    "dvc gc --workspace --all-commits --all-experiments": _ASKS,
    "dvc gc --workspace --all-tags --cloud": _ASKS,
    "dvc repro train_gmmn": _MINUTES,
    "dvc repro evaluate": _MINUTES,
    "dvc repro zs3net": _MINUTES,
    "zeroshot check street": _MODEL,
    "zeroshot check street --unseen car": _MODEL,
    "zeroshot predict photo.jpg --model models/zs3net.pt --out predictions": _MODEL,
    "zeroshot predict photo.jpg holiday/ --model models/zs3net.pt --out predictions": _MODEL,
    "zeroshot add-class okapi --model models/zs3net.pt --out models/more.pt": _MODEL,
    "zeroshot add-class okapi 'traffic cone' --model models/zs3net.pt --out models/more.pt": _MODEL,
    "zeroshot remove-class okapi --model models/more.pt --out models/less.pt": _MODEL,
    "dvc repro szn/dvc.yaml": _MINUTES,
    "dvc repro szn/dvc.yaml:szn": _MINUTES,
    "dvc exp run -S szn/params.yaml:seen_mask.class_balance=0 szn/dvc.yaml": _MINUTES,
    "dvc exp run -S szn/params.yaml:pca.dim=50 szn/dvc.yaml": _MINUTES,
    "zeroshot results metrics/szn": _RESULTS,
    "zeroshot queue toy --slurm toy.sh": "needs a workspace without changes",
    "dvc repro zsi/dvc.yaml": _MINUTES,
    "dvc exp run -S zsi/params.yaml:gmmn.epochs=40 zsi/dvc.yaml": _MINUTES,
    "dvc exp run -S zsi/params.yaml:detector.mask_head.reconstruction=0 zsi/dvc.yaml": _MINUTES,
    "zeroshot results metrics/zsi": _RESULTS,
    "zeroshot voc-instances data/VOC2012": _VOC,
    "zeroshot voc-instances data/VOC2012 --sbd data/VOC2012/benchmark_RELEASE/dataset": _VOC,
    "zeroshot predict photo.jpg --model models/szn/szn.pt --out predictions": _MODEL,
    "dvc repro zsi/dvc.yaml:pack_regions@synthesised": _MINUTES,
    "zeroshot predict photo.jpg --model models/zsi/synthesised.pt --out predictions": _INSTANCES,
    "zeroshot predict holiday/ --model models/zsi/synthesised.pt --out few --classes red-square,blue-disk --score 0.5": _INSTANCES,
    "zeroshot add-class okapi --model models/szn/szn.pt --out models/szn/more.pt": _MODEL,
    "zeroshot figure --out figure.pdf": _RESULTS,
    "zeroshot figure --ids val_00194 val_00276 --models seen_only zs3net zs5net --names --width 7 --out figure.pdf figure.png": _RESULTS,
    "zeroshot shards features/train --class red-plain": _RESULTS,
    "zeroshot shards features/train --class red-plain --plot class.png": _RESULTS,
    "zeroshot shards features/train --image train_00000 --plot rows.png": _RESULTS,
    "zeroshot shards features/val --image val_00194 --class red-striped --plot map.png": _RESULTS,
    "dvc exp run -S classifier.unseen_weight=2 zs3net": _MODEL,
    "dvc repro summarise": _MINUTES,
    "dvc repro evaluate@zs3net": _MINUTES,
    "dvc exp run -S pseudo_labels.p=50": _MINUTES,
    "dvc exp run -S 'gmmn.bandwidths=[0.5,1,2]'": _MINUTES,
    "dvc exp run -S gmmn.bandwidths.0=0.25": _MINUTES,
    "dvc exp run -n many-folds -S classifier.calibration.folds=8": _MINUTES,
    "dvc exp run": _MINUTES,
    "dvc exp run --queue -S 'gmmn.bandwidths=[0.5,1,2],[1,2,4]' -S pseudo_labels.p=25,75": "tests/experiments queues runs",
    "dvc queue start --jobs 1": _EXPERIMENT,
    "dvc queue logs many-folds": _EXPERIMENT,
    "dvc queue stop": _EXPERIMENT,
    "dvc exp apply many-folds": _EXPERIMENT,
    "dvc exp branch many-folds try-folds": _EXPERIMENT,
    "dvc exp remove many-folds": _EXPERIMENT,
    "dvc exp push origin many-folds": _REMOTE,
    "dvc exp pull origin many-folds": _REMOTE,
    "dvc push --run-cache": _REMOTE,
    "dvc pull --run-cache --allow-missing": _REMOTE,
    "dvc push models/zs5net.pt": _REGISTRY,
    "dvc pull models/zs5net.pt": _REGISTRY,
    "dvc artifacts get https://example.org/zeroshot.git zs5net --rev v1.0.0": _REGISTRY,
    "dvc artifacts get https://example.org/zeroshot.git zs5net": _REGISTRY,
    "dvc get https://example.org/zeroshot.git models/zs5net.pt --rev zs5net@v1.0.0": _REGISTRY,
    "dvc checkout --relink": _CACHE,
    "dvc repro whole_network/dvc.yaml": "hours on a GPU; test_pipeline.py runs it at tiny size",
    "dvc exp run whole_network/dvc.yaml": "hours on a GPU; test_pipeline.py runs it at tiny size",
    "zeroshot cross-validate gmmn.lr=0.001,0.002": _MINUTES,
    "zeroshot cross-validate gmmn.lr=0.001,0.002 pseudo_labels.p=25,50": _MINUTES,
    "zeroshot reset --dry-run": "refuses after the commands of dvc.md that change the configuration; tests/commands/test_reset.py runs it",
    "zeroshot reset": "needs results in DVC's cache; tests/commands/test_reset.py runs it in a small repository",
    "zeroshot queue toy": "starts hours of work; tests/experiments queues runs",
    "zeroshot queue toy --dry-run": "asks DVC for all experiments; tests/experiments does in a small repository",
    "zeroshot report --out report.html": "needs results; tests/report runs the like",
    "zeroshot report --classes red-striped,red-plain": "needs results; tests/report runs the like",
    "dvc exp run --queue -S pseudo_labels.p=10,25,50,75": "tests/experiments queues runs",
    "zeroshot tables toy": "asks DVC for all experiments; tests/experiments does in a small repository",
    "zeroshot queue szn_toy": "starts hours of work; tests/experiments queues runs",
    "zeroshot queue szn_toy --dry-run": "asks DVC for all experiments; tests/experiments does in a small repository",
    "zeroshot tables szn_toy": "asks DVC for all experiments; tests/experiments does in a small repository",
}


def lines(path: pathlib.Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def commands() -> list[str]:
    """Return the commands of all `sh` blocks, without repetition and comments; a command in `$(...)` is a separate command."""
    result: dict[str, None] = {}
    for path in FILES:
        for block in re.findall(r"^ *```sh\n(.*?)^ *```$", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
            for line in block.splitlines():
                for inner in re.findall(r"\$\((.*?)\)", line):
                    result.setdefault(inner)
                words = shlex.split(re.sub(r" \$\(.*?\)", "", line), comments=True)
                for command in " ".join(word if word == "&&" else shlex.quote(word) for word in words).split(" && "):
                    result.setdefault(command)
    return [shlex.join(shlex.split(command)) for command in result if command]


COMMANDS = commands()


def run_by(program: str) -> list[str]:
    return [command for command in COMMANDS if shlex.split(command)[0] == program]


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """A repository of two commits with the files of the pipeline, metrics, a small cache, and no results."""
    folder = tmp_path_factory.mktemp("docs") / "repository"
    for name in (
        "zeroshot",
        "stages",
        "whole_network",
        "szn",
        "zsi",
        "metrics",
        "presets",
        ".dvc/plots",
        "data/pretrained",
    ):
        shutil.copytree(dag.ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("params.yaml", "dvc.yaml", "dvc.lock", ".dvc/config", ".dvc/.gitignore", ".dvcignore", ".gitignore"):
        shutil.copy(dag.ROOT / name, folder / name)
    (folder / ".dvc/cache").mkdir()
    who = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    for words in (["init"], ["add", "--all"], ["commit", "-m", "first"], ["commit", "--allow-empty", "-m", "second"]):
        subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True)
    (folder / "features").mkdir(exist_ok=True)
    caches.write_rows(folder / "features/train", [caches.table([0, 1, 2, 0])])
    return folder


@pytest.fixture
def inside(repository, monkeypatch, tmp_path):
    """Change to the repository, with the environment of a user without configuration."""
    for name in [name for name in os.environ if name.startswith(("DVC_", "GIT_"))]:
        monkeypatch.delenv(name)
    for role in ("AUTHOR", "COMMITTER"):
        for part in ("NAME", "EMAIL"):
            monkeypatch.setenv(f"GIT_{role}_{part}", "test@example.org")
    (repository / ".dvc/config.local").unlink(missing_ok=True)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    monkeypatch.chdir(repository)
    return repository


def test_each_program_has_commands():
    programs = {shlex.split(command)[0] for command in COMMANDS}
    assert programs == {"make", "dvc", "zeroshot", "git", "pytest", "ln", "du"}


def test_commands_that_are_not_run_are_in_the_docs():
    assert NOT_RUN.keys() <= set(COMMANDS)


@pytest.mark.parametrize("command", run_by("make"))
def test_make_knows_the_target(command):
    process = subprocess.run([*shlex.split(command), "--dry-run"], cwd=dag.ROOT, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr


@pytest.mark.parametrize("command", run_by("dvc"))
def test_dvc_runs_or_parses(command, inside):
    words = shlex.split(command)[1:]
    if command in NOT_RUN:
        assert dvc_cli.parse_args(words).func
    else:
        assert dvc_cli.main(words) == 0


@pytest.mark.parametrize("command", run_by("zeroshot"))
def test_zeroshot_runs_or_parses(command, inside, monkeypatch, capsys):
    if command in NOT_RUN:
        for name, main in zeroshot_cli.COMMANDS.items():
            monkeypatch.setitem(zeroshot_cli.COMMANDS, name, functools.wraps(main)(lambda *args, **kwargs: None))
    zeroshot_cli.main(shlex.split(command)[1:])
    assert command in NOT_RUN or capsys.readouterr().out


@pytest.mark.parametrize("command", [*run_by("git"), *run_by("ln"), *run_by("du")])
def test_other_commands_run(command, inside):
    (inside / "metrics/new.csv").write_text(command)
    subprocess.run(["git", "add", "--all"], cwd=inside, check=True)
    process = subprocess.run(shlex.split(command), cwd=inside, capture_output=True, text=True)
    assert process.returncode == 0, process.stdout + process.stderr


@files
def test_advice_to_undo_changes_is_zeroshot_reset(path):
    """Git may take a file that a killed run has changed for unchanged, and then restores nothing."""
    text = path.read_text(encoding="utf-8")
    assert re.findall(r"\bgit (?:restore|checkout|stash|reset)\b|\bdvc checkout\b.*--allow-missing", text) == []
    assert "zeroshot reset" in text or path.name not in ("README.md", "troubleshooting.md", "dvc.md")


def test_tests_named_in_the_docs_exist():
    for command in run_by("pytest"):
        assert command in NOT_RUN
        assert all((dag.ROOT / word).exists() for word in shlex.split(command)[1:])


@files
def test_links_have_targets(path):
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
        if re.match(r"https?://", target):
            continue
        name, _, heading = target.partition("#")
        file = (path.parent / name).resolve() if name else path
        assert file.exists(), f"{path.name}: {target}"
        if heading:
            headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            assert heading in map(anchor, headings), f"{path.name}: {target}"


def anchor(heading: str) -> str:
    """Return the anchor that GitHub gives a heading: lower case, without punctuation, with hyphens for spaces."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@files
def test_lines_are_at_most_120_characters(path):
    """Rows of tables cannot be wrapped; the README has none that are longer."""
    wide = [line for line in lines(path) if len(line) > 120]
    assert [line for line in wide if path.name == "README.md" or not line.startswith("|")] == []


@files
def test_no_placeholder_is_left(path):
    """A line of one word in capitals waits for its text."""
    found = [line for line in lines(path) if re.fullmatch(r"[A-Z][A-Z0-9_]{3,}", line.strip())]
    assert found == []


def test_the_readme_is_short():
    assert len(lines(dag.ROOT / "README.md")) < 150


def test_images_are_small_and_used():
    images = sorted((dag.ROOT / "docs/images").glob("*.png"))
    assert all(image.stat().st_size < 150_000 for image in images)
    assert sum(image.stat().st_size for image in images) < 400_000
    pages = [dag.ROOT / "README.md", *(dag.ROOT / "docs").glob("*.md")]
    text = "".join(page.read_text(encoding="utf-8") for page in pages)
    assert all(f"images/{image.name})" in text for image in images)


def has_key(document: dict, name: str) -> bool:
    """Return whether a parameter file has a dotted key."""
    value = document
    for key in name.split("."):
        if not isinstance(value, dict) or key not in value:
            return False
        value = value[key]
    return True


def test_sections_and_keys_named_in_the_docs_exist():
    """A parameter in backticks, as in `gmmn.kernel`, with or without a value, is a key of params.yaml, or of the page's pipeline."""
    main, others = dag.document(dag.PARAMS), {"szn": dag.SZN_PARAMS, "zsi": dag.ZSI_PARAMS}
    for path in FILES:
        documents = [main, *(dag.document(file) for name, file in others.items() if path.name.startswith(name))]
        for name in re.findall(r"`([a-z_]+(?:\.[a-z_]+)+)(?:[:=][^`]*)?`", path.read_text(encoding="utf-8")):
            having = [document for document in documents if name.partition(".")[0] in document]
            assert not having or any(has_key(document, name) for document in having), f"{path.name}: {name}"


@files
def test_no_number_is_left_open(path):
    assert "FILL" not in path.read_text(encoding="utf-8")

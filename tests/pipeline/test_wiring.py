"""dvc.yaml agrees with every stage: its code, parameters, paths and description."""

import ast
import configparser
import os
import pathlib
import re

import pytest
import yaml

from tests.support import dag, source_code

STAGES = dag.stages(files=(dag.MAIN, *dag.OPTIONAL))
SECTIONS = tuple(yaml.safe_load((dag.ROOT / "params.yaml").read_text()))
# Stages with the name of what they make, which people type.
NAMED = dict.fromkeys(("zs3net", "zs5net", "baselines"), "pack_models")
ROOT_OF_DATA = yaml.safe_load((dag.ROOT / "params.yaml").read_text())["data"]["root"]
stages = pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES)


# These two stages are expensive, so they depend on single files. Cheap stages depend on folders.
DEAR = {"train_backbone", "dump_features", "train_devise_network", "self_train_network"}


def imported_files(module: str) -> set[str]:
    """Return the files that the import of `module` executes, without the workbench, which cannot change a result.

    The workbench is zeroshot/base without training.py: errors, progress, threads, and how files are read and written.
    """
    graph = source_code.imports()
    pending, modules = [module], set()
    while pending:
        name = pending.pop()
        if name not in modules:
            modules.add(name)
            pending += graph.find_modules_directly_imported_by(name)
    paths = [source_code.source(name).relative_to(dag.ROOT) for name in modules]
    workbench = pathlib.Path("zeroshot", "base")
    return {
        str(path)
        for path in paths
        if path.name != "__init__.py" and (path.parent != workbench or path.name == "training.py")
    }


def sections_loaded(path: pathlib.Path) -> dict[str, str]:
    """Return the sections that a file loads by `params.load("params.yaml", "section", module.Params)`, and the class named."""
    calls = [node for node in ast.walk(source_code.parsed(path)) if isinstance(node, ast.Call)]
    loads = [call for call in calls if ast.unparse(call.func) == "params.load"]
    assert all(ast.literal_eval(call.args[0]) == "params.yaml" for call in loads)
    return {ast.literal_eval(call.args[1]): ast.unparse(call.args[2]) for call in loads}


def overlap(path: str, other: str) -> bool:
    """Return whether two paths are equal or one is inside of the other."""
    first, second = pathlib.PurePath(path), pathlib.PurePath(other)
    return first.is_relative_to(second) or second.is_relative_to(first)


def readers(path: str) -> set[str]:
    return {name for name, stage in STAGES.items() if any(overlap(dep, path) for dep in stage.data)}


def test_every_file_of_stages_is_in_dvc_yaml_and_runs_as_a_module():
    paths = [path.relative_to(dag.ROOT) for path in source_code.modules("stages") if path.name != "__init__.py"]
    assert {stage.module for stage in STAGES.values()} == {".".join(path.with_suffix("").parts) for path in paths}
    for stage in STAGES.values():
        assert stage.words[:2] == ["python", "-m"]
        name = stage.name.partition("@")[0]
        assert stage.module.rpartition(".")[2] == NAMED.get(name, name)


def test_the_main_pipeline_does_not_depend_on_optional_ones():
    main = dag.stages()
    assert all(stage.module.count(".") == 1 for stage in main.values())
    outs = [out for name, stage in STAGES.items() if name not in main for out in stage.outs]
    assert outs and not [dep for stage in main.values() for dep in stage.data for out in outs if overlap(dep, out)]


@pytest.mark.parametrize("file", dag.OPTIONAL)
def test_optional_pipelines_run_from_the_repositorys_folder(file):
    document = yaml.safe_load((dag.ROOT / file).read_text())
    up = os.path.relpath(dag.ROOT, (dag.ROOT / file).parent)
    assert document["vars"] == [f"{up}/params.yaml"]
    assert {stage["wdir"] for stage in document["stages"].values()} == {up}


@stages
def test_code_dependencies_are_the_transitive_imports(stage):
    imported = imported_files(stage.module)
    if stage.module.rpartition(".")[2] in DEAR:
        assert sorted(stage.code) == sorted(imported)
    else:
        covering = {path: [dep for dep in stage.code if overlap(path, dep)] for path in imported}
        assert {path: deps for path, deps in covering.items() if len(deps) != 1} == {}
        assert {dep for deps in covering.values() for dep in deps} == set(stage.code)


def test_the_workbench_is_no_dependency():
    assert not [dep for stage in STAGES.values() for dep in stage.code if dep in ("zeroshot", "zeroshot/base")]


@stages
def test_params_are_the_sections_that_the_stage_loads(stage):
    loaded = sections_loaded(source_code.source(stage.module))
    assert sorted(stage.params) == sorted(section for section in loaded if section != "runtime")
    for section, name in loaded.items():
        cls = dag.sections()[section]
        assert name == f"{cls.__module__.rpartition('.')[2]}.{cls.__name__}"


def test_each_section_is_tracked_by_one_stage_and_runtime_by_none():
    """A stage counts once, even if it runs for each item of a matrix or in an optional pipeline too."""
    tracked = [section for section, _ in {(s, stage.module) for stage in STAGES.values() for s in stage.params}]
    assert sorted([*tracked, "runtime"]) == sorted(SECTIONS)
    assert "runtime" in {
        section for stage in STAGES.values() for section in sections_loaded(source_code.source(stage.module))
    }


@stages
def test_paths_on_the_command_line_are_the_data_and_the_outs(stage):
    assert not [word for word in stage.argv if word.startswith("-") and (not word.startswith("--") or "=" in word)]
    images = [ROOT_OF_DATA] if stage.listed else []
    assert sorted(stage.paths) == sorted({*stage.data, *images, *stage.outs})
    assert all(pathlib.PurePath(path).parts and not os.path.isabs(path) for path in stage.paths)


def test_paths_that_users_choose_may_have_spaces():
    settings = yaml.safe_load((dag.ROOT / "params.yaml").read_text())
    chosen = [("data", "root"), ("embeddings", "path"), ("backbone", "weights")]
    for section, key in chosen:
        settings[section][key] = f"my {section}/of today"
    stages = dag.stages(settings, (dag.MAIN, *dag.OPTIONAL)).values()
    for stage in stages:
        images = [settings["data"]["root"]] if stage.listed else []
        assert sorted(stage.paths) == sorted({*stage.data, *images, *stage.outs})
    assert {f"my {section}/of today" for section, _ in chosen} <= {path for stage in stages for path in stage.paths}


def test_the_expensive_stages_depend_on_the_checksums_of_their_images_and_not_on_the_whole_data_set():
    main = dag.stages()
    assert main["train_backbone"].listed == ["data/training.json"] and main["dump_features"].listed == [
        "data/images.json"
    ]
    for name in ("train_backbone", "dump_features"):
        assert not {"data/split.json", ROOT_OF_DATA} & set(main[name].deps)


@stages
def test_data_dependencies_come_from_other_stages_or_from_the_repository(stage):
    outs = [out for other in STAGES.values() if other is not stage for out in other.outs]
    for path in stage.data:
        made = any(pathlib.PurePath(path).is_relative_to(out) for out in outs)
        assert made or (dag.ROOT / path).exists() and not any(overlap(path, out) for out in outs), path


def test_no_two_outs_overlap():
    outs = [out for stage in STAGES.values() for out in stage.outs]
    assert not [(a, b) for i, a in enumerate(outs) for b in outs[:i] if overlap(a, b)]


@stages
def test_desc_is_the_first_sentence_of_the_docstring(stage):
    tree = source_code.parsed(source_code.source(stage.module))
    (main,) = (node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "main")
    assert ast.get_docstring(tree) == stage.desc == ast.get_docstring(main).splitlines()[0]


@stages
def test_help_describes_every_argument(stage):
    """Each parameter of `main` has an entry under Args, which is its help on the command line."""
    (main,) = (
        node
        for node in source_code.parsed(source_code.source(stage.module)).body
        if isinstance(node, ast.FunctionDef) and node.name == "main"
    )
    described = re.findall(r"(?m)^    (\w+): \S", ast.get_docstring(main).partition("Args:\n")[2])
    assert described == [argument.arg for argument in main.args.kwonlyargs]


def test_the_network_depends_on_no_vectors_of_unseen_classes():
    """Without the semantic loss it depends on no vectors; with it, on a file of seen classes only."""
    settings = yaml.safe_load((dag.ROOT / "params.yaml").read_text())
    vectors = {out for out in STAGES["embed_classes"].outs if out.startswith("data/")}
    assert not vectors & set(STAGES["train_backbone"].data)
    settings["backbone"]["semantic"]["vectors"] = "data/seen_embeddings.h5"
    tied = dag.stages(settings)["train_backbone"]
    assert vectors & set(tied.data) == {"data/seen_embeddings.h5"} and "data/seen_embeddings.h5" in tied.paths


def test_only_evaluation_depends_on_labels_of_unseen_classes():
    """docs/protocol.md: the protocol is in the data flow."""
    assert readers("data/labels") == {"prepare_split"}
    evaluations = {name for name in STAGES if name.startswith("evaluate@")} | {"visualise"}
    networks = {"devise_network", "zs5net_network"}
    assert readers("data/masks/val") == {"dump_features", *(f"dump_features@{name}" for name in networks)}
    training = {"train_backbone", "train_devise_network", "self_train_network"}
    assert readers("data/masks/train") == {"dump_features", *training}
    assert set().union(*(readers(f"features/{name}") for name in ("val", *networks))) == evaluations
    baselines = {f"train_baseline@{method}" for method in ("devise", "ale", "spnet")}
    assert readers("features/train") == {
        "train_gmmn",
        "finetune_classifier",
        "self_train",
        "feature_oracle",
        "zs3net",
        "zs5net",
        *baselines,
    }
    assert readers("features/unlabelled") == {"pseudo_label", "report_pseudo_labels", "self_train", "feature_oracle"}
    summaries = {*NAMED, "summarise"}
    assert readers("metrics") == summaries and readers("plots") == set()
    assert not any(readers(out) - summaries for name in summaries for out in STAGES[name].outs)


def test_labels_of_unlabelled_images_reach_only_metrics():
    """The feature oracle, an upper bound, reads them; only its evaluation may depend on its output."""
    assert readers("data/masks/unlabelled") == {"feature_oracle", "report_pseudo_labels"}
    assert [readers(out) for out in STAGES["report_pseudo_labels"].outs] == [set(), set()]
    written = STAGES["feature_oracle"].outs
    assert set().union(*map(readers, written)) == {"evaluate@feature_oracle"}
    assert set().union(*map(readers, STAGES["evaluate@feature_oracle"].outs)) == {"summarise"}
    assert set().union(*map(readers, STAGES["summarise"].outs)) == set()


def test_the_summary_is_the_only_metric_and_has_every_model_of_the_matrix():
    """More metrics would make `dvc exp show` wider than a terminal."""
    documents = [yaml.safe_load((dag.ROOT / file).read_text()) for file in (dag.MAIN, *dag.OPTIONAL)]
    metrics = [
        out for document in documents for stage in document["stages"].values() for out in stage.get("metrics", [])
    ]
    assert metrics == [{"metrics/summary.json": {"cache": False}}]
    models = documents[0]["stages"]["evaluate"]["matrix"]["model"]
    assert STAGES["summarise"].data == ["data/split.json", *(f"metrics/{model}.json" for model in models)]


def test_stages_that_open_the_dataset():
    settings = yaml.safe_load((dag.ROOT / "params.yaml").read_text())
    corpus = settings["embeddings"]["path"]
    readers_of_data = {
        name
        for name, stage in STAGES.items()
        if any(overlap(dep, settings["data"]["root"]) for dep in stage.data if dep != corpus)
    }
    assert {STAGES[name].module.rpartition(".")[2] for name in readers_of_data} == {
        "convert_labels",
        "prepare_split",
        "train_devise_network",
        "self_train_network",
        "visualise",
    }


def test_dvc_is_configured():
    config = configparser.ConfigParser()
    config.read(dag.ROOT / ".dvc" / "config")
    assert config["core"]["analytics"] == "false"
    assert config["core"]["autostage"] == "true"
    assert config["cache"]["type"].strip('"') == "reflink,hardlink,symlink"


def test_ci_runs_make_test():
    script = dag.ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert "make test" in script.read_text().splitlines()

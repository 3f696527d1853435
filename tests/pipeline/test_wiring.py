"""dvc.yaml and the pipelines beside it agree with every stage: its code, parameters, paths and description."""

import ast
import configparser
import os
import pathlib
import re
import typing

import pytest

from tests.support import dag, source_code
from zeroshot.experiments import schema
from zeroshot.zsi import scoring as scoring_names

STAGES = dag.stages(files=dag.ALL)
SZN_STAGES = {name: stage for name, stage in STAGES.items() if stage.file == dag.SZN}
ZSI_STAGES = {name: stage for name, stage in STAGES.items() if stage.file == dag.ZSI}
# Stages with another name than their module: that of what they make, which people type, or of what they make it for.
PACKED = dict.fromkeys(("zs3net", "zs5net", "baselines"), "pack_models") | dict.fromkeys(
    ("szn/szn", "szn/fcn_je"), "pack"
)
NAMED = PACKED | {
    **{f"szn/{name}_softmax": name for name in ("dump", "evaluate")},
    **{f"szn/cut_{head}": "cut_head" for head in ("embedding", "softmax")},
    "szn/train_softmax": "train_embedding",
    "zsi/train_generator": "train_gmmn",
    "zsi/train_last_layer": "finetune_classifier",
    "zsi/train_head": "train_baseline",
    "zsi/evaluate_regions": "evaluate",
    "zsi/pack_regions": "pack",
}
ROOT_OF_DATA = dag.document(dag.PARAMS)["data"]["root"]
stages = pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES)


# These stages are expensive, so they depend on single files. Cheap stages depend on folders.
DEAR = {"train_backbone", "dump_features", "train_devise_network", "self_train_network", "train_embedding", "dump"} | {
    "train_detector",
    "dump_regions",
}


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


def sections_loaded(stage: dag.Stage) -> dict[str, str]:
    """Return the sections that a stage loads by `params.load("params.yaml", "section", module.Params)`, and the full name of the class.

    The names of the sections are those of `dag.Stage.params`. A stage of several pipelines has the file from its flag `--params-path`.
    """
    tree = source_code.parsed(source_code.source(stage.module))
    flags = dict(zip(stage.argv[::2], stage.argv[1::2], strict=False))
    modules = {
        alias.asname or alias.name: f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    loads = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "params.load"]
    loaded = {}
    for call in loads:
        section = ast.literal_eval(call.args[1])
        if ast.unparse(call.args[0]) == "params_path":
            file = flags.get("--params-path", dag.PARAMS)
        else:
            file = ast.literal_eval(call.args[0])
        module, _, name = ast.unparse(call.args[2]).rpartition(".")
        loaded[section if file == dag.PARAMS else f"{file}:{section}"] = f"{modules[module]}.{name}"
    return loaded


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
        assert stage.module.rpartition(".")[2] == NAMED.get(name, name.rpartition("/")[2])


def test_the_main_pipeline_does_not_depend_on_optional_ones():
    main = dag.stages()
    assert all(stage.module.count(".") == 1 for stage in main.values())
    for file in dag.OPTIONAL:
        outs = [out for stage in STAGES.values() if stage.file == file for out in stage.outs]
        others = [stage for stage in STAGES.values() if stage.file != file]
        assert outs and not [dep for stage in others for dep in stage.data for out in outs if overlap(dep, out)]


@pytest.mark.parametrize("file", dag.OPTIONAL)
def test_optional_pipelines_run_from_the_repositorys_folder(file):
    document = dag.document(file)
    up = os.path.relpath(dag.ROOT, (dag.ROOT / file).parent)
    # With a params.yaml of its own, a pipeline takes the data set alone from that of the main one, or nothing.
    expected = {dag.SZN: [f"{up}/params.yaml:data"], dag.ZSI: []}
    assert document.get("vars", []) == expected.get(file, [f"{up}/params.yaml"])
    assert {stage["wdir"] for stage in document["stages"].values()} == {up}


def test_the_main_pipeline_gives_szn_its_data_set_and_nothing_that_depends_on_its_roles():
    main = {out for stage in dag.stages().values() for out in stage.outs}
    read = {dep for stage in SZN_STAGES.values() for dep in stage.data if any(overlap(dep, out) for out in main)}
    settings = dag.document(dag.SZN_PARAMS)
    assert read == {ROOT_OF_DATA, "data/labels", settings["embeddings"]["path"]}
    folders = ("data/szn/", "features/szn/", "models/szn/", "metrics/szn/", "plots/szn/")
    assert all(out.startswith(folders) for stage in SZN_STAGES.values() for out in stage.outs)


def test_zsi_reads_nothing_of_the_main_pipeline_and_writes_to_folders_of_its_own():
    others = [out for stage in STAGES.values() if stage.file != dag.ZSI for out in stage.outs]
    assert not [dep for stage in ZSI_STAGES.values() for dep in stage.data for out in others if overlap(dep, out)]
    folders = ("data/zsi/", "features/zsi/", "models/zsi/", "metrics/zsi/", "plots/zsi/")
    outs = [out for stage in ZSI_STAGES.values() for out in stage.outs]
    assert [out for out in outs if not out.startswith(folders)] == ["data/shapes"]


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
    loaded = sections_loaded(stage)
    assert sorted(stage.params) == sorted(section for section in loaded if section != "runtime")
    for section, name in loaded.items():
        path, _, key = section.rpartition(":")
        cls = schema.FILES[path or dag.PARAMS][key]
        assert name == f"{cls.__module__}.{cls.__name__}"


def test_each_section_is_tracked_by_one_stage_and_runtime_by_none():
    """A stage counts once, even if it runs for each item of a matrix or in an optional pipeline too."""

    def tracked(stages) -> list[str]:
        return sorted(section for section, _ in {(s, stage.module) for stage in stages for s in stage.params})

    main = [stage for stage in STAGES.values() if stage.file not in (dag.SZN, dag.ZSI)]
    assert sorted([*tracked(main), "runtime"]) == sorted(dag.document(dag.PARAMS))
    # SZN has some sections in common with the main pipeline; each of those too is tracked by one stage.
    own = [f"{dag.SZN_PARAMS}:{section}" for section in dag.document(dag.SZN_PARAMS)]
    assert tracked(SZN_STAGES.values()) == sorted([*own, "data", "evaluation", "visualise"])
    # Images and the cache of regions give detections by the same rules, which a model file has too.
    of_zsi = [f"{dag.ZSI_PARAMS}:{key}" for key in dag.document(dag.ZSI_PARAMS)]
    again = [f"{dag.ZSI_PARAMS}:{key}" for key in ("detection", "detection", "regions")]
    assert tracked(ZSI_STAGES.values()) == sorted([*of_zsi, *again])
    for stages in (main, SZN_STAGES.values(), ZSI_STAGES.values()):
        assert "runtime" in {section for one in stages for section in sections_loaded(one)}


@stages
def test_paths_on_the_command_line_are_the_data_and_the_outs(stage):
    assert not [word for word in stage.argv if word.startswith("-") and (not word.startswith("--") or "=" in word)]
    images = [ROOT_OF_DATA] if stage.listed else []
    assert sorted(stage.paths) == sorted({*stage.data, *images, *stage.outs})
    assert all(pathlib.PurePath(path).parts and not os.path.isabs(path) for path in stage.paths)


def test_paths_that_users_choose_may_have_spaces():
    settings, szn, zsi = map(dag.document, (dag.PARAMS, dag.SZN_PARAMS, dag.ZSI_PARAMS))
    chosen = [(settings, "data", "root"), (settings, "embeddings", "path"), (settings, "backbone", "weights")]
    chosen += [
        (szn, "embeddings", "path"),
        (szn, "network", "weights"),
        (zsi, "embeddings", "path"),
        (zsi, "detector", "weights"),
    ]
    chosen += [(zsi, "data", key) for key in ("annotations", "train_images", "val_images")]
    for number, (document, section, key) in enumerate(chosen):
        document[section][key] = f"my {section}/of day {number}"
    stages = dag.stages(settings, dag.ALL, szn, zsi).values()
    for stage in stages:
        images = [settings["data"]["root"]] if stage.listed else []
        assert sorted(stage.paths) == sorted({*stage.data, *images, *stage.outs})
    paths = {path for stage in stages for path in stage.paths}
    assert {document[section][key] for document, section, key in chosen} <= paths


def test_the_expensive_stages_depend_on_the_checksums_of_their_images_and_not_on_the_whole_data_set():
    listed = {"train_backbone": "data/training.json", "dump_features": "data/images.json"}
    listed |= dict.fromkeys(("szn/train_embedding", "szn/train_softmax"), "data/szn/training.json")
    listed |= dict.fromkeys(("szn/dump", "szn/dump_softmax"), "data/szn/images.json")
    for name, path in listed.items():
        assert STAGES[name].listed == [path]
        assert not {"data/split.json", "data/szn/split.json", ROOT_OF_DATA} & set(STAGES[name].deps)


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
    settings = dag.document(dag.PARAMS)
    vectors = {out for out in STAGES["embed_classes"].outs if out.startswith("data/")}
    assert not vectors & set(STAGES["train_backbone"].data)
    settings["backbone"]["semantic"]["vectors"] = "data/seen_embeddings.h5"
    tied = dag.stages(settings)["train_backbone"]
    assert vectors & set(tied.data) == {"data/seen_embeddings.h5"} and "data/seen_embeddings.h5" in tied.paths


def test_only_evaluation_depends_on_labels_of_unseen_classes():
    """docs/protocol.md: the protocol is in the data flow."""
    assert readers("data/labels") == {"prepare_split", "szn/split"}
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
    summaries = {*PACKED, "summarise"} | {name for name in ZSI_STAGES if name.startswith("zsi/pack")}
    assert readers("metrics") == summaries | {"szn/summarise", "zsi/summarise"} and readers("plots") == set()
    assert not any(readers(out) - summaries for name in summaries for out in STAGES[name].outs)


def test_of_szn_too_only_evaluation_depends_on_labels_of_unseen_classes():
    networks = {"szn/train_embedding", "szn/train_softmax"}
    dumps = {"szn/dump", "szn/dump_softmax"}
    assert readers("data/szn/masks/val") == dumps
    assert readers("data/szn/masks/train") == {*networks, "szn/dump"}
    assert readers("data/szn/training.json") == networks
    variants = {f"szn/evaluate@{variant}" for variant in ("fcn_je", "szn", "szn_ps")}
    assert readers("features/szn/train") == {"szn/calibrate", "szn/train_seenmask"}
    assert readers("features/szn/val") == {*variants, "szn/pictures"}
    assert readers("features/szn/softmax_val") == {"szn/evaluate_softmax", "szn/pictures"}
    packed = {"szn/szn", "szn/fcn_je"}
    assert readers("metrics/szn") == {"szn/summarise", *packed} and readers("plots/szn") == set()
    reports = {*variants, "szn/evaluate_softmax", "szn/pictures", "szn/summarise"}
    assert {name for report in reports for out in STAGES[report].outs for name in readers(out)} == {
        "szn/summarise",
        *packed,
    }
    assert not any(readers(out) for name in packed for out in STAGES[name].outs)


def test_the_network_of_szn_reads_class_vectors_and_the_one_with_softmax_does_not():
    vectors = set(STAGES["szn/embed"].outs)
    assert vectors & set(STAGES["szn/train_embedding"].data) == {"data/szn/class_embeddings.h5"}
    assert not vectors & set(STAGES["szn/train_softmax"].data)


def test_of_zsi_only_the_preparation_reads_annotations_with_unseen_classes():
    """Training reads data/zsi/train.json, which no annotation of an unseen class changes; data/zsi/val.json is for evaluation alone."""
    assert readers("data/shapes/instances_train.json") == readers("data/shapes/instances_val.json") == {"zsi/prepare"}
    scored = {name for name in ZSI_STAGES if name.startswith("zsi/evaluate")}
    assert readers("data/zsi/val.json") == scored | {"zsi/pictures"}
    assert readers("data/zsi/val_images.json") == {"zsi/detect", "zsi/cut_detector", "zsi/dump_regions"}


def test_labels_of_unlabelled_images_reach_only_metrics():
    """The feature oracle, an upper bound, reads them; only its evaluation may depend on its output."""
    assert readers("data/masks/unlabelled") == {"feature_oracle", "report_pseudo_labels"}
    assert [readers(out) for out in STAGES["report_pseudo_labels"].outs] == [set(), set()]
    written = STAGES["feature_oracle"].outs
    assert set().union(*map(readers, written)) == {"evaluate@feature_oracle"}
    assert set().union(*map(readers, STAGES["evaluate@feature_oracle"].outs)) == {"summarise"}
    assert set().union(*map(readers, STAGES["summarise"].outs)) == set()


def test_the_summary_is_the_only_metric_of_a_pipeline_and_has_every_model():
    """More metrics would make `dvc exp show` wider than a terminal."""
    metrics = {
        file: [out for stage in dag.document(file)["stages"].values() for out in stage.get("metrics", [])]
        for file in dag.ALL
    }
    assert metrics.pop("whole_network/dvc.yaml") == []
    assert metrics == {
        dag.MAIN: [{"metrics/summary.json": {"cache": False}}],
        dag.SZN: [{"metrics/szn/summary.json": {"cache": False}}],
        dag.ZSI: [{"metrics/zsi/summary.json": {"cache": False}}],
    }
    models = dag.document(dag.MAIN)["stages"]["evaluate"]["matrix"]["model"]
    assert STAGES["summarise"].data == ["data/split.json", *(f"metrics/{model}.json" for model in models)]
    written = [f"metrics/szn/{name}.json" for name in ("fcn_s", "fcn_je", "szn", "szn_ps")]
    assert STAGES["szn/summarise"].data == ["data/szn/split.json", *written]
    assert all(any(path in stage.outs for stage in SZN_STAGES.values()) for path in written)
    document = dag.document(dag.ZSI)["stages"]
    scorings, heads = document["evaluate"]["matrix"]["scoring"], document["evaluate_regions"]["matrix"]["head"]
    assert STAGES["zsi/summarise"].data == [f"metrics/zsi/{name}.json" for name in (*scorings, *heads)]
    assert scorings == list(typing.get_args(scoring_names.Scoring))
    assert heads == document["detect_regions"]["matrix"]["head"]


def test_a_variant_of_szn_is_scored_with_its_own_model():
    for name in ("fcn_s", "fcn_je", "szn", "szn_ps"):
        stage = STAGES["szn/evaluate_softmax" if name == "fcn_s" else f"szn/evaluate@{name}"]
        flags = dict(zip(stage.argv[::2], stage.argv[1::2], strict=True))
        assert flags["--variant"] == name and flags["--model-path"] == f"models/szn/classifiers/{name}.pt"
        assert flags["--metrics-path"] == f"metrics/szn/{name}.json"


def test_stages_that_open_the_dataset():
    corpora = {dag.document(file)["embeddings"]["path"] for file in (dag.PARAMS, dag.SZN_PARAMS)}
    readers_of_data = {
        name
        for name, stage in STAGES.items()
        if any(overlap(dep, ROOT_OF_DATA) for dep in stage.data if dep not in corpora)
    }
    assert {STAGES[name].module.removeprefix("stages.") for name in readers_of_data} == {
        "convert_labels",
        "prepare_split",
        "whole_network.train_devise_network",
        "whole_network.self_train_network",
        "visualise",
        "szn.split",
        "szn.pictures",
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


def test_a_remote_has_the_networks_and_caches_with_all_outputs_of_their_stages():
    """`dvc push --run-cache` leaves out what is not in DVC's cache, and then a colleague trains the network again."""
    found = set()
    for file in dag.ALL:
        for name, stage in dag.document(file)["stages"].items():
            module = stage["cmd"].split()[2].rpartition(".")[2]
            if module in DEAR:
                found.add(module)
                outs = [out for kind in ("outs", "plots", "metrics") for out in stage.get(kind, [])]
                settings = [out for entry in outs if isinstance(entry, dict) for out in entry.values()]
                assert outs and all(entry.get("cache", True) for entry in settings), name
    assert found == DEAR

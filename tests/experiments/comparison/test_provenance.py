"""The origin of a metrics file, computed from entries like those of dvc.lock."""

import copy
import hashlib

import pytest

from zeroshot.experiments.comparison import catalogue, collect, dvc_experiments, provenance, run_list

STAGES = {
    "split": {
        "deps": [{"path": "stages/split.py", "md5": "p"}],
        "params": {"params.yaml": {"data": {"k": 2}}},
        "outs": [{"path": "data/masks", "md5": "m"}],
    },
    "train": {
        "deps": [{"path": "data/masks/train", "md5": "t"}, {"path": "stages/train.py", "md5": "q"}],
        "params": {"params.yaml": {"backbone.seed": 1}},
        "outs": [{"path": "models/a.pt", "md5": "a"}],
    },
    "evaluate@a": {
        "deps": [{"path": "models/a.pt", "md5": "a"}],
        "outs": [{"path": "metrics/a.json", "md5": "j"}],
    },
    "elsewhere": {
        "deps": [{"path": "stages/other.py", "md5": "o"}],
        "params": {"params.yaml": {"other": {"x": 1}}},
        "outs": [{"path": "models/b.pt", "md5": "b"}],
    },
}


def test_origin_has_parameters_and_code_of_all_stages_up_to_the_file():
    assert provenance.origin(list(STAGES.values()), "metrics/a.json") == provenance.Origin(
        params={"data": {"k": 2}, "backbone.seed": 1}, code={("stages/split.py", "p"), ("stages/train.py", "q")}
    )


@pytest.mark.parametrize("path", ["metrics/b.json", "metrics/a"])
def test_a_file_that_no_stage_wrote_has_no_origin(path):
    assert provenance.origin(list(STAGES.values()), path) is None
    assert provenance.origin([], path) is None


def test_metrics_older_than_their_model_have_no_origin():
    stages = copy.deepcopy(STAGES)
    stages["train"]["outs"][0]["md5"] = "newer"
    assert provenance.origin(list(stages.values()), "metrics/a.json") is None


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"data": {"k": 2}, "backbone": {"seed": 1, "lr": 3}, "other": {"x": 7}}, True),
        ({"data": {"k": 2}, "backbone": {"seed": 2}}, False),
        ({"data": {"k": 2, "new": None}, "backbone": {"seed": 1}}, False),
        ({"data": {"k": 2}, "backbone": {}}, False),
        ({"backbone": {"seed": 1}}, False),
    ],
)
def test_all_parameters_of_the_origin_must_match(params, expected):
    origin = provenance.origin(list(STAGES.values()), "metrics/a.json")
    assert provenance.matches(origin.params, {"params.yaml": params}) is expected


def test_code_with_two_versions_has_two_entries():
    stages = copy.deepcopy(STAGES)
    stages["evaluate@a"]["deps"].append({"path": "stages/split.py", "md5": "older"})
    assert {("stages/split.py", "p"), ("stages/split.py", "older")} <= provenance.origin(
        list(stages.values()), "metrics/a.json"
    ).code


def test_unchanged_code_then_equal_parameters_then_the_newest_run_is_preferred(tmp_path):
    methods = {"A": catalogue.Method("a", "generalised", {}, None, False, ".")}
    cell = run_list.Cell(
        "A", 2, 0, None, {"params.yaml": {"data": {"k": 2}, "backbone": {"seed": 1}, "other": {"x": 1}}}
    )
    for name, digest_of in (("split", "p"), ("train", "q")):
        path = tmp_path / f"stages/{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(digest_of)

    def experiment(name, other, code):
        stages = copy.deepcopy(STAGES)
        stages["elsewhere"]["params"]["params.yaml"]["other"]["x"] = other
        for stage, text in (("split", "p"), ("train", code)):
            stages[stage]["deps"][-1]["md5"] = hashlib.md5(text.encode()).hexdigest()
        scored = {"metrics/a.json": {"generalised": {}}}
        return dvc_experiments.Experiment(name, name, "0" * 40, "", "done", scored, list(stages.values()))

    def chosen(*experiments):
        (result,) = collect.results(tmp_path, [cell], methods, experiments).values()
        return result.experiment.name

    exact, near, old = experiment("exact", 1, "q"), experiment("near", 2, "q"), experiment("old", 1, "before")
    assert chosen(exact, near, old) == chosen(near, old, exact) == "exact"
    assert chosen(near, old) == chosen(old, near) == "near"
    assert chosen(exact, experiment("newer", 1, "q"), near) == "newer"

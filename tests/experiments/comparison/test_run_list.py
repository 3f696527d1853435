"""The runs that a comparison needs."""

import pytest

from tests.support import comparison_repo
from zeroshot.base import errors, params
from zeroshot.experiments.comparison import catalogue, launch, run_list

METHODS = {name: params.build(entry, catalogue.Method, name) for name, entry in comparison_repo.METHODS.items()}
SPLITS = {2: {"data.unseen": ["a", "b"]}, 3: {"data.unseen": ["a", "b", "c"]}}


def comparison(**changes):
    return params.build(comparison_repo.COMPARISON | {"splits": SPLITS} | changes, catalogue.Comparison, "tiny")


def runs(chosen, base=comparison_repo.FILES, **keys):
    return run_list.runs("tiny", run_list.cells(chosen, METHODS, base), METHODS, keys)


def test_methods_with_equal_parameters_share_a_run():
    selected = runs(comparison())
    filled = [{(cell.method, cell.k, cell.seed) for cell in run.cells} for run in selected]
    for seed in (0, 1):
        # A run without unseen classes is the same at every K.
        assert {("Supervised", 2, seed), ("Supervised", 3, seed)} in filled
        for k in (2, 3):
            assert {("ZS3Net", k, seed), ("DeViSE", k, seed)} in filled
            assert {("GAN", k, seed)} in filled
    assert len(selected) == 2 * (1 + 2 * 2)


def test_cells_share_a_run_if_their_metrics_do_not_depend_on_the_difference():
    seeded = comparison(seeds=[0, 1, 2], fixed_seeds=["backbone"], splits={2: {"data.unseen": ["a"]}})
    keys = {"seen_only": {"data", "backbone"}, "zs3net": {"data", "backbone", "gmmn"}}
    selected = runs(seeded, **keys)
    names = [run.name[:-7] for run in selected]
    assert [name for name in names if "supervised" in name] == ["tiny-k2-s0-supervised"]
    assert len(names) == 1 + 2 * 3
    (once,) = [run for run in selected if "supervised" in run.name]
    assert [(cell.method, cell.seed) for cell in once.cells] == [("Supervised", seed) for seed in (0, 1, 2)]
    assert once.matches(["Supervised"], None, [2])
    # If the metrics depend on a seed, or nothing is known, there is one run for each seed.
    other = comparison(seeds=[0, 1], splits={2: {"data.unseen": ["a"]}})
    for chosen, known in ((other, keys), (seeded, {})):
        assert sum("supervised" in run.name for run in runs(chosen, **known)) == len(chosen.seeds)


def test_every_seed_is_set_except_in_fixed_sections():
    seeds = {
        (run.params["params.yaml"]["backbone"]["seed"], run.params["params.yaml"]["gmmn"]["seed"])
        for run in runs(comparison(seeds=[3, 4], fixed_seeds=["backbone"]))
    }
    assert seeds == {(0, 3), (0, 4)}


def test_runs_of_one_backbone_are_consecutive():
    settings = [
        (content["backbone"]["seed"], len(content["data"]["unseen"]))
        for content in (run.params["params.yaml"] for run in runs(comparison()))
        if content["data"]["unseen"]
    ]
    assert settings == sorted(settings, key=lambda pair: (pair[1], pair[0]))


def test_names_are_valid_for_branches_and_differ_with_the_parameters():
    names = [run.name for run in runs(comparison())]
    assert [name[:-7] for name in names[:3]] == ["tiny-any-k-s0-supervised", "tiny-k2-s0-defaults", "tiny-k2-s0-gan"]
    other = [
        run.name for run in runs(comparison(), {"params.yaml": comparison_repo.BASE | {"evaluation": {"size": "half"}}})
    ]
    assert len({*names, *other}) == len(names) + len(other)


def test_the_sweep_adds_a_run_for_each_value_except_the_default():
    swept = comparison(sweep={"methods": ["GAN"], "k": 2, "parameter": "gmmn.seed", "values": [0.0, 7]})
    extra = {run.name[:-7] for run in runs(swept)} - {run.name[:-7] for run in runs(comparison())}
    assert extra == {"tiny-k2-s0-gan-at-7", "tiny-k2-s1-gan-at-0", "tiny-k2-s1-gan-at-7"}


def test_a_missing_key_is_recorded_for_a_method_and_refused_for_a_split():
    missing_keys = {
        cell.missing_keys
        for cell in run_list.cells(comparison(), METHODS, comparison_repo.FILES)
        if cell.method == "Later"
    }
    assert missing_keys == {("later.key",)}
    with pytest.raises(errors.UserError, match=r"^preset toy: has no key data.n_unseen, which the tables set$"):
        runs(comparison(splits={2: {"data.n_unseen": 2}}))


def test_runs_are_selected_by_method_k_and_seed():
    selected = [run for run in runs(comparison()) if run.matches(["GAN"], [3], None)]
    assert [run.name[:-7] for run in selected] == ["tiny-k3-s0-gan", "tiny-k3-s1-gan"]
    assert [run.name[:-7] for run in selected if run.matches(None, None, [1])] == ["tiny-k3-s1-gan"]


def test_methods_of_another_pipeline_have_separate_runs():
    other = params.build(comparison_repo.METHODS["DeViSE"] | {"target": "other/dvc.yaml"}, catalogue.Method, "DeViSE")
    methods = METHODS | {"DeViSE": other}
    cells = run_list.cells(comparison(seeds=[0], splits={2: {"data.unseen": ["a"]}}), methods, comparison_repo.FILES)
    selected = run_list.runs("tiny", cells, methods, {})
    assert [(run.target, [cell.method for cell in run.cells]) for run in selected] == [
        (None, ["Supervised"]),
        (None, ["ZS3Net"]),
        (None, ["GAN"]),
        ("other/dvc.yaml", ["DeViSE"]),
    ]
    assert len({run.name for run in selected}) == 4
    assert launch.command(selected[3], selected[3].params)[3:] == ["--queue", "-n", selected[3].name, "other/dvc.yaml"]


def test_a_k_may_have_more_seeds():
    chosen = comparison(
        splits={2: {"data.unseen": ["a"]}, 3: {"data.unseen": ["b"]}}, seeds=[0], more_seeds={3: [5, 6]}
    )
    assert [
        (cell.k, cell.seed) for cell in run_list.cells(chosen, METHODS, comparison_repo.FILES) if cell.method == "GAN"
    ] == [
        (2, 0),
        (3, 0),
        (3, 5),
        (3, 6),
    ]
    assert chosen.all_seeds == [0, 5, 6]

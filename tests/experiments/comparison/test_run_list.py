"""Which runs a comparison needs."""

import pytest

from tests.support import comparison_repo
from zeroshot.base import errors, params
from zeroshot.experiments.comparison import catalogue, launch, run_list

METHODS = {name: params.build(entry, catalogue.Method, name) for name, entry in comparison_repo.METHODS.items()}
SPLITS = {2: {"data.unseen": ["a", "b"]}, 3: {"data.unseen": ["a", "b", "c"]}}


def comparison(**changes):
    return params.build(comparison_repo.COMPARISON | {"splits": SPLITS} | changes, catalogue.Comparison, "tiny")


def runs(chosen, base=comparison_repo.BASE, **keys):
    return run_list.runs("tiny", run_list.cells(chosen, METHODS, base), METHODS, keys)


def test_methods_with_equal_parameters_share_a_run():
    found = runs(comparison())
    filled = [{(cell.method, cell.k, cell.seed) for cell in run.cells} for run in found]
    for seed in (0, 1):
        # Without unseen classes a run is the same whatever K.
        assert {("Supervised", 2, seed), ("Supervised", 3, seed)} in filled
        for k in (2, 3):
            assert {("ZS3Net", k, seed), ("DeViSE", k, seed)} in filled
            assert {("GAN", k, seed)} in filled
    assert len(found) == 2 * (1 + 2 * 2)


def test_what_a_figure_does_not_depend_on_makes_no_run_of_its_own():
    seeded = comparison(seeds=[0, 1, 2], fixed_seeds=["backbone"], splits={2: {"data.unseen": ["a"]}})
    keys = {"seen_only": {"data", "backbone"}, "zs3net": {"data", "backbone", "gmmn"}}
    found = runs(seeded, **keys)
    names = [run.name[:-7] for run in found]
    assert [name for name in names if "supervised" in name] == ["tiny-k2-s0-supervised"]
    assert len(names) == 1 + 2 * 3
    (once,) = [run for run in found if "supervised" in run.name]
    assert [(cell.method, cell.seed) for cell in once.cells] == [("Supervised", seed) for seed in (0, 1, 2)]
    assert once.serves(["Supervised"], None, [2])
    # Where it does depend on a seed, or nothing is known, each seed is a run.
    other = comparison(seeds=[0, 1], splits={2: {"data.unseen": ["a"]}})
    for chosen, known in ((other, keys), (seeded, {})):
        assert sum("supervised" in run.name for run in runs(chosen, **known)) == len(chosen.seeds)


def test_every_seed_is_set_but_those_of_fixed_sections():
    found = {
        (run.params["backbone"]["seed"], run.params["gmmn"]["seed"])
        for run in runs(comparison(seeds=[3, 4], fixed_seeds=["backbone"]))
    }
    assert found == {(0, 3), (0, 4)}


def test_runs_of_one_backbone_follow_each_other():
    found = [
        (run.params["backbone"]["seed"], len(run.params["data"]["unseen"]))
        for run in runs(comparison())
        if run.params["data"]["unseen"]
    ]
    assert found == sorted(found, key=lambda pair: (pair[1], pair[0]))


def test_names_are_those_of_branches_tell_what_runs_and_differ_with_the_parameters():
    names = [run.name for run in runs(comparison())]
    assert [name[:-7] for name in names[:3]] == ["tiny-any-k-s0-supervised", "tiny-k2-s0-defaults", "tiny-k2-s0-gan"]
    other = [run.name for run in runs(comparison(), comparison_repo.BASE | {"evaluation": {"size": "half"}})]
    assert len({*names, *other}) == len(names) + len(other)


def test_the_sweep_adds_a_run_for_each_value_but_the_shipped_one():
    swept = comparison(sweep={"method": "GAN", "k": 2, "parameter": "gmmn.seed", "values": [0.0, 7]})
    extra = {run.name[:-7] for run in runs(swept)} - {run.name[:-7] for run in runs(comparison())}
    assert extra == {"tiny-k2-s0-gan-at-7", "tiny-k2-s1-gan-at-0", "tiny-k2-s1-gan-at-7"}


def test_a_key_that_is_not_there_yet_is_remembered_for_a_method_and_refused_for_a_split():
    lacking = {
        cell.lacking for cell in run_list.cells(comparison(), METHODS, comparison_repo.BASE) if cell.method == "Later"
    }
    assert lacking == {("later.key",)}
    with pytest.raises(errors.UserError, match=r"^preset toy: has no key data.n_unseen, which the tables set$"):
        runs(comparison(splits={2: {"data.n_unseen": 2}}))


def test_a_choice_of_methods_ks_and_seeds():
    found = [run for run in runs(comparison()) if run.serves(["GAN"], [3], None)]
    assert [run.name[:-7] for run in found] == ["tiny-k3-s0-gan", "tiny-k3-s1-gan"]
    assert [run.name[:-7] for run in found if run.serves(None, None, [1])] == ["tiny-k3-s1-gan"]


def test_a_run_of_another_pipeline_is_a_run_of_its_own():
    other = params.build(comparison_repo.METHODS["DeViSE"] | {"target": "other/dvc.yaml"}, catalogue.Method, "DeViSE")
    methods = METHODS | {"DeViSE": other}
    cells = run_list.cells(comparison(seeds=[0], splits={2: {"data.unseen": ["a"]}}), methods, comparison_repo.BASE)
    found = run_list.runs("tiny", cells, methods, {})
    assert [(run.target, [cell.method for cell in run.cells]) for run in found] == [
        (None, ["Supervised"]),
        (None, ["ZS3Net"]),
        (None, ["GAN"]),
        ("other/dvc.yaml", ["DeViSE"]),
    ]
    assert len({run.name for run in found}) == 4
    assert launch.command(found[3], found[3].params)[3:] == ["--queue", "-n", found[3].name, "other/dvc.yaml"]

"""The page docs/parameters.md."""

import pytest
import yaml

from tests.support import dag
from zeroshot.base import errors, params
from zeroshot.commands import parameters
from zeroshot.experiments import parameters_page, presets, schema

PAGES = [("main", "parameters.md"), ("szn", "szn_parameters.md"), ("zsi", "zsi_parameters.md")]


@pytest.mark.parametrize(("pipeline", "page"), PAGES)
def test_the_committed_page_is_up_to_date(capsys, monkeypatch, pipeline, page):
    monkeypatch.chdir(dag.ROOT)
    parameters.main(pipeline)
    assert capsys.readouterr().out == (dag.ROOT / "docs" / page).read_text()


@pytest.mark.parametrize(("path", "sections"), schema.FILES.items(), ids=schema.FILES)
def test_every_key_is_on_the_page_with_its_comment(path, sections):
    default = (dag.ROOT / path).read_text()
    page = " ".join(parameters_page.make(default, sections).replace("&lt;", "<").split())
    for key, comment in presets.comments(default).items():
        assert f"`{key}`" in page and comment in page


def test_allowed_values_come_from_the_schema():
    page = " ".join((dag.ROOT / "docs" / "parameters.md").read_text().split())
    for words in (
        "`gmmn.lr`** (number above 0; default `0.002`)",
        "`toy.image_size`** (whole number from 16 to 1024; default `64`)",
        "`gmmn.bandwidths`** (list of number above 0; default `[0.125, 0.25, 0.5, 1.0, 2.0, 4.0]`)",
        "`backbone.augmentation.scales`** (list of two number above 0; default `[0.8, 1.25]`)",
        "`data.n_unseen`** (`0`, `2`, `4`, `6`, `8`, `10` or null; default `null`)",
        "`backbone.separable`** (`true` or `false`; default `true`)",
        "`embeddings.aliases`** (mapping from text to text or list of text; default `{}`)",
    ):
        assert words in page
    page = " ".join((dag.ROOT / "docs" / "szn_parameters.md").read_text().split())
    assert "`mobilenet_v2`, `vgg16_fcn32s`; default" in page
    assert "`network.augmentation`** (or null): " in page and "`network.augmentation.crop`** (whole number" in page


def test_a_key_without_comment_is_named():
    default = presets.text(presets.DEFAULT, dag.ROOT / "presets")
    values = params.parse(default, "default")
    bare = yaml.safe_dump({"visualise": values["visualise"]})
    with pytest.raises(errors.UserError, match="no comment explains visualise"):
        parameters_page.make(bare, schema.SECTIONS)

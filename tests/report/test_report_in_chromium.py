"""The page in a real browser: clicks, the slider, the console, and the network."""

import os
import shutil
from typing import NoReturn

import pytest
from playwright import sync_api

from tests.support import report_world

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# Chromium itself asks for updates and the like; these flags keep it quiet.
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)


# Milliseconds. A busy machine of two cores has taken more than a minute to open the page.
TIMEOUT = 240_000
widths = pytest.mark.parametrize("opened", [1280, 400], indirect=True)


@pytest.fixture(scope="module")
def chromium():
    if CHROMIUM is None:
        _without("there is no chromium or google-chrome on the path")
    with sync_api.sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS), timeout=TIMEOUT)
        except sync_api.Error as error:
            _without(f"{CHROMIUM} does not start: {error}")
        yield browser
        browser.close()


def _without(cause: str) -> NoReturn:
    """Skip the tests that need a browser, or fail where one must be there."""
    if os.environ.get("ZEROSHOT_NEED_BROWSER"):
        pytest.fail(f"ZEROSHOT_NEED_BROWSER is set, and {cause}")
    pytest.skip(f"{cause}; install Chromium to test the report in a browser")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """The report of a small workspace, in which a class is called like a script and others are numbers."""
    folder = tmp_path_factory.mktemp("report")
    with pytest.MonkeyPatch.context() as monkeypatch:
        names = [str(label) for label in range(len(report_world.pixel_world.CLASSES))]
        names[report_world.pixel_world.UNSEEN[0]] = "<script>window.broken = 1</script>"
        names[1] = "<img src=x onerror='window.broken = 1'>"
        report_world.write(folder, monkeypatch, tuple(names))
        report_world.page(folder)
    return folder / "report.html"


@pytest.fixture
def opened(chromium, path, request):
    """The page, 1280 pixels wide or as a test says; after a test there must be no error and no request in the browser's record."""
    page = chromium.new_page(viewport={"width": getattr(request, "param", 1280), "height": 900})
    page.set_default_timeout(TIMEOUT)
    faults, requests = [], []
    page.on("console", lambda message: faults.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda one: requests.append(one.url) if not one.url.startswith(("data:", "blob:")) else None)
    page.goto(path.as_uri())
    yield page
    assert faults == []
    assert requests == [path.as_uri()]
    assert page.evaluate("window.broken") is None
    page.close()


def clip(page, name):
    return page.locator(f"#{name}").evaluate("element => getComputedStyle(element).clipPath")


@widths
def test_the_slider_wipes_between_truth_and_model(opened):
    assert (clip(opened, "truth"), clip(opened, "prediction")) == ("inset(0px 50% 0px 0px)", "inset(0px 0px 0px 50%)")
    opened.locator("#slider").focus()
    opened.keyboard.press("Home")
    assert (clip(opened, "truth"), clip(opened, "prediction")) == ("inset(0px 100% 0px 0px)", "inset(0px 0px 0px 0%)")
    box = opened.locator("#slider").bounding_box()
    opened.mouse.click(box["x"] + 0.75 * box["width"], box["y"] + box["height"] / 2)
    right = float(clip(opened, "truth").split()[1].rstrip("%"))
    assert 20 <= right <= 30
    assert opened.locator("#divider").evaluate("element => parseFloat(element.style.left)") == 100 - right


def test_a_click_chooses_an_image_and_a_model(opened):
    names, maps = [], []
    for number in range(report_world.N_MAPS):
        opened.locator("#thumbnails button").nth(number).click()
        names.append(opened.locator("#image-name").inner_text())
        selected = opened.locator("#thumbnails button[aria-selected=true]")
        assert selected.count() == 1 and selected.get_attribute("title") == names[-1]
        maps.append(opened.locator("#prediction").get_attribute("src"))
    assert sorted(names) == [f"val{number}" for number in range(report_world.N_MAPS)] and len(set(maps)) == len(maps)
    rows = opened.locator("#class-scores tbody").inner_text()
    opened.locator("#model-scores input[value=seen_only]").check()
    assert opened.locator("#model-name").inner_text() == "seen_only ▶"
    assert opened.locator("#prediction").get_attribute("src") != maps[-1]
    assert opened.locator("#class-scores tbody").inner_text() != rows


def test_scores_of_the_image_are_those_of_the_evaluation(opened):
    data = opened.evaluate("JSON.parse(document.getElementById('browser-data').textContent)")
    name = opened.locator("#image-name").inner_text()
    scores = next(image for image in data["images"] if image["name"] == name)["scores"]
    cells = opened.locator("#model-scores tbody tr").nth(1).locator("td").all_inner_texts()
    assert cells == [f"{scores['zs3net'][key]:.1f}" for key in ("hiou", "miou", "accuracy")]


def test_thumbnails_are_sorted_by_the_chosen_score(opened):
    def shown():
        return [float(text) for text in opened.locator("#thumbnails button").all_inner_texts() if text.strip() != "–"]

    assert shown() == sorted(shown()) and len(shown()) > 1
    opened.locator("#sort").select_option("-miou")
    assert shown() == sorted(shown(), reverse=True) and len(shown()) == report_world.N_MAPS


def test_charts_are_drawn_and_another_model_can_be_chosen(opened):
    for place in opened.locator("section .chart").all():
        if place.is_visible():
            place.scroll_into_view_if_needed()
            place.locator(".main-svg").first.wait_for()
    options = opened.locator("#confusion .option")
    assert [option.is_visible() for option in options.all()] == [False, True]
    # Charts far from the window are not drawn yet.
    opened.locator("#confusion select").scroll_into_view_if_needed()
    opened.locator("#confusion select").select_option("seen_only")
    options.first.locator(".main-svg").first.wait_for()
    assert [option.is_visible() for option in options.all()] == [True, False]
    # The name of a class is shown as it is written.
    assert "<script>window.broken = 1</script>" in opened.locator("#confusion .option").first.inner_text()


def test_rows_and_columns_have_the_names_of_classes_even_if_these_are_numbers(opened):
    for name, n_rows, n_columns in (("classes", 10, None), ("similarity", 9, 9), ("confusion", 2, None)):
        place = opened.locator(f"#{name} .chart").locator("visible=true")
        place.scroll_into_view_if_needed()
        place.locator(".main-svg").first.wait_for()
        for axis, n in (("y", n_rows), ("x", n_columns)):
            labels = place.locator(f".{axis}tick text").all_text_contents() if n else []
            assert len(set(labels)) == (n or 0), (name, axis, labels)
            assert not labels or "9" in {label.removeprefix("◆ ") for label in labels}


@widths
def test_the_page_is_no_wider_than_the_window(opened):
    assert opened.evaluate("document.documentElement.scrollWidth <= window.innerWidth")

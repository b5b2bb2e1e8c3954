"""The report in a real browser: choosing, ordering, looking closer, and texts that try to be more than text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from known_runs import PROMPTS, RIGHT, SEEDS, TASKS, known_gain, store_run

from hypernoise.report.page import write_report

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from headless_browser import Browser

HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(2)>\"'`--><!--</script>",
    "long " * 2000,
    "עיגול אדום משמאל לריבוע",
    "\u202edrawkcab &amp; <b>bold</b>",
    "a \x00 b \ud800 c",
)


def report(results: Path, texts: tuple[str, ...] = PROMPTS) -> Path:
    for method in RIGHT:
        store_run(results, method, texts)
    write_report("shapes", None, results, None)
    return results / "shapes" / "report.html"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of the known runs."""
    return report(tmp_path_factory.mktemp("known"))


@pytest.fixture
def page(browser: Browser, written: Path) -> Iterator[Browser]:
    """A browser with the report open, of which it must have nothing to complain in the end."""
    browser.open(written)
    yield browser
    assert browser.problems == []
    assert {url for url in browser.requests if not url.startswith("data:")} == {written.as_uri()}


def prompts(page: Browser) -> list[tuple[int, int]]:
    """The rows shown, as (prompt index, seed)."""
    told = [text.split(", ") for text in page.texts("#rows .place")]
    return [(int(prompt.split()[1]), int(seed.split()[1])) for _, prompt, seed in told]


def of(*indices: int) -> list[tuple[int, int]]:
    return [(index, seed) for index in indices for seed in range(SEEDS)]


def test_all_images_stand_side_by_side(page: Browser) -> None:
    assert prompts(page) == of(*range(6))
    assert page.texts("#count") == ["12 of 12 rows, 36 images"]
    assert page.texts("#rows li:first-child .method") == list(RIGHT)
    assert page.run("[...document.images].every(image => image.alt && image.complete && image.naturalWidth)")


def test_a_tile_tells_verdict_and_gain(page: Browser) -> None:
    assert page.texts("#rows li:nth-child(4) .verdict") == ["✗ wrong", "✗ wrong −0.75", "✓ right +1.00"]


def test_tasks_are_filtered(page: Browser) -> None:
    assert page.texts("#task option") == ["all tasks", *TASKS]
    page.choose("task", "counting")
    assert prompts(page) == of(2)


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [("right", {0, 3, 4, 5}), ("wrong", {1, 2}), ("mended", {3, 5}), ("spoiled", {2})],
)
def test_verdicts_are_filtered(page: Browser, verdict: str, expected: set[int]) -> None:
    page.choose("verdict", verdict)
    assert prompts(page) == of(*sorted(expected))


def test_the_verdict_is_that_of_the_method_looked_at(page: Browser) -> None:
    page.choose("verdict", "wrong")
    page.choose("method", "best-of-n")
    assert prompts(page) == []
    assert page.texts("#count") == ["No row fits: choose less narrowly."]
    page.choose("method", "base")
    assert prompts(page) == of(1, 3, 5)


def test_methods_are_hidden(page: Browser) -> None:
    page.click("#shown input[value=base]")
    assert page.texts("#rows li:first-child .method") == ["hypernoise", "best-of-n"]
    assert page.texts("#count") == ["12 of 12 rows, 24 images"]


def test_search_finds_all_words_in_any_case(page: Browser) -> None:
    page.press("/")
    for key in "COLORS thing":
        page.press(key)
    assert prompts(page) == of(3)


@pytest.mark.parametrize(("order", "sign"), [("most", -1), ("least", 1)])
def test_rows_are_ordered_by_reward_gain(page: Browser, order: str, sign: int) -> None:
    page.choose("order", order)
    expected = sorted(of(*range(6)), key=lambda row: sign * known_gain("hypernoise", *row))
    assert prompts(page) == expected
    page.choose("order", "")
    assert prompts(page) == of(*range(6))


def test_without_rewards_ordering_by_gain_is_absent(browser: Browser, tmp_path: Path) -> None:
    store_run(tmp_path, "base", rewards=False)
    write_report("shapes", None, tmp_path, None)
    browser.open(tmp_path / "shapes" / "report.html", "order=most")
    assert browser.texts("#order option:not(:disabled)") == ["as in the suite"]
    assert "cannot be ordered by reward gain" in browser.texts("#remarks")[0]
    assert prompts(browser) == of(*range(6))
    browser.click(".tile")
    assert browser.run("document.getElementById('rewards').hidden")
    assert browser.problems == []


def test_grades_are_told_as_numbers(browser: Browser, tmp_path: Path) -> None:
    for method in ("base", "hypernoise"):
        store_run(tmp_path, method, benchmark="dpg-bench", right_score=0.75)
    write_report("shapes", None, tmp_path, None)
    browser.open(tmp_path / "shapes" / "report.html")
    assert browser.texts("#rows li:first-child .verdict") == ["score 0.75", "score 0.75 −2.00"]
    assert browser.texts("#verdict option")[1:3] == ["at least 0.5", "below 0.5"]
    browser.choose("verdict", "mended")
    assert prompts(browser) == of(3, 5)
    assert browser.problems == []


def test_a_click_shows_the_image_large_with_what_the_judge_saw(page: Browser) -> None:
    page.click("#rows li:nth-child(3) [data-column='1']")
    assert page.run("document.getElementById('viewer').open")
    assert page.texts("#viewer-prompt") == [PROMPTS[1]]
    assert page.texts("#place")[0].startswith(
        "hypernoise, two_object, prompt 1, seed 0, run shapes-hypernoise-"
    )
    assert page.texts("#word, #reason") == ["✗ wrong", f"expected {PROMPTS[1]}"]
    assert page.texts("#rewards tbody tr") == ["likes8.50−0.50", "size3.00+0.00"]
    assert page.texts("#detections li") == ["red bject, confidence 0.75", "whole: no"]
    assert page.texts("#picture text") == ["red bject 0.75"]
    assert float(page.run("document.querySelector('#picture g').getAttribute('opacity')")) == pytest.approx(
        0.85
    )
    frame = "document.querySelector('#picture rect')"
    assert page.run(f"['x', 'y', 'width', 'height'].map(name => Number({frame}.getAttribute(name)))") == [
        1,
        2,
        4,
        5,
    ]
    drawn = f"(({{left, right}}) => (right - left))({frame}.getBoundingClientRect())"
    image = "document.querySelector('#picture img').getBoundingClientRect()"
    assert page.run(drawn) == pytest.approx(page.run(f"Math.min({image}.width, {image}.height)") / 2, abs=4)


def test_detections_can_be_hidden(page: Browser) -> None:
    page.click("#rows li:nth-child(3) .tile")
    page.click("#boxes")
    assert page.run("getComputedStyle(document.querySelector('#picture svg')).display") == "none"


def test_the_viewer_is_used_by_keyboard(page: Browser) -> None:
    page.run("document.querySelector('#rows li:nth-child(2) .tile').focus()")
    page.press("ArrowDown")
    page.press("ArrowRight")
    page.press("Enter")
    seen = []
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "ArrowLeft", "ArrowUp", "ArrowUp"):
        page.press(key)
        seen.append(page.texts("#place")[0].split(", run ")[0])
        assert page.run("document.activeElement.matches('#strip [aria-pressed=true]')")
    assert seen == [
        "best-of-n, two_object, prompt 1, seed 0",
        "best-of-n, two_object, prompt 1, seed 0",
        "best-of-n, two_object, prompt 1, seed 1",
        "hypernoise, two_object, prompt 1, seed 1",
        "hypernoise, two_object, prompt 1, seed 0",
        "hypernoise, single_object, prompt 0, seed 1",
    ]
    page.press("Escape")
    assert not page.run("document.getElementById('viewer').open")
    assert page.run("document.activeElement.matches('#rows li:nth-child(2) [data-column=\"1\"]')")


def test_the_viewer_is_used_by_mouse(page: Browser) -> None:
    page.click(".tile")
    page.click("#next")
    page.click("#strip [data-column='2']")
    assert page.texts("#place")[0].startswith("best-of-n, single_object, prompt 0, seed 1")
    assert page.texts("#strip [aria-pressed=true]") == ["best-of-n"]
    page.click("#previous")
    assert page.run("document.getElementById('previous').disabled")
    page.click("#close")
    assert not page.run("document.getElementById('viewer').open")


def test_the_address_keeps_what_is_chosen(page: Browser, written: Path) -> None:
    page.choose("task", "colors")
    page.choose("order", "most")
    page.click("#shown input[value=base]")
    address = page.run("location.hash")
    assert address == "#task=colors&order=most&hidden=base"
    page.open(written, address[1:])
    assert prompts(page) == [(3, 1), (3, 0)]
    assert page.texts("#rows li:first-child .method") == ["hypernoise", "best-of-n"]


def test_an_address_of_another_report_is_harmless(page: Browser, written: Path) -> None:
    page.open(written, "task=nonsense&method=reno&verdict=x&order=y&search=%3Cscript%3E&hidden=,z")
    assert page.texts("#count") == ["No row fits: choose less narrowly."]
    page.choose("search", "")
    assert prompts(page) == of(*range(6))


def test_only_rows_near_the_window_hold_images(page: Browser) -> None:
    page.window(600, 300)
    page.run("scrollTo({top: 0, behavior: 'instant'})")
    page.run("new Promise(done => setTimeout(done, 100))")
    assert page.run("document.querySelectorAll('#rows li').length") == 12
    assert page.run("document.querySelectorAll('#rows li:last-child img').length") == 0
    page.run("scrollTo({top: document.body.scrollHeight, behavior: 'instant'})")
    page.run("new Promise(done => setTimeout(done, 100))")
    assert page.run("document.querySelectorAll('#rows li:last-child img').length") == 3
    page.window()


def test_paper_gets_all_rows_filled(page: Browser) -> None:
    page.choose("task", "counting")
    assert page.printed().startswith(b"%PDF")
    assert page.texts("#printed") == ["Printed: the first 2 of 2 rows chosen; 12 in all."]


def test_light_and_dark_have_contrast(page: Browser) -> None:
    color = "getComputedStyle(document.body).backgroundColor"
    assert page.run(color) == "rgb(255, 255, 255)"
    page.window(scheme="dark")
    assert page.run(color) == "rgb(20, 22, 26)"
    page.window()


@pytest.mark.parametrize("width", [360, 800, 1280])
def test_the_page_is_never_broader_than_the_window(page: Browser, width: int) -> None:
    page.window(width, 800)
    assert page.run("document.documentElement.scrollWidth <= innerWidth")
    page.window()


def test_hostile_texts_are_shown_as_text(browser: Browser, tmp_path: Path) -> None:
    browser.open(report(tmp_path, HOSTILE))
    expected = [text for text in HOSTILE for _ in range(SEEDS)]
    assert browser.texts(".prompt") == expected
    for place, text in enumerate(HOSTILE):
        browser.click(f"#rows li:nth-child({2 * place + 1}) .tile")
        (reason,) = browser.texts("#reason")
        assert reason in ("", f"expected {text}")
        browser.press("Escape")
    assert browser.run("document.querySelectorAll('script').length") == 2
    assert browser.run("document.querySelectorAll('.prompt *').length") == 0
    assert browser.run("getComputedStyle(document.querySelectorAll('.prompt')[6]).direction") == "rtl"
    assert browser.run(
        "Math.max(...[...document.querySelectorAll('#rows li')].map(row => row.offsetHeight)) < 400"
    )
    browser.choose("search", HOSTILE[0])
    assert prompts(browser) == of(0)
    assert browser.problems == []

"""Pages as their readers use them, in a real browser, from the disk."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from mien.audit.checks import Check
from mien.audit.page import write_audit
from mien.evaluate import save
from mien.labels import FER2013
from mien.output import open_table
from mien.report import compare as comparing
from mien.report import data_page, evaluation_page, search_page
from mien.report.compare import compare
from mien.report.readings_page import write_report
from mien.types import Box, Face, Reading, Readings, Scores
from tests.audit.test_page import POOL, audit, group
from tests.report.test_compare import evaluation
from tests.report.test_data_page import CASES
from tests.report.test_evaluation_page import a_robustness

playwright = pytest.importorskip("playwright.sync_api", reason="needs mien[dev]")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs mien[dev]")
expect = playwright.expect

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
MODELS = 12
DESK, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 800}


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    with playwright.sync_playwright() as started:
        found = started.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        yield found
        found.close()


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of models that are right on 40 % of the images, 44 %..., without pictures in files."""
    folder = tmp_path_factory.mktemp("compared")
    for number in range(MODELS):
        skill = 0.4 + number / 25
        found = evaluation(f"net-{number}", skill, number, 210, temperature=1 + number / 10)
        save(found, folder / found.name)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(comparing, "png", lambda figure: b"")
        paths = [folder / f"net-{number}" for number in range(MODELS)]
        return compare(paths, folder / "out", "public")


@pytest.fixture(scope="module")
def readings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a film of two faces."""
    table = tmp_path_factory.mktemp("table") / "faces.csv"
    values = tuple(1 / 7 for _ in FER2013)
    face, scores = Face(Box(0, 0, 9, 9), 0.9), Scores(FER2013, values)
    found = [
        Reading(face, scores, "ok", "talk.mp4", t / 10, t, face_id, scores)
        for t in range(9)
        for face_id in range(2)
    ]
    with_labels = Readings(found, labels=FER2013)
    written = open_table(table, FER2013)
    written.write(with_labels)
    written.close()
    return write_report(table, table.with_name("report.html"))


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Pages of an evaluation, a data set, an audit and a search, with one drawing for all."""
    folder, one = tmp_path_factory.mktemp("others"), evaluation("net", 0.6, 0, 70)
    trials = [
        search_page.Trial(n, "finished", n / 9, {"training.batch": 2**n}, {0: n / 9})
        for n in range(1, 4)
    ]
    found = [*group(1, 0.99, 0, 70), *(POOL.finding(Check.FLAT, n, "grey", 0.7) for n in range(9))]
    with pytest.MonkeyPatch.context() as patched:
        for module in (data_page.figures, evaluation_page, search_page):
            patched.setattr(module, "drawing", lambda _: {"wide": "<svg></svg>"})
            patched.setattr(module, "png", lambda _: b"", raising=False)
        a_robustness(one, folder / "evaluation")
        evaluation_page.write_evaluation(one, one.metrics(), folder / "evaluation", None)
        shares = {"training.batch": 1.0}
        search_page.write_search(folder / "search.html", "s", trials, shares, set())
        return {
            "evaluation": folder / "evaluation" / "index.html",
            "search": folder / "search.html",
            "data": data_page.write_statistics(CASES["no train"], folder / "data"),
            "audit": write_audit(audit(*found), folder / "audit")[0],
        }


@pytest.fixture
def visit(browser) -> Iterator[object]:
    """`visit(page, size, scheme)`: it may complain of nothing and ask nobody."""
    complaints, asked, opened = [], [], []

    def go(path: Path, size=DESK, scheme: str = "light"):
        page = browser.new_page(viewport=size, color_scheme=scheme)
        page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(path.as_uri())
        opened.append((page, path.as_uri()))
        return page

    yield go
    for page, _ in opened:
        page.close()
    assert complaints == []
    assert {url for url in asked if not url.startswith(("data:", "about:"))} <= {
        url for _, url in opened
    }


def column(page, name: str) -> list[str]:
    """What a shown column of the models' table holds in its shown rows."""
    return page.evaluate(
        """name => {
          const table = document.getElementById("models-table");
          const place = [...table.tHead.rows[0].cells].findIndex((c) => c.textContent === name);
          const rows = [...table.tBodies[0].rows].filter((row) => !row.hidden);
          return rows.map((row) => row.cells[place].firstChild.textContent.trim());
        }""",
        name,
    )


def test_models_are_sorted_filtered_and_have_more_columns(comparison: Path, visit):
    page = visit(comparison)
    heads = page.locator("#models-table thead th:visible")
    assert 5 <= heads.count() <= 8
    best_first = [float(value) for value in column(page, "accuracy, %")]
    assert len(best_first) == MODELS
    assert best_first == sorted(best_first, reverse=True)
    page.get_by_role("button", name="loss, nats").click()
    assert (losses := [float(v) for v in column(page, "loss, nats")]) == sorted(losses)
    expect(page.locator("th[aria-sort=ascending]")).to_have_text("loss, nats")
    page.get_by_role("button", name="loss, nats").click()
    assert [float(v) for v in column(page, "loss, nats")] == losses[::-1]
    page.get_by_label("Filter").fill("net-1")
    assert sorted(column(page, "model")) == ["net-1", "net-10", "net-11"]
    expect(page.locator(".tools output")).to_have_text(f"3 of {MODELS} rows")
    assert "temperature" not in heads.all_inner_texts()
    page.get_by_text("Columns").click()
    page.get_by_label("temperature", exact=True).check()
    assert "temperature" in heads.all_inner_texts()
    assert set(column(page, "temperature")) == {"1.1", "2", "2.1"}


def test_all_pairs_stand_in_one_matrix(comparison: Path, visit):
    page = visit(comparison)
    rows = page.locator("#pairs-table tbody tr:visible")
    expect(rows).to_have_count(10)
    page.get_by_role("button", name=f"Show all {MODELS}").click()
    expect(rows).to_have_count(MODELS)
    cell = page.locator("#pairs-table td.better").last
    cell.click()
    expect(page.locator("#pairs-table-told")).to_contain_text(" points [")


def test_the_matrix_is_walked_by_arrow_keys(comparison: Path, visit):
    page = visit(comparison)
    cells = page.locator("#pairs-table td[title]:visible")
    page.locator("#pairs-table td[tabindex]").press("ArrowRight")
    expect(cells.nth(1)).to_be_focused()
    expect(page.locator("#pairs-table-told")).to_have_text(cells.nth(1).get_attribute("title"))
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#pairs-table tbody tr").nth(2).locator("td").nth(1)).to_be_focused()


def test_at_most_five_sentences_come_first(comparison: Path, visit):
    page = visit(comparison)
    assert 3 <= page.locator("#in-short li").count() <= 5
    places = page.locator("#contents a")
    assert places.all_inner_texts()[:3] == ["In short", "Models", "Differences"]
    for link in places.all():
        assert page.locator(link.get_attribute("href")).count() == 1


@pytest.mark.parametrize(("size", "scheme"), [(DESK, "light"), (PHONE, "dark")])
@pytest.mark.parametrize("name", ["comparison", "readings"])
def test_a_page_has_no_barrier_and_is_no_wider_than_its_screen(
    name: str, size, scheme: str, visit, request: pytest.FixtureRequest
):
    """By the rules of axe-core (WCAG 2 and good practice)."""
    page = visit(request.getfixturevalue(name), size, scheme)
    found = axe.Axe().run(page)
    assert len(found.response["passes"]) > 10
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]


@pytest.mark.parametrize(
    ("name", "size", "scheme"),
    [
        *(("evaluation", DESK, "light"), ("data", PHONE, "light")),
        *(("audit", PHONE, "dark"), ("search", DESK, "dark")),
    ],
)
def test_the_other_pages_have_no_barrier(name: str, size, scheme: str, visit, others):
    page = visit(others[name], size, scheme)
    found = axe.Axe().run(page)
    assert len(found.response["passes"]) > 10
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]


def test_a_report_has_a_timeline_that_is_seen_whole(readings: Path, visit):
    page = visit(readings)
    frame = page.frame_locator("iframe")
    expect(frame.locator(".lane")).to_have_count(2)
    inner = page.evaluate(
        "document.querySelector('iframe').contentDocument.documentElement.scrollHeight"
    )
    assert page.evaluate("document.querySelector('iframe').clientHeight") >= inner

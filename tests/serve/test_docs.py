"""The page that describes the API, in a real browser: it asks no other machine."""

import shutil

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="needs mien[dev]")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
PATHS = ["/healthz", "/metrics", "/v1/models", "/v1/recognize", "/v1/videos"]


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
def test_the_api_is_described_without_another_machine(running):
    complaints, asked = [], []
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{running.address}/docs")
        page.locator(".authorize").wait_for()
        shown = page.locator(".opblock-summary-path").all_inner_texts()
        browser.close()
    assert [path for path in shown if path in PATHS] == PATHS
    assert complaints == []
    assert {url.startswith((running.address, "data:")) for url in asked} == {True}


def test_its_files_are_served(client):
    for name, kind in [("start.js", "javascript"), ("swagger-ui.css", "css")]:
        answer = client.get(f"/docs/{name}")
        assert answer.status_code == 200
        assert kind in answer.headers["content-type"]
    assert client.get("/docs/nothing").status_code == 404

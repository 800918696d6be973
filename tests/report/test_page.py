import base64
import re
import sys
from html.parser import HTMLParser

import pytest

from mien.errors import MissingExtra
from mien.extras import remedy
from mien.report.page import data_uri, render
from mien.report.tables import table_of

jinja2 = pytest.importorskip("jinja2")

TABLE = table_of([{"a": 1, "b": 2}])


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> None:
    """A template `some.html.j2` beside the real base."""
    real = jinja2.PackageLoader
    source = (
        '{% extends "base.html.j2" %}{% from "parts.html.j2" import figure, show %}'
        "{% block title %}{{ title }}{% endblock %}"
        "{% block lead %}<p>{{ lead }}</p>{% endblock %}"
        '{% block content %}<section><h2>Part</h2>{{ show("Table", table) }}'
        '{{ figure(uri, "alt text", "caption") }}</section>{% endblock %}'
    )

    def loader(*where: str) -> object:
        return jinja2.ChoiceLoader([jinja2.DictLoader({"some.html.j2": source}), real(*where)])

    monkeypatch.setattr(jinja2, "PackageLoader", loader)


def test_fills_the_base(page: None) -> None:
    html = render("some.html.j2", title="A & B", lead="<script>", uri=data_uri(b"png"), table=TABLE)
    assert "<h1>A &amp; B</h1>" in html
    assert "&lt;script&gt;" in html
    assert html.count("<script") == 1, "the page's own"
    assert '<li><a href="#part">Part</a></li>' in html
    assert '<section id="part">' in html
    assert '<th scope="row">1</th><td>2</td>' in html
    assert 'alt="alt text"' in html
    assert '<html lang="en">' in html
    assert 'name="viewport"' in html
    HTMLParser().feed(html)


def test_a_missing_value_is_an_error(page: None) -> None:
    with pytest.raises(jinja2.UndefinedError, match="lead"):
        render("some.html.j2", title="A", uri="")


def test_data_uri_holds_the_picture() -> None:
    head, body = data_uri(b"\x89PNG").split(",")
    assert head == "data:image/png;base64"
    assert base64.b64decode(body) == b"\x89PNG"


def test_says_how_to_install_jinja2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingExtra, match=re.escape(remedy("report"))):
        render("some.html.j2")

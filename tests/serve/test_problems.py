"""Errors as problem details."""

import json

import pytest
from fastapi import FastAPI, Form, UploadFile
from starlette.testclient import TestClient

from mien.errors import JobNotFound, Overloaded, OverShare, PictureError
from mien.serve.problems import Refused, add_error_handlers, problem, refused, responses


def test_a_problem_is_what_rfc_9457_asks_for():
    answer = problem(413, "expected less", {"Retry-After": "7"})
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"] == "7"
    assert json.loads(answer.body) == {
        "type": "about:blank",
        "title": "Request Entity Too Large",
        "status": 413,
        "detail": "expected less",
    }


@pytest.mark.parametrize(("sent", "told"), [(999, 999), (1000, 1000), (1001, 1000), (9999, 1000)])
def test_what_was_sent_is_not_sent_back_at_length(sent, told):
    assert json.loads(problem(422, "x" * sent).body)["detail"] == "x" * told


@pytest.mark.parametrize(("wait", "header"), [((), "1"), ((60,), "60")])
@pytest.mark.parametrize(("kind", "status"), [(Overloaded, 503), (OverShare, 429)])
def test_who_finds_it_busy_is_told_when_to_come_back(kind, status, wait, header):
    answer = refused(kind("full", *wait))
    assert (answer.status_code, answer.headers) == (status, {"Retry-After": header})


def failing(error: Exception) -> TestClient:
    """An application whose only path ends with `error`."""
    app = FastAPI()
    add_error_handlers(app)

    @app.post("/")
    async def fail(video: UploadFile, blur: bool = Form(), of: int = Form(), at: int = Form()):
        raise error

    @app.get("/")
    async def get():
        raise error

    return TestClient(app)


def full_disk() -> Refused:
    error = Refused(400, "There was an error parsing the body")
    error.__cause__ = OSError(28, "No space left on device")
    return error


@pytest.mark.parametrize(
    ("error", "status", "detail", "wait"),
    [
        (Overloaded("full"), 503, "full", "1"),
        (Overloaded("no room", 60), 503, "no room", "60"),
        (JobNotFound("no job"), 404, "no job", None),
        (PictureError("no picture"), 422, "no picture", None),
        (Refused(415, "not this"), 415, "not this", None),
        (Refused(429, "wait", {"Retry-After": "3"}), 429, "wait", "3"),
        (full_disk(), 503, "the service has no room for this; try again later", "60"),
    ],
)
def test_each_error_is_the_problem_it_stands_for(error, status, detail, wait, caplog):
    answer = failing(error).get("/")
    assert (answer.status_code, answer.json()["detail"]) == (status, detail)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers.get("retry-after") == wait
    assert ("No space left" in caplog.text) == (error.__cause__ is not None)


def test_the_first_three_mistakes_of_a_form_are_told_with_their_places():
    answer = failing(JobNotFound("not reached")).post("/", data={"blur": "maybe"})
    assert answer.status_code == 422
    first, second, third = answer.json()["detail"].split("; ")
    assert first == "body.video: Field required"
    assert second.startswith("body.blur: Input should be a valid boolean")
    assert third == "body.of: Field required"


def test_the_description_names_the_problems_of_a_path():
    told = responses(404, 503)
    assert {status: answer["description"] for status, answer in told.items()} == {
        404: "Not Found",
        503: "Service Unavailable",
    }
    content = {"schema": {"$ref": "#/components/schemas/Problem"}}
    assert told[404]["content"] == {"application/problem+json": content}

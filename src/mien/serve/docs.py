"""The page that describes the API: Swagger UI from a package, which asks no other machine."""

from importlib import resources
from pathlib import Path

from fastapi import FastAPI, Response
from fastapi.responses import FileResponse

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>mien: the API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/swagger-ui.css">
<div id="api"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
"""
_START = 'SwaggerUIBundle({url: "openapi.json", dom_id: "#api", validatorUrl: null});\n'


def add_docs(app: FastAPI) -> None:
    """Serve it at /docs; its files lie below."""

    @app.get("/docs", include_in_schema=False)
    async def page() -> Response:
        return Response(_PAGE, media_type="text/html")

    @app.get("/docs/start.js", include_in_schema=False)
    async def start() -> Response:
        return Response(_START, media_type="text/javascript")

    folder = Path(str(resources.files("fastapi_swagger"))) / "resources"
    for name in ("swagger-ui-bundle.js", "swagger-ui.css"):
        add_file(app, f"/docs/{name}", folder / name)


def add_file(app: FastAPI, path: str, file: Path) -> None:
    """Serve one file."""

    @app.get(path, include_in_schema=False)
    async def send() -> FileResponse:
        return FileResponse(file)

"""The command that serves recognition over HTTP; its limits are the fields of `Limits`."""

import dataclasses
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, cast

import typer
from typer.core import TyperCommand

from mien.cli.options import DEFAULT, DetectorName, Device, ModelName, Threads
from mien.cli.show import busy, say
from mien.errors import InputError
from mien.extras import installed
from mien.serve.limits import MIB, Limits, size

PREFIX = "MIEN_SERVE"
"""Of the variables that set options."""

_NEEDED = (
    "fastapi",
    "fastapi_swagger",
    "httptools",
    "prometheus_client",
    "python_multipart",
    "uvicorn",
    "websockets",
)

_LIMITS = {limit.name: limit for limit in dataclasses.fields(Limits)}
_GROUPS: dict[str, tuple[str, ...]] = {
    "Address": ("host", "port", "allow_host"),
    "Model": ("model", "detector", "device", "threads", "batch"),
    "Safety": ("api_key_file", "urls", "access_log"),
    "One client": (),
    "All clients": (),
    "Pictures": (),
    "Films": ("jobs", "keep"),
}


class GroupedCommand(TyperCommand):
    """`mien serve`, whose options stand under headings in its help."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write them, each group under its name."""
        groups: dict[str, list[tuple[str, str]]] = {name: [] for name in _GROUPS}
        options: list[Any] = self.get_params(ctx)
        for option in options:
            option.show_envvar = False  # its name is told once
            if (record := option.get_help_record(ctx)) is not None:
                groups.setdefault(_group(str(option.name)), []).append(record)
        for name, records in groups.items():
            with formatter.section(name):
                formatter.write_dl(records)


def _group(option: str) -> str:
    if option in _LIMITS:
        return str(_LIMITS[option].metadata["panel"])
    return next((name for name, options in _GROUPS.items() if option in options), "Help")


def _with_limits(command: Callable[..., None]) -> Callable[..., None]:
    """The command with an option for each limit, in the place of `**limits`."""
    signature = inspect.signature(command)
    own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
    limits = [_parameter(limit) for limit in _LIMITS.values()]
    signed = cast(Any, command)
    signed.__signature__ = signature.replace(parameters=[*own, *limits])
    return command


def _parameter(limit: "dataclasses.Field[Any]") -> inspect.Parameter:
    told: dict[str, Any] = {"help": limit.metadata["means"]}
    default: Any = limit.default
    if limit.name.endswith("_bytes") or limit.name.startswith("bytes_"):
        shown = f"{default // MIB}MiB"
        told |= {"parser": size, "metavar": "SIZE", "show_default": shown}
    kind: Any = Annotated[limit.type, typer.Option(**told)]
    only = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(limit.name, only, default=default, annotation=kind)


@_with_limits
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 8000,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="Host name that the service answers to.")
    ] = None,
    model: ModelName = DEFAULT,
    detector: DetectorName = "yunet",
    device: Device = "auto",
    threads: Threads = None,
    batch: Annotated[
        int, typer.Option(help="Faces in one run of the network, of several requests together.")
    ] = 16,
    api_key_file: Annotated[
        Path | None, typer.Option(help="File with the API key that requests must send.")
    ] = None,
    urls: Annotated[
        bool, typer.Option("--urls", help="Fetch pictures from public addresses.")
    ] = False,
    access_log: Annotated[
        bool,
        typer.Option(
            "--access-log",
            help="Print a line for each request: its time, client, path and status; no content.",
        ),
    ] = False,
    jobs: Annotated[
        Path | None,
        typer.Option(help="Folder of uploaded films, kept after a restart. Default: temporary."),
    ] = None,
    keep: Annotated[float, typer.Option(help="Minutes to keep the files of a finished film.")] = 60,
    **limits: Any,
) -> None:
    """Serve recognition over HTTP, and a page to try it; for this machine alone by default.

    Variables set options, too: MIEN_SERVE_ACCESS_LOG=1 is --access-log.
    """
    for module in _NEEDED:
        installed(module, extra="serve")
    from mien.serve.run import serve as start
    from mien.serve.settings import Settings

    settings = Settings(
        model=model,
        detector=detector,
        device=device,
        threads=threads,
        batch=batch,
        api_key=None if api_key_file is None else _read_key(api_key_file),
        access_log=access_log,
        urls=urls,
        jobs_folder=jobs,
        keep_s=60 * keep,
        limits=Limits(**limits),
    )
    start(settings, host, port, tuple(allow_host or ()))


def page(
    out: Annotated[Path, typer.Argument(help="Folder to write.", metavar="OUT")],
    model: ModelName = "mien-s",
    runtime: Annotated[
        Path | None,
        typer.Option(
            help="The npm package onnxruntime-web, a tarball or unpacked. Default: fetched once.",
            metavar="PATH",
        ),
    ] = None,
) -> None:
    """Write a page that reads pictures and the camera in the browser alone, for any web server."""
    from mien.page.write import write_page

    with busy("writing the page"):
        size = write_page(out, model, runtime)
    say(f"page: {out}, {size / 1e6:.0f} MB; to try it: python -m http.server --directory {out}")


def _read_key(file: Path) -> str:
    try:
        return file.read_text("utf-8").strip()
    except (OSError, ValueError) as error:
        raise InputError(f"the key in {file} cannot be read: {error}") from error

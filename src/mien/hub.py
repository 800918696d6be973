"""Bundles to and from a repository of the Hugging Face Hub."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from mien.bundle import CARD_FILE, MODEL_FILE, README_FILE, Bundle, new_bundle, open_bundle, pulled
from mien.errors import BundleError, InputError
from mien.extras import need
from mien.files import offline

FILES = (MODEL_FILE, CARD_FILE, README_FILE)
_NAME = re.compile(r"([\w.-]+/[\w.-]+)(?:@([\w./-]+))?")


def push(name: str | Path, repository: str, *, private: bool = False) -> str:
    """Send a bundle to `repository`, USER/NAME, as one commit; its address comes back.

    The repository is made where it is missing. Raises BundleError for a bundle that is damaged,
    InputError for another name, where `MIEN_OFFLINE` is set, and for what the hub answers.
    """
    bundle = open_bundle(name)
    user_name, revision = _parts(repository)
    if revision:
        raise InputError(f"expected USER/NAME to push to, without a revision, got {repository!r}")
    with _asking(repository) as hub:
        api = hub.HfApi()
        api.create_repo(user_name, private=private or None, exist_ok=True)
        parts = [(file, bundle.folder / file) for file in FILES]
        done = api.create_commit(
            user_name,
            [hub.CommitOperationAdd(file, path) for file, path in parts if path.is_file()],
            commit_message=f"{bundle.card.name}, sha256 {bundle.card.digest[:12]}",
        )
    return str(done.commit_url)


def pull(repository: str) -> Bundle:
    """The bundle of USER/NAME or USER/NAME@REVISION, kept in `MIEN_HOME` for `--model` under that
    name.

    Raises BundleError if its digest is not that of its card, and as `push`.
    """
    user_name, revision = _parts(repository)
    out = pulled(repository)
    with new_bundle(out) as folder, _asking(repository) as hub:
        hub.snapshot_download(
            user_name, revision=revision, local_dir=folder, allow_patterns=list(FILES)
        )
        shutil.rmtree(folder / ".cache", ignore_errors=True)
        try:
            open_bundle(folder)
        except BundleError as error:
            reason = str(error).replace(str(folder), repository)
            raise BundleError(f"nothing is kept of {repository}: {reason}") from error
    return open_bundle(out)


def _parts(repository: str) -> tuple[str, str | None]:
    """USER/NAME, and the revision behind @."""
    found = _NAME.fullmatch(repository)
    if found is None or ".." in repository:
        raise InputError(f"expected USER/NAME or USER/NAME@REVISION, got {repository!r}")
    return found[1], found[2]


@contextmanager
def _asking(repository: str) -> Iterator[ModuleType]:
    """The hub's client; what goes wrong with it in one line."""
    if offline():
        raise InputError(f"{repository} is not asked for, as MIEN_OFFLINE is set; unset it")
    hub = need("huggingface_hub", extra="hub")
    from httpx import HTTPError
    from huggingface_hub import errors
    from huggingface_hub.utils.tqdm import disable_progress_bars

    disable_progress_bars()
    refused = (errors.HfHubHTTPError, errors.HFValidationError, errors.LocalEntryNotFoundError)
    try:
        yield hub
    except (*refused, HTTPError, ConnectionError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(
            f"the hub did not give {repository} ({reason}); check the name and the connection, and "
            "log in with: hf auth login"
        ) from error

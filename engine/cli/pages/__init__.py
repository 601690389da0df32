"""Pages that the command writes: each one file that needs nothing from the network."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from markupsafe import Markup

FOLDER = Path(__file__).parent

VENDOR = "vendor"
"""The folder of libraries that pages carry, each with its licence; ``vendored.json`` says where they come from."""


def render(page: str, **values: Any) -> str:
    """Return a page of this folder with its values. Whatever a value says, it is text: nothing in it is markup."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415  only those who want a page wait for it

    loader = FileSystemLoader(FOLDER)
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.get_template(f"{page}.html").render(values)


def source(*names: str) -> Markup:
    """Return files of this folder, one behind the other, as they are: a page carries them within its style or a script."""
    from markupsafe import Markup  # noqa: PLC0415  the same

    return Markup("").join(Markup((FOLDER / name).read_text(encoding="utf-8")) for name in names)  # noqa: S704  own files


def allowed(sources: Iterable[str]) -> Markup:
    """Return what a page's security policy says of its own styles or scripts: these and no others, by their hashes."""
    from markupsafe import Markup  # noqa: PLC0415  the same

    hashes = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in sources)
    return Markup(" ").join(Markup("'sha256-{}'").format(digest) for digest in hashes)

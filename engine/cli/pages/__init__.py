"""Pages that the command writes: each one file that needs nothing from the network."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def render(page: str, **values: Any) -> str:
    """Return a page of this folder with its values. Whatever a value says, it is text: nothing in it is markup."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415  only those who want a page wait for it

    loader = FileSystemLoader(Path(__file__).parent)
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.get_template(f"{page}.html").render(values)

"""A page as a browser would read it: its tags, its tables, what it runs, and its texts."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

from attrs import Factory, define

RAW = {"script", "style"}
"""What these hold is no text of the page."""


@define
class ReadPage(HTMLParser):
    """What was read of a page."""

    tags: list[tuple[str, dict[str, str | None]]] = Factory(list)
    texts: list[str] = Factory(list)
    raw: dict[str, list[str]] = Factory(lambda: {name: [] for name in RAW})
    tables: dict[str, list[list[str]]] = Factory(dict)
    """The cells of each table, row by row, under its id."""
    told: list[tuple[str, str]] = Factory(list)
    """Each text as it is, with the class of what it stands in, or its tag where it has none."""
    table: str = ""
    within: list[tuple[str, str]] = Factory(list)
    """The tags that are open, each with its class."""

    def __attrs_pre_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep it, and begin what it begins."""
        given = dict(attrs)
        self.tags.append((tag, given))
        self.within.append((tag, given.get("class") or tag))
        if tag == "table":
            self.table = given.get("id") or ""
            self.tables[self.table] = []
        if tag == "tr":
            self.tables[self.table].append([])
        if tag in {"td", "th"}:
            self.tables[self.table][-1].append("")
        if tag in RAW:
            self.raw[tag].append("")

    def handle_endtag(self, tag: str) -> None:
        """Leave it, and what was never closed in it."""
        while self.within and self.within.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        """Keep a text where it stands."""
        inner, kind = self.within[-1] if self.within else ("", "")
        self.told.append((kind, data.removesuffix("\n")))
        if inner in RAW:
            self.raw[inner][-1] += data
        elif inner in {"td", "th"}:
            self.tables[self.table][-1][-1] += data.strip()
        if inner not in RAW and data.strip():
            self.texts.append(" ".join(data.split()))

    def security(self) -> dict[str, list[str]]:
        """Return what the page's own policy allows, by directive."""
        (content,) = [given["content"] or "" for tag, given in self.tags if tag == "meta" and "http-equiv" in given]
        directives = (part.split() for part in content.split(";"))
        return {name: values for name, *values in directives}


def read_page(text: str) -> ReadPage:
    """Return a page as it is read."""
    page = ReadPage()
    page.feed(text)
    return page


def hash_source(text: str) -> str:
    """Return how a security policy names a script or style by its text."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def addresses(page: ReadPage) -> list[str | None]:
    """Return what the page would fetch or lead to."""
    of = {"src", "href", "action", "srcset", "data", "poster", "formaction"}
    return [value for tag, given in page.tags for name, value in given.items() if name in of and tag != "a"]


def handlers(page: ReadPage) -> list[str]:
    """Return attributes that would run something, or that would need styles of their own."""
    return [name for _, given in page.tags for name in given if re.match(r"on|style$", name)]

"""The page itself: a template that escapes all it is given, and a policy that lets nothing in.

What stands on the page was written by strangers. Jinja escapes every text, links are only made of
http addresses, and the page's own policy forbids the browser everything but this page's one style,
its one script (by their hashes) and pictures inside the file.
"""

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from tasks.report.figures import DrawnSection, Header
from tasks.report.galleries import Shown
from tasks.report.numbers import counted, share, shortened, sortable, spoken

STATUSES = ("fail", "warn", "pass", "not measured")
MOST_ROWS = 60


def page(
    header: Header,
    before: Sequence[DrawnSection],
    galleries: Sequence[Shown],
    after: Sequence[DrawnSection],
) -> str:
    """Return the report as one HTML document."""
    return rendered(
        "page.html.j2",
        "page.js",
        header=header,
        before=before,
        galleries=galleries,
        after=after,
        most_rows=MOST_ROWS,
    )


def rendered(template: str, script: str = "", **values: Any) -> str:
    """Return a template of this folder filled in, with the style, a script and their policy."""
    style, code = own_text("page.css"), own_text(script) if script else ""
    allowed = [
        "default-src 'none'",
        "img-src data:",
        f"style-src {digest_of(style)}",
        f"script-src {digest_of(code)}" if code else "script-src 'none'",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    # Markup: ours, and not to be escaped. Nothing else on the page is marked so but the drawings.
    return (
        _environment()
        .get_template(template)
        .render(
            **values,
            policy="; ".join(allowed),
            style=Markup(style),
            script=Markup(code),
            statuses=STATUSES,
        )
    )


def digest_of(content: str) -> str:
    """Return the source expression that allows an inline style or script of this content."""
    digest = hashlib.sha256(content.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def own_text(name: str) -> str:
    """Return a file of this folder; it is read from the package, so a wheel works too."""
    return resources.files("tasks.report").joinpath(name).read_text(encoding="utf-8")


def address(url: Any) -> str:
    """Return an http address as it is, anything else (javascript:, data:, nothing) as nothing."""
    text = str(url or "").strip()
    return text if text.lower().startswith(("http://", "https://")) else ""


@cache
def _environment() -> Environment:
    made = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.loader = FunctionLoader(own_text)
    made.filters |= {
        "spoken": spoken,
        "counted": counted,
        "sortable": sortable,
        "shortened": shortened,
        "share": share,
        "address": address,
        "drawing": Markup,
    }
    return made

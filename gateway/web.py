"""Pages: Jinja2 templates, and what every one of them shows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fastapi import Request, Response
from fastapi.staticfiles import StaticFiles
from fastapi.templating import Jinja2Templates
from jinja2 import StrictUndefined

from gateway.security.accounts import Role, Someone

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Place:
    """An entry of the navigation."""

    path: str
    name: str
    role: Role


PLACES = (
    Place("/", "Line", "operator"),
    Place("/inspections", "Inspections", "operator"),
    Place("/requests", "New request", "operator"),
    Place("/review", "Review", "reviewer"),
    Place("/accuracy", "Accuracy", "reviewer"),
    Place("/datasets", "Data sets", "engineer"),
    Place("/releases", "Releases", "engineer"),
    Place("/recipes", "Recipes", "engineer"),
    Place("/alerts", "Alerts", "operator"),
    Place("/users", "Users", "admin"),
)


class Web:
    """Renders templates; a name that no one passed is an error, not an empty string."""

    def __init__(self) -> None:
        self.templates = Jinja2Templates(HERE / "templates", context_processors=[_everywhere])
        self.templates.env.undefined = StrictUndefined
        self.templates.env.trim_blocks = self.templates.env.lstrip_blocks = True
        self.templates.env.filters |= {"moment": moment, "percent": percent, "number": number}

    def page(self, request: Request, template: str, status_code: int = 200, **context: Any) -> Response:
        """A page, or a part of one."""
        return self.templates.TemplateResponse(request, template, context, status_code=status_code)


def static_files() -> StaticFiles:
    """Ours, and under vendor/ what comes from npm."""
    return StaticFiles(directory=HERE / "static")


def _everywhere(request: Request) -> dict[str, Any]:
    someone: Someone | None = getattr(request.state, "someone", None)
    return {"someone": someone, "places": [p for p in PLACES if someone and someone.may(p.role)]}


def moment(value: datetime | None) -> str:
    """UTC, to the second; the browser shows it in its own zone (static/app.js)."""
    return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S") if value else "–"


def percent(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else f"{100 * value:.{digits}f} %"


def number(value: float | None, digits: int = 3) -> str:
    """Significant digits, thousands apart."""
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.{digits}g}" if abs(value) < 1000 else f"{value:,.0f}"

"""HTML: what people look at, one module a page."""

from __future__ import annotations

from fastapi import APIRouter

from gateway.pages import (
    account,
    accuracy,
    alerts,
    annotate,
    audit,
    datasets,
    docs,
    gage,
    inspection,
    inspections,
    line,
    login,
    oidc,
    recipes,
    releases,
    requests,
    review,
    users,
)
from gateway.parts import Parts


def routers(parts: Parts) -> list[APIRouter]:
    return [
        module.router(parts)
        for module in (
            alerts,
            requests,
            line,
            inspections,
            inspection,
            login,
            releases,
            recipes,
            annotate,
            datasets,
            review,
            accuracy,
            gage,
            account,
            users,
            audit,
            oidc,
            docs,
        )
    ]

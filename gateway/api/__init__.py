"""REST: what machines ask for, one module a resource."""

from fastapi import APIRouter

from gateway.api import (
    account,
    accuracy,
    alerts,
    annotations,
    audit,
    catalogue,
    dataset_items,
    datasets,
    drafts,
    gage,
    health,
    inspections,
    keys,
    line,
    pictures,
    recipes,
    releases,
    requests,
    review,
    search,
    users,
    v2,
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
            search,
            pictures,
            catalogue,
            recipes,
            releases,
            health,
            annotations,
            review,
            accuracy,
            gage,
            drafts,
            dataset_items,
            datasets,
            account,
            users,
            keys,
            audit,
            v2,
        )
    ]

"""Settings of the recorder alone; what it shares with the gateway is in ``gateway.settings``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gateway.store.retention import Policy
from opica import values
from opica.settings import Environment, variable

Days = Annotated[int, Field(ge=0, le=36_500)]
DAYS = "days, 0 for ever"


class Settings(Environment):
    host: values.Host = variable(
        "OPICA_RECORDER_HOST", "where the recorder's health and metrics are served", "an address of this machine", "127.0.0.1"
    )
    port: values.Port | None = variable("OPICA_RECORDER_PORT", "the port there; without it they are not", "a port", None)
    log_level: Annotated[Literal["debug", "info", "warning", "error"], values.Lower] = variable(
        "OPICA_LOG_LEVEL", "what the recorder's log tells", "debug, info, warning or error", "info"
    )
    rows: Days = variable("OPICA_KEEP_ROWS", "keep inspections, with their files, reviews and comparisons", DAYS, 0)
    images: Days = variable("OPICA_KEEP_IMAGES", "keep photographs that were uploaded to the gateway", DAYS, 0)
    masks: Days = variable("OPICA_KEEP_MASKS", "keep masks", DAYS, 0)
    answers: Days = variable("OPICA_KEEP_ANSWERS", "keep alerts, and answers to requests that were not decided", DAYS, 0)
    audit: Days = variable("OPICA_KEEP_AUDIT", "keep who did what", DAYS, 0)
    idempotency: Days = variable("OPICA_KEEP_IDEMPOTENCY", "keep answers to requests with an Idempotency-Key", DAYS, 1)

    @property
    def policy(self) -> Policy:
        return Policy(self.rows, self.images, self.masks, self.answers, self.audit, self.idempotency)

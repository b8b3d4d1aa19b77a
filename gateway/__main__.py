"""``python -m gateway``: serve REST and the dashboard, with settings from the environment.

``key``: make an API key. ``record``: record what the line says over AMQP. ``retention``: delete what is old.
``migrate``: bring the database up to date. ``settings``: list the settings. ``routes``: list who may call what.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys

import uvicorn
import uvloop
from prometheus_client import REGISTRY
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp

from gateway.app import create_app
from gateway.parts import Parts
from gateway.record.run import run as run_recorder
from gateway.record.settings import Settings as RecorderSettings
from gateway.review.policies import canaries
from gateway.review.queue import Sampler
from gateway.security.accounts import ROLES, Accounts
from gateway.security.table import table
from gateway.settings import Settings
from gateway.store.database import Database
from gateway.store.retention import Retention
from opica.amqp.depths import Depths
from opica.amqp.link import parameters
from opica.amqp.sender import Sender
from opica.amqp.topology import Topology
from opica.balancer import Balancer
from opica.errors import OpicaError
from opica.releases import Catalogue
from opica.sources import Sources
from opica.triton import TritonInspector

SLOTS = 8
"""uploads on their way to one Triton through shared memory; more go over gRPC"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m gateway", description=__doc__)
    verbs = parser.add_subparsers(dest="verb")
    key = verbs.add_parser("key", help="make an API key of a user and print it, once")
    key.add_argument("name", help="what it is for")
    key.add_argument("--user", default="admin")
    key.add_argument("--role", choices=ROLES, default="operator", help="what it may do, at most what its user may")
    verbs.add_parser("record", help="record what the line says over AMQP, until SIGTERM")
    retention = verbs.add_parser("retention", help="delete what OPICA_KEEP_* does not keep, as the recorder does once an hour")
    retention.add_argument("--dry-run", action="store_true", help="only count it")
    verbs.add_parser("migrate", help="bring the tables up to date and end, as the gateway and the recorder do at their start")
    verbs.add_parser("settings", help="list the settings")
    verbs.add_parser("routes", help="list who may call what, as docs/access.md does")
    options = parser.parse_args()
    try:
        run(options)
    except OpicaError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def run(options: argparse.Namespace) -> None:
    """Raises: OpicaError."""
    if options.verb == "settings":
        print(Settings.describe(), "The recorder and retention, beside these:", RecorderSettings.describe(), sep="\n\n")
        return
    settings = Settings.from_environment(os.environ)
    database = Database(settings.database)
    accounts = Accounts(database)
    if options.verb == "routes":
        print(table(create_app(assemble(settings, database, accounts))), end="")
        return
    if options.verb == "record":
        record(settings, database)
        return
    database.migrate()
    if options.verb == "migrate":
        return
    if options.verb == "retention":
        tidy(settings, database, options.dry_run)
        return
    if password := accounts.first():
        print(f"first start: sign in as admin with the one-time password {password}", file=sys.stderr, flush=True)
    if options.verb == "key":
        print(accounts.create_key(options.user, options.name, options.role, "shell"))
        return
    serve(settings, database, accounts)


def record(settings: Settings, database: Database) -> None:
    """Until SIGTERM."""
    own = RecorderSettings.from_environment(os.environ)
    logging.basicConfig(level=own.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True)
    logging.getLogger("pika").setLevel(logging.ERROR)  # what it warns of, we say in our own words
    sampler = Sampler(canaries(Catalogue(settings.repository, look_every_s=0.25)))
    uvloop.run(run_recorder(settings, own, database, [sampler]))


def tidy(settings: Settings, database: Database, dry: bool) -> None:
    policy = RecorderSettings.from_environment(os.environ).policy
    deleted = Retention(database, policy, settings.var / "images", settings.masks).run(dry)
    found = " ".join(f"{kind}={number}" for kind, number in sorted(deleted.items()))
    print(f"retention: {'would delete' if dry else 'deleted'} {found or 'nothing'}")


def assemble(settings: Settings, database: Database, accounts: Accounts) -> Parts:
    brokers = [parameters(url, settings.amqp_tls, "opica gateway") for url in settings.amqp_urls]
    return Parts(
        database=database,
        accounts=accounts,
        inspector=Balancer(",".join(settings.triton), lambda one: TritonInspector(one, SLOTS, tls=settings.triton_tls)),
        catalogue=Catalogue(settings.repository, look_every_s=0.25),
        sources=Sources(settings.roots, settings.https_source),
        sender=Sender(brokers, Topology(settings.prefix)) if brokers else None,
        queues=Depths(brokers, Topology(settings.prefix)) if brokers else None,
        images=settings.var / "images",
        masks=settings.masks,
        annotations=settings.var / "annotations",
        registry=REGISTRY,
        https=settings.https,
        oidc=settings.provider,
    )


def serve(settings: Settings, database: Database, accounts: Accounts) -> None:
    """Until SIGTERM."""
    if warning := settings.open_to_others:
        print(f"warning: {warning}", file=sys.stderr, flush=True)
    app: ASGIApp = create_app(assemble(settings, database, accounts))
    if settings.hosts:
        app = TrustedHostMiddleware(app, [*settings.hosts, "localhost", "127.0.0.1", "[::1]"], www_redirect=False)
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        log_level="info",
        access_log=False,
        proxy_headers=bool(settings.proxies),
        forwarded_allow_ips=",".join(settings.proxies),
        server_header=False,
    )


if __name__ == "__main__":
    sys.exit(main())

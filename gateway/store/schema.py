"""The tables. What is searched lies in columns; what explains lies whole, as the JSON that was published.

A change here needs a migration (a test holds both equal):
``alembic -c gateway/store/alembic.ini revision --autogenerate -m "why"``
"""

from datetime import UTC, datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.engine import Dialect

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Key = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts up INTEGER keys only

NAME = String(128)
TEXT = String(512)


class UtcTime(TypeDecorator):
    """A moment. SQLite forgets the zone, so UTC goes in and UTC comes out; one without a zone is refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


TIME = UtcTime()

# --- what the line decided -------------------------------------------------------------------------------------------

inspections = Table(
    "inspections",
    metadata,
    Column("seq", Key, primary_key=True, autoincrement=True),  # order of arrival: the key that pages go by
    Column("id", NAME, nullable=False, unique=True),
    Column("created", TIME, nullable=False),
    Column("product", NAME, nullable=False),
    Column("release", NAME, nullable=False),
    Column("decision", String(8), nullable=False),  # accept, reject
    Column("confidence", Float, nullable=False),
    Column("head_id", TEXT),
    Column("lot", TEXT),
    Column("source", TEXT, nullable=False),
    Column("image", Text, nullable=False),  # URI
    Column("mask", Text, nullable=False),  # URI
    Column("total_ms", Float),
    Column("recipe_version", Integer),
    Column("verdict", String(8)),  # accept, reject: what the reviews came to; empty until then
    Column("event", Text, nullable=False),  # DecisionEvent, JSON
    Index(None, "created", "seq"),
    Index(None, "product", "created", "seq"),
    Index(None, "decision", "created", "seq"),
    Index(None, "release", "created", "seq"),
    Index(None, "lot", "created", "seq"),
    Index(None, "head_id", "created", "seq"),
    Index(None, "verdict", "created", "seq"),
    Index(  # of the few that were reviewed those that agree and, fewer still, those that do not, in the order of pages
        "ix_inspections_outcome",
        *("verdict", "decision", "created", "seq"),
        sqlite_where=text("verdict IS NOT NULL"),
        postgresql_where=text("verdict IS NOT NULL"),
    ),
    Index(  # all that the accuracy page asks of what was reviewed, without the rows, which are long
        "ix_inspections_reviewed",
        *("product", "created", "release", "decision", "verdict", "id"),
        sqlite_where=text("verdict IS NOT NULL"),
        postgresql_where=text("verdict IS NOT NULL"),
    ),
    Index(None, "source", "created", "seq"),
    Index(None, "confidence", "created", "seq"),
)

tags = Table(  # reason codes and classes of each inspection
    "tags",
    metadata,
    Column("tag", NAME, primary_key=True),  # reason:CONTAM_PLACE, class:Contam
    Column("created", TIME, primary_key=True),  # the inspection's, so that what has a tag is found in order
    Column("seq", Key, ForeignKey("inspections.seq", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Index(None, "seq"),
)

tallies = Table(  # what charts are drawn from, counted as decisions arrive: a row a minute, product and release
    "tallies",
    metadata,
    Column("minute", TIME, primary_key=True),
    Column("product", NAME, primary_key=True),
    Column("release", NAME, primary_key=True),
    Column("accepted", Integer, nullable=False),
    Column("rejected", Integer, nullable=False),
    Column("confidence", Float, nullable=False),  # sum
    Column("total_ms", Float, nullable=False),  # sum
)

drift = Table(  # an hour's photographs and confidences, from a sample: what they were like
    "drift",
    metadata,
    Column("hour", TIME, primary_key=True),
    Column("product", NAME, primary_key=True),
    Column("release", NAME, primary_key=True),
    Column("decisions", Integer, nullable=False),  # sampled
    Column("confidences", Text, nullable=False),  # JSON: how many of them lie in each bin (gateway/accuracy/drift.py)
    Column("photographs", Integer, nullable=False),  # sampled; the rest is their mean, none where none could be read
    Column("red", Float),  # 0..255
    Column("green", Float),
    Column("blue", Float),
    Column("contrast", Float),  # standard deviation of the pixels, mean of the channels, 0..127.5
    Column("sharpness", Float),  # variance of the Laplacian of the grey values over theirs
)

answers = Table(  # requests that were not decided: invalid, expired
    "answers",
    metadata,
    Column("seq", Key, primary_key=True, autoincrement=True),
    Column("event_id", NAME, nullable=False, unique=True),
    Column("kind", String(16), nullable=False),
    Column("inspection_id", NAME, index=True),
    Column("created", TIME, nullable=False, index=True),
    Column("event", Text, nullable=False),
)

alerts = Table(
    "alerts",
    metadata,
    Column("seq", Key, primary_key=True, autoincrement=True),
    Column("event_id", NAME, nullable=False, unique=True),
    Column("kind", NAME, nullable=False),
    Column("subject", TEXT, nullable=False),
    Column("state", String(16), nullable=False),
    Column("severity", String(16), nullable=False),
    Column("message", Text, nullable=False),
    Column("since", TIME, nullable=False),
    Column("created", TIME, nullable=False, index=True),
    Column("count", Integer, nullable=False),
    Column("acknowledged_by", NAME),
    Column("acknowledged", TIME),
    Index(None, "kind", "subject", "created"),
)

bridges = Table(  # each bridge's last sign of life
    "bridges",
    metadata,
    Column("name", TEXT, primary_key=True),
    Column("seen", TIME, nullable=False),
    Column("event", Text, nullable=False),
)

# --- who --------------------------------------------------------------------------------------------------------------

users = Table(
    "users",
    metadata,
    Column("name", NAME, primary_key=True),
    Column("role", String(16), nullable=False),  # operator, reviewer, engineer, admin
    Column("password_hash", Text),  # argon2; none: signs in by OIDC only
    Column("created", TIME, nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("must_change", Boolean, nullable=False),  # a one-time password
    Column("subject", TEXT, unique=True),  # issuer and sub of OpenID Connect
)

sessions = Table(
    "sessions",
    metadata,
    Column("token_hash", String(64), primary_key=True),
    Column("user", NAME, ForeignKey("users.name", ondelete="CASCADE"), nullable=False, index=True),
    Column("csrf", String(64), nullable=False),
    Column("created", TIME, nullable=False),
    Column("expires", TIME, nullable=False, index=True),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Key, primary_key=True, autoincrement=True),
    Column("name", NAME, nullable=False),
    Column("user", NAME, ForeignKey("users.name", ondelete="CASCADE"), nullable=False, index=True),
    Column("role", String(16), nullable=False),  # at most its user's
    Column("key_hash", String(64), nullable=False, unique=True),
    Column("created", TIME, nullable=False),
    Column("last_used", TIME),
    Column("revoked", TIME),
)

links = Table(  # filters that people saved for themselves
    "links",
    metadata,
    Column("user", NAME, ForeignKey("users.name", ondelete="CASCADE"), primary_key=True),
    Column("name", NAME, primary_key=True),
    Column("query", Text, nullable=False),  # JSON: what gateway.store.filter reads
)

audit = Table(  # who did what; never changed, never deleted but by retention
    "audit",
    metadata,
    Column("seq", Key, primary_key=True, autoincrement=True),
    Column("created", TIME, nullable=False, index=True),
    Column("who", NAME, nullable=False),
    Column("action", NAME, nullable=False),  # inspection.review, release.promote, user.create, ...
    Column("subject", TEXT, nullable=False),  # what it was done to: an inspection's id, a product, a user
    Column("detail", Text, nullable=False),  # JSON object
    Index(None, "subject", "seq"),
)

idempotency = Table(  # answers to POSTs that carried an Idempotency-Key
    "idempotency",
    metadata,
    Column("who", NAME, primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("fingerprint", String(64), nullable=False),  # of method, path and body
    Column("status", Integer, nullable=False),
    Column("headers", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("created", TIME, nullable=False, index=True),
)

# --- requests that were made here -----------------------------------------------------------------------------------

batches = Table(
    "batches",
    metadata,
    Column("id", NAME, primary_key=True),
    Column("created", TIME, nullable=False, index=True),
    Column("who", NAME, nullable=False),
    Column("product", NAME, nullable=False),
    Column("request", Text, nullable=False),  # JSON: what all of its requests share
    Column("released", TIME),  # when it was told to go; until then photographs may still be added
)

batch_items = Table(
    "batch_items",
    metadata,
    Column("batch", NAME, ForeignKey("batches.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("inspection_id", NAME, nullable=False, unique=True),
    Column("name", TEXT, nullable=False),  # of the file, as its owner calls it
    Column("image", Text, nullable=False),  # URI
    Column("sent", TIME),  # when the broker had it
)

# --- review -----------------------------------------------------------------------------------------------------------

policies = Table(  # what is reviewed, by product; the last version is in force
    "policies",
    metadata,
    Column("product", NAME, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("policy", Text, nullable=False),  # JSON
    Column("who", NAME, nullable=False),
    Column("why", TEXT, nullable=False),
    Column("created", TIME, nullable=False),
)

review_items = Table(
    "review_items",
    metadata,
    Column("inspection_id", NAME, primary_key=True),
    Column("product", NAME, nullable=False),
    Column("created", TIME, nullable=False),
    Column("why", NAME, nullable=False),  # accepted, rejected, unsure, canary, asked
    Column("reviewers", Integer, nullable=False),  # how many are wanted
    Column("blind", Boolean, nullable=False),  # judged without sight of the decision
    Column("state", String(16), nullable=False),  # open, disagreed, done
    Column("verdict", String(8)),  # once it is done
    Column("lease_by", NAME),  # who has it before them just now; nobody, once it is judged
    Column("lease_until", TIME, index=True),
    Index(None, "state", "created"),
    Index(None, "state", "product", "created"),
)

reviews = Table(
    "reviews",
    metadata,
    Column("id", Key, primary_key=True, autoincrement=True),
    Column("inspection_id", NAME, nullable=False),
    Column("reviewer", NAME, nullable=False),
    Column("verdict", String(8), nullable=False),  # accept, reject, skip
    Column("reason", NAME),  # a class, for a reject
    Column("comment", TEXT),
    Column("blind", Boolean, nullable=False),
    Column("expert", Boolean, nullable=False),  # decided a disagreement
    Column("created", TIME, nullable=False, index=True),
    Column("seconds", Float),  # how long it took
    UniqueConstraint("inspection_id", "reviewer"),
    Index(None, "reviewer", "created"),
    Index(None, "reviewer", "verdict"),
)

# --- gage studies -----------------------------------------------------------------------------------------------------

studies = Table(
    "studies",
    metadata,
    Column("id", Key, primary_key=True, autoincrement=True),
    Column("name", NAME, nullable=False, unique=True),
    Column("product", NAME, nullable=False),
    Column("trials", Integer, nullable=False),
    Column("who", NAME, nullable=False),
    Column("created", TIME, nullable=False),
    Column("closed", TIME),
)

study_parts = Table(
    "study_parts",
    metadata,
    Column("study", Key, ForeignKey("studies.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("inspection_id", NAME, nullable=False),
    Column("reference", String(8), nullable=False),  # the expert's verdict
    UniqueConstraint("study", "inspection_id"),
    Index(None, "inspection_id"),
)

study_appraisers = Table(
    "study_appraisers",
    metadata,
    Column("study", Key, ForeignKey("studies.id", ondelete="CASCADE"), primary_key=True),
    Column("appraiser", NAME, primary_key=True),
)

study_ratings = Table(
    "study_ratings",
    metadata,
    Column("study", Key, ForeignKey("studies.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("appraiser", NAME, primary_key=True),
    Column("trial", Integer, primary_key=True),
    Column("verdict", String(8), nullable=False),
    Column("created", TIME, nullable=False),
)

# --- annotation and data sets ----------------------------------------------------------------------------------------

annotations = Table(  # masks that people painted; every saving is a row, the last one counts
    "annotations",
    metadata,
    Column("id", Key, primary_key=True, autoincrement=True),
    Column("inspection_id", NAME, nullable=False),
    Column("product", NAME, nullable=False),
    Column("author", NAME, nullable=False),
    Column("created", TIME, nullable=False),
    Column("mask", Text, nullable=False),  # file name below the annotations folder
    Column("sha256", String(64), nullable=False),  # of that file
    Column("draft", Boolean, nullable=False),  # autosaved; one an author
    Column("base", Key),  # the saved annotation that the work began with; none: the prediction
    Index(None, "inspection_id", "id"),
)

datasets = Table(  # a version of a data set; closed ones never change
    "datasets",
    metadata,
    Column("id", Key, primary_key=True, autoincrement=True),
    Column("name", NAME, nullable=False),
    Column("version", Integer, nullable=False),
    Column("product", NAME, nullable=False),
    Column("parent", Key, ForeignKey("datasets.id")),
    Column("who", NAME, nullable=False),
    Column("why", TEXT, nullable=False),
    Column("licence", TEXT),
    Column("shares", TEXT, nullable=False),  # JSON: of the parts that each split gets
    Column("created", TIME, nullable=False),
    Column("closed", TIME),
    Column("sha256", String(64)),  # of its content, once closed
    UniqueConstraint("name", "version"),
)

dataset_items = Table(
    "dataset_items",
    metadata,
    Column("dataset", Key, ForeignKey("datasets.id", ondelete="CASCADE"), primary_key=True),
    Column("inspection_id", NAME, primary_key=True),
    Column("annotation", Key, ForeignKey("annotations.id")),
    Column("split", String(16), nullable=False),  # train, validation, test
    Column("part", TEXT, nullable=False),  # head id: one part never lies in two splits
    Index(None, "inspection_id"),
    Column("photograph", NAME, nullable=False),  # file name below the objects folder: SHA-256 and format
    Column("mask", NAME, nullable=False),  # likewise
    Column("verdict", String(8)),  # the reviewers', where there is one
    Column("facts", Text, nullable=False),  # JSON: size, pixels of each class, defects
)

# --- releases ---------------------------------------------------------------------------------------------------------

comparisons = Table(  # two releases on the same photographs; a shadow is one that never ends
    "comparisons",
    metadata,
    Column("id", Key, primary_key=True, autoincrement=True),
    Column("product", NAME, nullable=False),
    Column("ours", NAME, nullable=False),
    Column("theirs", NAME, nullable=False),
    Column("shadow", Boolean, nullable=False),
    Column("wanted", Integer, nullable=False),  # photographs
    Column("state", String(16), nullable=False),  # running, done, failed
    Column("problem", Text),
    Column("who", NAME, nullable=False),
    Column("created", TIME, nullable=False),
)

compared = Table(
    "compared",
    metadata,
    Column("comparison", Key, ForeignKey("comparisons.id", ondelete="CASCADE"), primary_key=True),
    Column("inspection_id", NAME, primary_key=True),
    Column("ours", String(8), nullable=False),  # decisions
    Column("theirs", String(8), nullable=False),
    Column("detail", Text, nullable=False),  # JSON: reasons, confidence and mask of theirs
    Column("created", TIME, nullable=False),
    Index(None, "inspection_id"),
)

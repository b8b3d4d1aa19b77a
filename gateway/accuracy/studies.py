"""Gage studies: who judges which parts how often, blind, and what it came to."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Integer, Select, cast, exists, func, insert, select, update
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError
from starlette.exceptions import HTTPException

from gateway.accuracy.study import Candidate, Judged, NewStudy, Place, Progress, Rating, Report, Study
from gateway.errors import Conflict
from gateway.security.access import Forbidden
from gateway.security.accounts import ROLES
from gateway.store.audit import Audit
from gateway.store.database import Database
from gateway.store.schema import inspections, reviews, studies, study_appraisers, study_parts, study_ratings, users
from opica.agreement import Verdict
from opica.errors import BadInput
from opica.gage import analyse

INSPECTION = re.compile(r"[A-Za-z0-9._-]{1,128}")

p, a, g = study_parts.c, study_appraisers.c, study_ratings.c


class Studies:
    def __init__(self, database: Database, audit: Audit, now: Callable[[], datetime]) -> None:
        self.database, self.audit, self.now = database, audit, now

    def all(self) -> list[Study]:
        """Newest first. Raises: Unavailable."""
        with self.database.read() as connection:
            return _studies(connection, select(studies).order_by(studies.c.id.desc()))

    def get(self, study: int) -> Study:
        """Raises: HTTPException: 404; Unavailable."""
        with self.database.read() as connection:
            return _study(connection, study)

    def people(self) -> list[str]:
        """Who can be an appraiser: users who may review."""
        may = ROLES[ROLES.index("reviewer") :]
        chosen = select(users.c.name).where(users.c.role.in_(may), users.c.disabled.is_(False)).order_by(users.c.name)
        with self.database.read() as connection:
            return list(connection.execute(chosen).scalars())

    def candidates(self, product: str, number: int, expert_only: bool = False) -> list[Candidate]:
        """Reviewed parts by chance, as many good as bad ones; of a kind that is rare, what there is. Raises: Unavailable."""
        i = inspections.c
        found: list[Candidate] = []
        with self.database.read() as connection:
            for verdict, wanted in (("accept", number - number // 2), ("reject", number // 2)):
                chosen = select(i.id).where(i.product == product, i.verdict == verdict).order_by(func.random()).limit(wanted)
                if expert_only:
                    chosen = chosen.where(_by_expert(i.id))
                found += _candidates(connection, list(connection.execute(chosen).scalars()))
        return found

    def look_up(self, product: str, ids: Sequence[str]) -> list[Candidate]:
        """Raises: BadInput: an inspection is not there, or of another product; Unavailable."""
        ids = list(dict.fromkeys(ids))
        if broken := [identity for identity in ids if not INSPECTION.fullmatch(identity)]:
            raise BadInput(f"parts: {broken[0]!r} is no inspection's id")
        with self.database.read() as connection:
            found = _candidates(connection, ids, product)
        if missing := sorted(set(ids) - {candidate.inspection_id for candidate in found}):
            raise BadInput(f"parts: {product} has no inspection {', '.join(missing[:5])}")
        return found

    def create(self, new: NewStudy, who: str) -> Study:
        """Raises: BadInput: a part or an appraiser is not there; Conflict: the name is taken; Unavailable."""
        ids = [part.inspection_id for part in new.parts]
        if len(set(ids)) < len(ids):
            raise BadInput("parts: an inspection stands there twice")
        self.look_up(new.product, ids)
        if strangers := sorted(set(new.appraisers) - set(self.people())):
            raise BadInput(f"appraisers: {', '.join(strangers)}: no such user, or one who may not review")
        try:
            with self.database.write() as connection:
                row = {**new.model_dump(include={"name", "product", "trials"}), "who": who, "created": self.now()}
                made = connection.execute(insert(studies).returning(studies.c.id), row).scalar_one()
                rows = [{"study": made, "number": n, **part.model_dump()} for n, part in enumerate(new.parts, 1)]
                connection.execute(insert(study_parts), rows)
                appraisers = [{"study": made, "appraiser": name} for name in dict.fromkeys(new.appraisers)]
                connection.execute(insert(study_appraisers), appraisers)
                self.audit.note(
                    connection, who, "study.create", new.name, study=made, parts=len(ids), appraisers=new.appraisers
                )
                return _study(connection, made)
        except IntegrityError as error:
            raise Conflict(f"there is a study {new.name!r} already; choose another name") from error

    def place(self, study: int, who: str) -> Place:
        """Raises: HTTPException: 404; Forbidden: they are no appraiser of it; Unavailable."""
        with self.database.read() as connection:
            return _place(_study(connection, study), who)

    def shown(self, study: int, who: str, trial: int, position: int) -> str:
        """The inspection that lies there, if it is before them now, was just before, or comes next.

        Raises:
            HTTPException: 404: no such study or place.
            Forbidden: they are no appraiser of it, or have no business there.
        """
        with self.database.read() as connection:
            known = _study(connection, study)
            at = _place(known, who)
            _within(known, trial, position)
            if abs((trial - 1) * known.parts + position - 1 - at.done) > 1:
                raise Forbidden("parts are shown one after the other")
            number = _order(known, who, trial)[position - 1]
            wanted = select(p.inspection_id).where(p.study == study, p.number == number)
            return connection.execute(wanted).scalar_one()

    def rate(self, study: int, who: str, rating: Rating) -> Place:
        """Judge the part that lies before them, or the one before it again.

        Raises:
            Conflict: the study is closed, or they are elsewhere in it.
            Forbidden, HTTPException, Unavailable: see ``place``.
        """
        try:
            with self.database.write() as connection:
                known = _study(connection, study)
                at = _place(known, who)
                if known.closed:
                    raise Conflict("this study is closed")
                _within(known, rating.trial, rating.position)
                ahead = (rating.trial - 1) * known.parts + rating.position - 1 - at.done
                if ahead not in (0, -1):
                    raise Conflict(f"you are at part {at.position} of trial {at.trial}; reload the page")
                number = _order(known, who, rating.trial)[rating.position - 1]
                key = {"study": study, "number": number, "appraiser": who, "trial": rating.trial}
                said = {"verdict": rating.verdict, "created": self.now()}
                if ahead == 0:
                    connection.execute(insert(study_ratings), {**key, **said})
                else:
                    same = [study_ratings.c[name] == value for name, value in key.items()]
                    connection.execute(update(study_ratings).where(*same).values(**said))
                self.audit.note(connection, who, "study.rate", known.name, **key, verdict=rating.verdict)
                return _place(_study(connection, study), who)
        except IntegrityError as error:
            raise Conflict("this part was judged a moment ago, in another window; reload the page") from error

    def close(self, study: int, who: str) -> Study:
        """No more ratings; the report can be read. Raises: Conflict: closed already, or nobody has finished; Unavailable."""
        with self.database.write() as connection:
            known = _study(connection, study)
            if known.closed:
                raise Conflict("this study is closed already")
            if not any(one.done == one.of for one in known.progress):
                raise Conflict("no appraiser has judged every part in every trial yet")
            connection.execute(update(studies).where(studies.c.id == study).values(closed=self.now()))
            self.audit.note(connection, who, "study.close", known.name, study=study)
            return _study(connection, study)

    def report(self, study: int) -> Report:
        """Raises: Conflict: it is still open, and would tell appraisers the reference; HTTPException: 404; Unavailable."""
        chosen = (
            select(p.number, p.inspection_id, p.reference, inspections.c.decision, inspections.c.release)
            .select_from(study_parts.outerjoin(inspections, inspections.c.id == p.inspection_id))
            .where(p.study == study)
            .order_by(p.number)
        )
        with self.database.read() as connection:
            known = _study(connection, study)
            if not known.closed:
                raise Conflict("this study is open: its report would tell the appraisers what is right")
            parts = connection.execute(chosen).all()
            ratings = connection.execute(select(study_ratings).where(g.study == study).order_by(g.trial)).all()
        finished = [one.appraiser for one in known.progress if one.done == one.of]
        said: dict[str, dict[int, list[Verdict]]] = {name: defaultdict(list) for name in finished}
        for rating in ratings:
            if rating.appraiser in said:
                said[rating.appraiser][rating.number].append(rating.verdict)
        reference = [part.reference for part in parts]
        people = {name: [by_part[part.number] for part in parts] for name, by_part in said.items()}
        analysis = everybody = analyse(reference, people)
        model = None
        if all(part.decision for part in parts):
            name = f"model ({', '.join(sorted({part.release for part in parts}))})"
            said[name] = {part.number: [part.decision] for part in parts}
            everybody = analyse(reference, {**people, name: [[part.decision] for part in parts]})
            model = everybody.appraisers[-1]
        judged = [
            Judged(
                number=part.number,
                inspection_id=part.inspection_id,
                reference=part.reference,
                said={name: by_part[part.number] for name, by_part in said.items()},
            )
            for part in parts
        ]
        return Report(
            study=known,
            analysis=analysis,
            model=model,
            model_pairs=[pair for pair in everybody.pairs if model and pair.other == model.name],
            unfinished=[one.appraiser for one in known.progress if one.done < one.of],
            parts=judged,
            disputed=[judged[index] for index in everybody.disputed],
        )


def _studies(connection: Connection, chosen: Select[Any]) -> list[Study]:
    rows = connection.execute(chosen).all()
    ids = [row.id for row in rows]
    good = cast(p.reference == "accept", Integer)
    counted = select(p.study, func.count(), func.sum(good)).where(p.study.in_(ids)).group_by(p.study)
    sizes = {study: (parts, goods) for study, parts, goods in connection.execute(counted)}
    rated = (
        select(a.study, a.appraiser, func.count(g.number))
        .select_from(study_appraisers.outerjoin(study_ratings, (g.study == a.study) & (g.appraiser == a.appraiser)))
        .where(a.study.in_(ids))
        .group_by(a.study, a.appraiser)
        .order_by(a.appraiser)
    )
    progress: dict[int, list[tuple[str, int]]] = defaultdict(list)
    for study, name, done in connection.execute(rated):
        progress[study].append((name, done))
    return [
        Study(
            **{name: getattr(row, name) for name in ("id", "name", "product", "trials", "who", "created", "closed")},
            parts=sizes[row.id][0],
            good=sizes[row.id][1],
            progress=[Progress(appraiser=name, done=done, of=row.trials * sizes[row.id][0]) for name, done in progress[row.id]],
        )
        for row in rows
    ]


def _study(connection: Connection, study: int) -> Study:
    found = _studies(connection, select(studies).where(studies.c.id == study))
    if not found:
        raise HTTPException(404, f"there is no study {study}")
    return found[0]


def _place(study: Study, who: str) -> Place:
    mine = [one for one in study.progress if one.appraiser == who]
    if not mine:
        raise Forbidden(f"{who} is no appraiser of the study {study.name!r}")
    done, finished = mine[0].done, mine[0].done >= mine[0].of
    last = min(done, mine[0].of - 1)
    return Place(
        study=study.id,
        name=study.name,
        trial=last // study.parts + 1,
        position=last % study.parts + 1,
        trials=study.trials,
        parts=study.parts,
        done=done,
        finished=finished,
        closed=study.closed is not None,
    )


def _within(study: Study, trial: int, position: int) -> None:
    if not (1 <= trial <= study.trials and 1 <= position <= study.parts):
        raise HTTPException(404, f"{study.name!r} has {study.trials} trials of {study.parts} parts")


def _order(study: Study, who: str, trial: int) -> list[int]:
    """The parts' numbers as they come before this appraiser in this trial: by chance, and always the same."""
    numbers = list(range(1, study.parts + 1))
    random.Random(f"{study.id}/{who}/{trial}").shuffle(numbers)
    return numbers


def _by_expert(identity: Any) -> Any:
    return exists().where(reviews.c.inspection_id == identity, reviews.c.expert.is_(True))


def _candidates(connection: Connection, ids: Sequence[str], product: str | None = None) -> list[Candidate]:
    i = inspections.c
    chosen = select(i.id, i.verdict, _by_expert(i.id).label("expert")).where(i.id.in_(ids))
    rows = connection.execute(chosen.where(i.product == product) if product else chosen)
    return sorted(
        (Candidate(inspection_id=row.id, reference=row.verdict, expert=bool(row.expert)) for row in rows),
        key=lambda candidate: ids.index(candidate.inspection_id),
    )

"""Who decides, and who changed it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gateway.errors import Conflict
from gateway.store.audit import Audit
from opica.errors import BadInput, ConfigurationError
from opica.releases import CANARY, CHAMPION, SHADOW, Catalogue, Promotion, Release

ALIASES = (CHAMPION, CANARY, SHADOW)


@dataclass(frozen=True)
class Standing:
    """One product: its releases, and what each alias names now."""

    product: str
    releases: list[Release]
    """newest first"""
    promotions: dict[str, Promotion]
    """by alias"""
    before: str | None
    """the champion before this one: where a roll-back leads"""
    history: list[Promotion]
    """newest first"""


class Aliases:
    def __init__(self, catalogue: Catalogue, audit: Audit) -> None:
        self.catalogue, self.audit = catalogue, audit

    def standing(self, product: str) -> Standing:
        """Raises: UnknownProduct."""
        history = [p for p in reversed(self.catalogue.promotions()) if p.product == product]
        champions = [p.release for p in history if p.alias == CHAMPION]
        before = next((release for release in champions if release != champions[0]), None)
        return Standing(product, self.catalogue.releases(product)[::-1], self.decided_at(product), before, history)

    def promote(
        self, product: str, alias: str, release: str | None, who: str, why: str, share: float | None, seen: str | None
    ) -> Promotion:
        """Let ``alias`` name ``release`` (None: nobody) from now on.

        Args:
            seen: what the alias named when whoever asks looked; "" for nothing, None not to check.

        Raises:
            Conflict: it names another one by now.
            UnknownRelease, BadInput: see ``Catalogue.promote``.
        """
        standing = self.catalogue.standing().get((product, alias))
        named = standing.release if standing else ""
        if seen is not None and seen != named:
            by = f" ({standing.who}: {standing.why})" if standing else ""
            raise Conflict(f"{alias} of {product} names {named or 'nothing'} by now{by}; look again before you change it")
        try:
            promotion = self.catalogue.promote(product, alias, release, who, why, share)
        except ConfigurationError as error:
            raise BadInput(str(error)) from error
        self.audit.write(who, "release.promote", product, alias=alias, release=release, share=share, why=why, before=named)
        return promotion

    def roll_back(self, product: str, who: str, why: str) -> Promotion:
        """Let the champion before this one decide again.

        Raises:
            Conflict: there was none.
        """
        before = self.standing(product).before
        if before is None:
            raise Conflict(f"{product} never had another champion")
        return self.promote(product, CHAMPION, before, who, why, None, None)

    def decided_at(self, product: str, when: datetime | None = None) -> dict[str, Promotion]:
        """What each alias names, now or at a moment of the past."""
        return {alias: p for (name, alias), p in self.catalogue.standing(when).items() if name == product}

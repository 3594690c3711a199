"""What there is in the project: events, properties, saved things, the account."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixpanel_data._asking import Asking
from mixpanel_data._days import days
from mixpanel_data._later import Later

if TYPE_CHECKING:
    from datetime import date

    from mixpanel_data import discovery
    from mixpanel_data._results import Listing
else:
    discovery = Later("mixpanel_data.discovery")


class Discovery(Asking):
    """What there is in the project. Most answers are kept until :meth:`clear_discovery_cache`.

    Each question counts as a query of 60 an hour. Errors are those of ``fetch_events``.
    """

    def events(self) -> list[str]:
        """The names of all events, up to 5,000, sorted. Kept."""
        return self._names("events")

    def properties(self, event: str) -> list[str]:
        """The names of all properties of an event, sorted. Kept.

        Raises:
            EventNotFoundError: There is no such event; ``similar_events`` may be meant.

        """
        return self._names("properties", event=event)

    def property_values(self, property_name: str, *, event: str | None = None, limit: int = 100) -> list[str]:
        """Values of a property as texts, in Mixpanel's order: of an event, or of all; 1 to 10,000. Kept."""
        return self._names("property_values", property_name=property_name, event=event, limit=limit)

    def top_events(
        self, *, type: discovery.CountType = "general", limit: int | None = None
    ) -> Listing[discovery.TopEvent]:
        """The events of today, the most frequent first. Asked for each time."""
        return self._list(discovery.TopEvent, "top_events", type=type, limit=limit)

    def funnels(self) -> Listing[discovery.FunnelInfo]:
        """The saved funnels, sorted by name. Kept."""
        return self._list(discovery.FunnelInfo, "funnels")

    def cohorts(self) -> Listing[discovery.SavedCohort]:
        """The saved cohorts, sorted by name. Kept."""
        return self._list(discovery.SavedCohort, "cohorts")

    def list_bookmarks(self, bookmark_type: discovery.BookmarkType | None = None) -> Listing[discovery.BookmarkInfo]:
        """The saved reports, of one kind or of all, in Mixpanel's order. Asked for each time."""
        return self._list(discovery.BookmarkInfo, "list_bookmarks", bookmark_type=bookmark_type)

    def lexicon_schemas(self, *, entity_type: discovery.EntityType | None = None) -> Listing[discovery.LexiconSchema]:
        """What the Lexicon says, sorted by type and name. Kept."""
        return self._list(discovery.LexiconSchema, "lexicon_schemas", entity_type=entity_type)

    def lexicon_schema(self, entity_type: discovery.EntityType, name: str) -> discovery.LexiconSchema:
        """What the Lexicon says of one event or profile.

        Raises:
            QueryError: It says nothing.

        """
        return self._answer(discovery.LexiconSchema, "lexicon_schema", entity_type=entity_type, name=name)

    def annotations(
        self, *, from_date: str | date | None = None, to_date: str | date | None = None
    ) -> Listing[discovery.Annotation]:
        """The annotations of some days, or all of them."""
        return self._list(discovery.Annotation, "annotations", **days(from_date, to_date))

    def me(self) -> discovery.Me:
        """Who the credentials belong to, and what they may see. Takes some seconds. Kept."""
        return self._answer(discovery.Me, "me")

    def project_info(self) -> discovery.ProjectInfo:
        """The project's name, time zone and region.

        Raises:
            QueryError: The credentials may not see it.

        """
        return self._answer(discovery.ProjectInfo, "project_info")

    def clear_discovery_cache(self) -> None:
        """Forgets what was kept, so that it is asked for again."""
        raise NotImplementedError

"""What there is in a Mixpanel project: events, properties, saved things, the account.

Answers, and :class:`Discovery`. Lists are lists of small objects, and tables (``.df``, ``.arrow()``,
``.pl()``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from mixpanel_data._days import days
from mixpanel_data._plain import Plain
from mixpanel_data._results import Listing, Result, listing, read, with_rows

if TYPE_CHECKING:
    from datetime import date

    from mixpanel_data import _core

__all__ = [
    "Annotation",
    "AnnotationTag",
    "AnnotationUser",
    "BookmarkInfo",
    "BookmarkType",
    "CountType",
    "Discovery",
    "EntityType",
    "FunnelInfo",
    "LexiconDefinition",
    "LexiconMetadata",
    "LexiconProperty",
    "LexiconSchema",
    "Listing",
    "Me",
    "Organization",
    "ProjectInfo",
    "SavedCohort",
    "TopEvent",
]

CountType = Literal["general", "unique", "average"]
"""Each event; each user once for each bucket of time; events per user."""

BookmarkType = Literal["insights", "funnels", "retention", "flows", "launch-analysis"]
"""The kinds of saved reports."""

EntityType = Literal["event", "profile"]
"""What a schema of the Lexicon is about."""

T = TypeVar("T")
R = TypeVar("R", bound=Result)


@dataclass(frozen=True)
class TopEvent(Plain):
    """An event of today; ``percent_change`` against yesterday, where 0.5 is half as much again."""

    event: str
    count: float
    percent_change: float | None


@dataclass(frozen=True)
class FunnelInfo(Plain):
    """A saved funnel."""

    funnel_id: int
    name: str


@dataclass(frozen=True)
class SavedCohort(Plain):
    """A saved cohort; ``count`` are its users, ``created`` is as Mixpanel writes it."""

    id: int
    name: str
    count: int | None
    description: str | None
    created: str | None
    is_visible: bool


@dataclass(frozen=True)
class BookmarkInfo(Plain):
    """A saved report; ``type`` is Mixpanel's word for its kind, times are as Mixpanel writes them."""

    id: int
    name: str
    type: str
    project_id: int | None
    created: str | None
    modified: str | None
    workspace_id: int | None
    dashboard_id: int | None
    description: str | None
    creator_id: int | None
    creator_name: str | None


@dataclass(frozen=True)
class LexiconMetadata(Plain):
    """How Mixpanel shows something."""

    source: str | None
    display_name: str | None
    tags: list[str]
    hidden: bool
    dropped: bool
    contacts: list[str]
    team_contacts: list[str]


@dataclass(frozen=True)
class LexiconProperty(Plain):
    """A property in a schema; ``type`` is a type of JSON."""

    type: str
    description: str | None
    metadata: LexiconMetadata | None


@dataclass(frozen=True)
class LexiconDefinition(Plain):
    """The content of a schema; ``properties`` by name."""

    description: str | None
    properties: dict[str, LexiconProperty]
    metadata: LexiconMetadata | None


@dataclass(frozen=True)
class LexiconSchema(Result):
    """What the Lexicon says of an event, or of profiles (``name`` is ``$user``)."""

    entity_type: str
    name: str
    schema_json: LexiconDefinition


@dataclass(frozen=True)
class AnnotationUser(Plain):
    """Who wrote an annotation."""

    id: int | None
    first_name: str | None
    last_name: str | None


@dataclass(frozen=True)
class AnnotationTag(Plain):
    """A tag of annotations."""

    id: int | None
    name: str


@dataclass(frozen=True)
class Annotation(Plain):
    """A note at a date; ``date`` is as Mixpanel writes it."""

    id: int
    date: str
    description: str
    user: AnnotationUser | None
    tags: list[AnnotationTag]


@dataclass(frozen=True)
class Organization(Plain):
    """An organization."""

    id: int
    name: str


@dataclass(frozen=True)
class Project(Plain):
    """A project that the account may see; ``timezone`` is an IANA name, ``domain`` its region's host."""

    id: int
    name: str
    organization_id: int | None
    timezone: str | None
    domain: str | None
    has_workspaces: bool | None


@dataclass(frozen=True)
class ProjectInfo(Result):
    """A project: its time zone (an IANA name) and region (``us``, ``eu`` or ``in``)."""

    id: int
    name: str
    organization_id: int | None
    timezone: str | None
    domain: str | None
    has_workspaces: bool | None
    region: str | None


@dataclass(frozen=True)
class Me(Result):
    """Who the credentials belong to, and what they may see; as a table, the projects."""

    user_id: int | None
    user_email: str | None
    user_name: str | None
    organizations: list[Organization]
    projects: list[Project]


class Asking:
    """How Mixpanel is asked: an injected client's method of the same name answers in its place."""

    def _ask_mixpanel(self, question: str, arguments: dict[str, Any]) -> tuple[Any, _core.ArrowRows | None]:
        """The answer and its table; without one, the answer is an injected client's own."""
        raise NotImplementedError

    def _answer(self, kind: type[R], question: str, **arguments: Any) -> R:
        raw, rows = self._ask_mixpanel(question, arguments)
        if rows is None:
            injected: R = raw
            return injected
        answer: R = read(kind, raw)
        return with_rows(answer, rows)

    def _list(self, kind: type[T], question: str, **arguments: Any) -> Listing[T]:
        raw, rows = self._ask_mixpanel(question, arguments)
        if rows is None:
            injected: Listing[T] = raw
            return injected
        return listing(kind, raw, rows)

    def _names(self, question: str, **arguments: Any) -> list[str]:
        names: list[str] = self._ask_mixpanel(question, arguments)[0]
        return names


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

    def top_events(self, *, type: CountType = "general", limit: int | None = None) -> Listing[TopEvent]:
        """The events of today, the most frequent first. Asked for each time."""
        return self._list(TopEvent, "top_events", type=type, limit=limit)

    def funnels(self) -> Listing[FunnelInfo]:
        """The saved funnels, sorted by name. Kept."""
        return self._list(FunnelInfo, "funnels")

    def cohorts(self) -> Listing[SavedCohort]:
        """The saved cohorts, sorted by name. Kept."""
        return self._list(SavedCohort, "cohorts")

    def list_bookmarks(self, bookmark_type: BookmarkType | None = None) -> Listing[BookmarkInfo]:
        """The saved reports, of one kind or of all, in Mixpanel's order. Asked for each time."""
        return self._list(BookmarkInfo, "list_bookmarks", bookmark_type=bookmark_type)

    def lexicon_schemas(self, *, entity_type: EntityType | None = None) -> Listing[LexiconSchema]:
        """What the Lexicon says, sorted by type and name. Kept."""
        return self._list(LexiconSchema, "lexicon_schemas", entity_type=entity_type)

    def lexicon_schema(self, entity_type: EntityType, name: str) -> LexiconSchema:
        """What the Lexicon says of one event or profile.

        Raises:
            QueryError: It says nothing.

        """
        return self._answer(LexiconSchema, "lexicon_schema", entity_type=entity_type, name=name)

    def annotations(
        self, *, from_date: str | date | None = None, to_date: str | date | None = None
    ) -> Listing[Annotation]:
        """The annotations of some days, or all of them."""
        return self._list(Annotation, "annotations", **days(from_date, to_date))

    def me(self) -> Me:
        """Who the credentials belong to, and what they may see. Takes some seconds. Kept."""
        return self._answer(Me, "me")

    def project_info(self) -> ProjectInfo:
        """The project's name, time zone and region.

        Raises:
            QueryError: The credentials may not see it.

        """
        return self._answer(ProjectInfo, "project_info")

    def clear_discovery_cache(self) -> None:
        """Forgets what was kept, so that it is asked for again."""
        raise NotImplementedError

"""What there is in a Mixpanel project: events, properties, saved things, the account.

Lists are lists of small objects, and tables (``.df``, ``.arrow()``, ``.pl()``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from mixpanel_data._plain import Plain
from mixpanel_data._results import Listing, Result

__all__ = [
    "Annotation",
    "AnnotationTag",
    "AnnotationUser",
    "BookmarkInfo",
    "BookmarkType",
    "CountType",
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
    project_id: int | None = None
    created: str | None = None
    modified: str | None = None
    workspace_id: int | None = None
    dashboard_id: int | None = None
    description: str | None = None
    creator_id: int | None = None
    creator_name: str | None = None


@dataclass(frozen=True)
class LexiconMetadata(Plain):
    """How Mixpanel shows something."""

    source: str | None = None
    display_name: str | None = None
    tags: list[str] = field(default_factory=list)
    hidden: bool = False
    dropped: bool = False
    contacts: list[str] = field(default_factory=list)
    team_contacts: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class LexiconProperty(Plain):
    """A property in a schema; ``type`` is a type of JSON."""

    type: str
    description: str | None = None
    metadata: LexiconMetadata | None = None


@dataclass(frozen=True)
class LexiconDefinition(Plain):
    """The content of a schema; ``properties`` by name."""

    description: str | None = None
    properties: dict[str, LexiconProperty] = field(default_factory=dict)
    metadata: LexiconMetadata | None = None


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

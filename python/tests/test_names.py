"""Names of events and properties: a text is one name, what is empty is refused, what is not there is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from unittest.mock import MagicMock

import pytest

from mixpanel_data import InvalidArgumentError, UnknownNameWarning, Workspace

if TYPE_CHECKING:
    from collections.abc import Callable


JUNE = {"from_date": "2025-06-01", "to_date": "2025-06-03"}


def test_a_text_is_one_name(workspace: Workspace) -> None:
    one = workspace.fetch_events("one", events="Purchase", **JUNE)
    other = workspace.fetch_events("other", events=("Purchase",), **JUNE)
    assert one.rows == other.rows > 0
    names = workspace.sql_rows("SELECT DISTINCT event_name FROM one").rows
    assert names == [("Purchase",)]
    streamed = list(workspace.stream_events(events="Purchase", **JUNE))
    assert len(streamed) == one.rows
    assert workspace.event_counts("Purchase", **JUNE).events == ["Purchase"]
    assert workspace.daily_counts(events="Purchase", table="one").events == ["Purchase"]


@pytest.mark.parametrize("names", ["", " ", [], ["Purchase", ""], [b"Purchase"], 7])
def test_what_is_no_name_is_refused(workspace: Workspace, names: Any) -> None:
    asked: list[Callable[[], Any]] = [
        lambda: workspace.fetch_events(events=names, **JUNE),
        lambda: workspace.sync(events=names, **JUNE),
        lambda: workspace.stream_events(events=names, **JUNE),
        lambda: workspace.event_counts(names, **JUNE),
        lambda: workspace.daily_counts(events=names),
        lambda: workspace.engagement_distribution(events=names),
        lambda: workspace.property_coverage("Purchase", names),
        lambda: workspace.activity_feed(names),
        lambda: workspace.fetch_profiles(output_properties=names),
    ]
    for ask in asked:
        with pytest.raises(InvalidArgumentError):
            ask()
    assert workspace.tables() == []


def test_an_empty_filter_is_refused(workspace: Workspace) -> None:
    for ask in (workspace.fetch_events, workspace.sync, workspace.stream_events):
        with pytest.raises(InvalidArgumentError, match="where is empty"):
            ask(where=" ", **JUNE)
    with pytest.raises(InvalidArgumentError):
        workspace.segmentation("Purchase", where="", **JUNE)


def test_an_injected_client_gets_the_names() -> None:
    client = MagicMock()
    client.export_events.return_value = iter([])
    with Workspace.memory(_api_client=client) as workspace:
        workspace.fetch_events(events="Purchase", progress=False, **JUNE)
    assert client.export_events.call_args.kwargs["events"] == ["Purchase"]


def test_names_that_are_not_there_are_told(workspace: Workspace) -> None:
    expected = "Mixpanel lists no event 'Purchse'; a similar name is 'Purchase'"
    with pytest.warns(UnknownNameWarning, match=expected) as caught:
        fetched = workspace.fetch_events("typo", events="Purchse", **JUNE)
    assert caught[0].filename == __file__
    assert [name.similar for name in fetched.unknown_names] == [["Purchase"]]
    assert (fetched.days_empty, fetched.days_partial) == (0, 3)
    with pytest.warns(UnknownNameWarning, match=expected):
        assert workspace.sync("typo", to_date="2025-06-03").unknown_names[0].name == "Purchse"
    with pytest.warns(UnknownNameWarning, match="Purchase"):
        assert list(workspace.stream_events(events="Purchse", **JUNE)) == []
    with pytest.warns(UnknownNameWarning, match=expected):
        workspace.segmentation("Purchse", **JUNE)
    with pytest.warns(UnknownNameWarning, match="the table has no event 'Purchse'"):
        assert workspace.daily_counts(events=["Purchse"], table="typo").counts == []


def test_what_is_there_is_not_warned_of(workspace: Workspace, recwarn: pytest.WarningsRecorder) -> None:
    workspace.fetch_events(events=["Purchase", "Search"], **JUNE)
    workspace.segmentation("Purchase", **JUNE)
    workspace.property_coverage("Purchase", "plan")
    assert [warning for warning in recwarn if issubclass(warning.category, UnknownNameWarning)] == []

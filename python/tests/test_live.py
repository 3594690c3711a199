"""Discovery and live queries, from the simulator; numbers against the fetched events."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING
from unittest.mock import MagicMock

import pytest

from mixpanel_data import (
    ConfigError,
    EventNotFoundError,
    EventSelector,
    Exclusion,
    Filter,
    GroupBy,
    InvalidArgumentError,
    Metric,
    PropertyRef,
    QueryError,
    Workspace,
)

if TYPE_CHECKING:
    from conftest import Simulator

JUNE = {"from_date": "2025-06-01", "to_date": "2025-06-10"}
EVENT = "Page View"


@pytest.fixture
def ws(workspace: Workspace) -> Workspace:
    workspace.fetch_events(**JUNE)
    return workspace


def test_names_are_discovered_and_kept(ws: Workspace) -> None:
    names = ws.events()
    assert names == sorted(names)
    assert EVENT in names
    properties = ws.properties(EVENT)
    assert properties == sorted(properties)
    # The server does not list what it adds itself.
    stored = {name for name in ws.property_keys("events", EVENT) if not name.startswith(("$mp_", "mp_"))}
    assert stored <= set(properties)
    values = ws.property_values("plan", limit=2)
    assert len(values) == 2
    with pytest.raises(EventNotFoundError) as raised:
        ws.properties("Page Vie")
    assert raised.value.similar_events == ["Page View", "page view"]
    ws.clear_discovery_cache()
    assert ws.events() == names


def test_saved_things_are_listed(ws: Workspace) -> None:
    funnels = ws.funnels()
    assert len(funnels) == len(funnels.df) == 3
    assert funnels[0].name <= funnels[1].name
    cohorts = ws.cohorts()
    assert list(cohorts.df.columns)[:3] == ["id", "name", "count"]
    assert any(not cohort.is_visible for cohort in cohorts)
    bookmarks = ws.list_bookmarks()
    insights = ws.list_bookmarks("insights")
    assert {bookmark.type for bookmark in insights} == {"insights"}
    assert len(bookmarks) > len(insights)
    assert bookmarks.to_dict()[0]["id"] == bookmarks[0].id
    assert isinstance(ws.top_events(limit=3), list)
    with pytest.raises(InvalidArgumentError, match="insights"):
        ws.list_bookmarks("nonsense")  # type: ignore[arg-type]


def test_the_lexicon_the_notes_and_the_account_are_read(ws: Workspace) -> None:
    schemas = ws.lexicon_schemas(entity_type="event")
    assert {schema.entity_type for schema in schemas} == {"event"}
    one = ws.lexicon_schema("event", schemas[0].name)
    assert one == schemas[0]
    with pytest.raises(QueryError):
        ws.lexicon_schema("event", "no such event")
    notes = ws.annotations()
    assert notes
    assert len(ws.annotations(from_date="2025-06-01", to_date="2025-06-30")) <= len(notes)
    with pytest.raises(InvalidArgumentError, match="both"):
        ws.annotations(from_date="2025-06-01")
    me = ws.me()
    project = ws.project_info()
    assert project.id in [known.id for known in me.projects]
    assert project.timezone
    assert len(me.df) == len(me.projects)


def test_segmentation_counts_what_was_fetched(ws: Workspace) -> None:
    found = ws.segmentation(EVENT, from_date="2025-06-01", to_date=date(2025, 6, 10))
    assert found.total == ws.sql_scalar(f"SELECT count(*) FROM events WHERE event_name = '{EVENT}'")
    assert list(found.series) == [EVENT]
    assert len(found.df) == len(found.series[EVENT]) == 10
    by_plan = ws.segmentation(EVENT, on="plan", **JUNE)
    expected = ws.sql_rows(f"SELECT plan, count(*) FROM events_flat WHERE event_name = '{EVENT}' GROUP BY 1").rows
    sums = {segment: sum(days.values()) for segment, days in by_plan.series.items()}
    assert sums == {plan or "undefined": count for plan, count in expected}
    users = ws.segmentation(EVENT, type="unique", where='properties["plan"] == "pro"', **JUNE)
    assert users.total is not None
    assert 0 < users.total < found.total
    with pytest.raises(InvalidArgumentError, match="fortnight"):
        ws.segmentation(EVENT, unit="fortnight", **JUNE)  # type: ignore[arg-type]
    with pytest.raises(QueryError):
        ws.segmentation(EVENT, where="properties[", **JUNE)


def test_numbers_are_added_and_averaged(ws: Workspace) -> None:
    name, number = "Purchase", "amount"
    if name not in ws.events():
        name = ws.sql_scalar("SELECT event_name FROM events_flat WHERE amount IS NOT NULL LIMIT 1")
    added = ws.segmentation_sum(name, on=number, **JUNE)
    whole = ws.sql_scalar(f"SELECT coalesce(sum({number}), 0) FROM events_flat WHERE event_name = '{name}'")
    assert sum(added.results.values()) == pytest.approx(whole)
    averages = ws.segmentation_average(name, on=number, **JUNE)
    assert set(averages.results) == set(added.results)
    assert list(averages.df.columns) == ["date", "average"]
    buckets = ws.segmentation_numeric(name, on=number, **JUNE)
    count = ws.sql_scalar(f"SELECT count({number}) FROM events_flat WHERE event_name = '{name}'")
    assert sum(sum(days.values()) for days in buckets.series.values()) == count


def test_events_and_values_are_counted(ws: Workspace) -> None:
    names = ws.events()[:2]
    counted = ws.event_counts(names, **JUNE)
    assert set(counted.series) == set(names)
    for name in names:
        stored = ws.sql_scalar(f"SELECT count(*) FROM events WHERE event_name = '{name}'")
        assert sum(counted.series[name].values()) == stored
    values = ws.property_counts(EVENT, "plan", values=["pro"], **JUNE)
    stored = ws.sql_scalar(f"SELECT count(*) FROM events_flat WHERE event_name = '{EVENT}' AND plan = 'pro'")
    assert sum(values.series["pro"].values()) == stored
    with pytest.raises(InvalidArgumentError, match="empty list"):
        ws.event_counts([], **JUNE)


def test_funnels_retention_and_frequency_have_their_shapes(ws: Workspace) -> None:
    funnel = ws.funnel(ws.funnels()[0].funnel_id, **JUNE)
    counts = [step.count for step in funnel.steps]
    assert counts == sorted(counts, reverse=True)
    assert funnel.conversion_rate == pytest.approx(counts[-1] / counts[0])
    assert list(funnel.df["step"]) == [step.step for step in funnel.steps]
    split = ws.funnel(funnel.funnel_id, on="plan", **JUNE)
    assert split.segments
    with pytest.raises(QueryError):
        ws.funnel(1, **JUNE)
    retention = ws.retention(born_event=EVENT, return_event=EVENT, interval_count=3, **JUNE)
    assert len(retention.cohorts[0].retention) >= 3
    assert all(0 <= part <= 1 for cohort in retention.cohorts for part in cohort.retention)
    weekly = ws.retention(born_event=EVENT, return_event=EVENT, interval=7, **JUNE)
    assert weekly.interval == 7
    with pytest.raises(InvalidArgumentError, match="either"):
        ws.retention(born_event=EVENT, return_event=EVENT, interval=7, unit="week", **JUNE)
    frequency = ws.frequency(event=EVENT, **JUNE)
    assert all(users == sorted(users, reverse=True) for users in frequency.data.values())


def test_what_a_user_did_is_told(ws: Workspace) -> None:
    user, count = ws.sql_rows(
        "SELECT distinct_id, count(*) FROM events WHERE distinct_id <> '' GROUP BY 1 ORDER BY 2 DESC LIMIT 1"
    ).rows[0]
    feed = ws.activity_feed([user], **JUNE)
    assert feed.event_count == len(feed.events) == count
    assert [item.time for item in feed.events] == sorted(item.time for item in feed.events)
    assert feed.events[0].time.tzinfo is not None
    assert set(feed.events[0].properties) <= set(feed.df.columns)
    assert feed._repr_html_().startswith("<table>")


def test_saved_reports_answer(ws: Workspace) -> None:
    for bookmark in ws.list_bookmarks():
        if bookmark.type == "insights":
            report = ws.query_saved_report(bookmark.id)
            assert report.bookmark_id == bookmark.id
            assert report.report_type in ("insights", "funnels", "retention")
    flow = next(bookmark for bookmark in ws.list_bookmarks() if bookmark.type == "flows")
    assert ws.query_flows(flow.id).steps
    saved = ws.funnels()[0].funnel_id
    assert ws.query_saved_report(saved, bookmark_type="funnels", **JUNE).report_type == "funnels"


def test_figures_over_profiles_are_computed(ws: Workspace) -> None:
    total = ws.fetch_profiles().total_rows
    assert ws.engage_stats().results == total
    pro = ws.engage_stats(where='properties["plan"] == "pro"').results
    assert pro == ws.sql_scalar("SELECT count(*) FROM profiles_flat WHERE plan = 'pro'")
    with pytest.raises(InvalidArgumentError, match="property"):
        ws.engage_stats("extremes")
    with pytest.raises(InvalidArgumentError, match="numeric_summary"):
        ws.engage_stats("median")  # type: ignore[arg-type]


def test_reports_are_asked_without_saving_them(ws: Workspace) -> None:
    insights = ws.query_insights(
        Metric(EVENT, "total"), filters=[Filter.equals("plan", "pro")], whole_range=True, **JUNE
    )
    stored = ws.sql_scalar(f"SELECT count(*) FROM events_flat WHERE event_name = '{EVENT}' AND plan = 'pro'")
    assert list(insights.df["count"]) == [stored]
    grouped = ws.query_insights([EVENT, EventSelector("Search")], group_by="plan", **JUNE)
    assert len(grouped.df) > 2
    funnel = ws.query_funnel([EVENT, "Search"], window=3, **JUNE)
    assert funnel.report_type == "funnels"
    retention = ws.query_retention(EVENT, EVENT, **JUNE)
    assert retention.report_type == "retention"
    flow = ws.query_flow(EVENT, forward=2, **JUNE)
    assert flow.steps


def test_reports_that_make_no_sense_are_refused(ws: Workspace) -> None:
    with pytest.raises(InvalidArgumentError, match="at least one metric"):
        ws.query_insights([])
    with pytest.raises(InvalidArgumentError, match="2 and 100 steps"):
        ws.query_funnel([EVENT])
    with pytest.raises(InvalidArgumentError, match="needs a property"):
        ws.query_insights(Metric(EVENT, "sum"))
    with pytest.raises(InvalidArgumentError, match="both from_date and to_date"):
        ws.query_insights(EVENT, from_date="2025-06-01")
    with pytest.raises(InvalidArgumentError, match="compares with nothing"):
        ws.query_insights(EVENT, filters=[Filter.equals("plan")])
    with pytest.raises(InvalidArgumentError, match="nonsense"):
        ws.query_insights(Metric(EVENT, "nonsense", "amount"))  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError, match="between two of the steps"):
        ws.query_funnel([EVENT, "Search"], exclusions=["Purchase", Exclusion("Refund", after=2)])
    with pytest.raises(InvalidArgumentError, match="width"):
        ws.query_insights(EVENT, group_by=GroupBy(PropertyRef("age", of="user"), width=0))


def test_an_injected_client_answers_in_mixpanels_place() -> None:
    class Client:
        def events(self) -> list[str]:
            return ["Login"]

    with Workspace.memory(_config_manager=MagicMock(), _api_client=Client()) as ws:  # type: ignore[arg-type]
        assert ws.events() == ["Login"]
        with pytest.raises(ConfigError, match="no method funnels"):
            ws.funnels()


def test_credentials_can_be_tried(credentials: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    found = Workspace.test_credentials()
    assert (found["success"], found["project_id"]) == (True, "12345")
    assert found["events_found"] > 5
    for name in ("MP_USERNAME", "MP_SECRET", "MP_PROJECT_ID"):
        monkeypatch.delenv(name)
    with pytest.raises(ConfigError):
        Workspace.test_credentials()
    with Workspace.memory() as ws, pytest.raises(ConfigError, match="MP_USERNAME"):
        ws.events()

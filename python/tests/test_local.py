"""Questions about local tables, each against SQL of its own."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from conftest import EVENTS, PROFILES, event, profile

from mixpanel_data import InvalidArgumentError, QueryError, TableNotFoundError, UnknownNameWarning, Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator

PLANS = ["free", "pro", "pro", "team"]


def records() -> Iterator[dict[str, Any]]:
    """Forty events of two names over four days, by ten users."""
    for number in range(40):
        name = "Purchase" if number % 4 else "Login"
        properties: dict[str, Any] = {"plan": PLANS[number % 4], "amount": number}
        if name == "Login":
            properties = {"plan": PLANS[number % 4], "method": None}
        when = datetime(2025, 6, 1 + number // 10, number % 24)
        user = f"user_{number % 10}"
        yield event(number, event_name=name, event_time=when, distinct_id=user, properties=properties)


@pytest.fixture
def ws() -> Iterator[Workspace]:
    with Workspace.memory() as workspace:
        workspace.storage.create_events_table("events", records(), EVENTS)
        workspace.storage.create_profiles_table("profiles", [profile(1), profile(2)], PROFILES)
        yield workspace


def test_a_sample_is_some_rows_of_the_table(ws: Workspace) -> None:
    frame = ws.sample("events", 7)
    assert len(frame) == 7
    assert list(frame.columns) == ["event_name", "event_time", "distinct_id", "insert_id", "properties"]
    assert set(frame["insert_id"]) <= set(ws.sql("SELECT insert_id FROM events")["insert_id"])
    assert len(ws.sample("events", 1_000)) == 40
    with pytest.raises(InvalidArgumentError, match="0"):
        ws.sample("events", 0)


def test_a_summary_has_every_property_as_a_column(ws: Workspace) -> None:
    summary = ws.summarize("events")
    assert (summary.table, summary.row_count) == ("events", 40)
    by_name = {column.column_name: column for column in summary.columns}
    amount = by_name["amount"]
    assert (amount.min, amount.max, amount.count) == ("1", "39", 30)
    assert amount.null_percentage == 25.0
    assert amount.avg == ws.sql_scalar("SELECT avg(amount) FROM events_flat")
    assert list(summary.df["column_name"]) == [column.column_name for column in summary.columns]
    assert ws.summarize("profiles").row_count == 2


def test_a_breakdown_counts_events_and_users(ws: Workspace) -> None:
    breakdown = ws.event_breakdown()
    assert [(item.event_name, item.count, item.unique_users) for item in breakdown.events] == [
        ("Purchase", 30, 10),
        ("Login", 10, 5),
    ]
    assert (breakdown.total_events, breakdown.total_users) == (40, 10)
    assert breakdown.date_range == ws.sql_rows("SELECT min(event_time), max(event_time) FROM events").rows[0]
    assert breakdown.events[0].pct_of_total == 75.0
    ws.storage.create_events_table("empty", [], EVENTS)
    assert ws.event_breakdown("empty").date_range is None
    with pytest.raises(InvalidArgumentError):
        ws.event_breakdown("profiles")


def test_keys_are_those_of_a_table_or_an_event(ws: Workspace) -> None:
    # Also what is null everywhere, which is only seen in the texts.
    assert ws.property_keys() == ["amount", "method", "plan"]
    assert ws.property_keys("events", "Login") == ["method", "plan"]
    assert ws.property_keys("profiles") == ["name"]


def test_column_stats_count_exactly(ws: Workspace) -> None:
    stats = ws.column_stats("events", "plan", top_n=2)
    assert (stats.count, stats.null_count, stats.unique_count, stats.dtype) == (40, 0, 3, "VARCHAR")
    assert stats.top_values == [("pro", 20), ("free", 10)]
    assert (stats.min, stats.mean) == (None, None)
    doubled = ws.column_stats("events", "amount * 2")
    assert (doubled.min, doubled.max) == (2.0, 78.0)
    assert stats.df.to_dict("list") == {"value": ["pro", "free"], "count": [20, 10]}
    with pytest.raises(QueryError):
        ws.column_stats("events", "no_such_column + 1")


def test_a_distribution_is_in_percent_of_all_values(ws: Workspace) -> None:
    found = ws.property_distribution("Purchase", "plan", limit=1)
    assert (found.total_count, found.from_date) == (30, None)
    assert [(share.value, share.count, round(share.percentage, 2)) for share in found.values] == [("pro", 20, 66.67)]
    first = ws.property_distribution("Purchase", "plan", from_date="2025-06-01", to_date="2025-06-01")
    assert first.total_count == ws.sql_scalar(
        "SELECT count(*) FROM events WHERE event_name = 'Purchase' AND event_time::DATE = '2025-06-01'"
    )
    assert (first.from_date, first.to_date) == ("2025-06-01", "2025-06-01")
    with pytest.warns(UnknownNameWarning, match="has no property"):
        assert ws.property_distribution("Purchase", "nothing").values == []


def test_numbers_are_summed_up(ws: Workspace) -> None:
    summary = ws.numeric_summary("Purchase", "amount", percentiles=[50, 99])
    amounts = [row["properties"]["amount"] for row in records() if row["event_name"] == "Purchase"]
    assert (summary.count, summary.min, summary.max, summary.sum) == (30, 1.0, 39.0, float(sum(amounts)))
    assert summary.avg == sum(amounts) / 30
    assert list(summary.percentiles) == [50, 99]
    assert summary.percentiles[50] == ws.sql_scalar("SELECT quantile_cont(amount, 0.5) FROM events_flat")
    assert summary.to_dict()["percentiles"]["50"] == summary.percentiles[50]
    with pytest.raises(InvalidArgumentError, match="101"):
        ws.numeric_summary("Purchase", "amount", percentiles=[101])


def test_days_are_counted(ws: Workspace) -> None:
    counted = ws.daily_counts(events=["Login"])
    expected = Counter(row["event_time"].date().isoformat() for row in records() if row["event_name"] == "Login")
    assert {item.date: item.count for item in counted.counts} == expected
    assert counted.events == ["Login"]
    assert sum(item.count for item in ws.daily_counts().counts) == 40
    assert len(ws.daily_counts(from_date="2025-06-02", to_date="2025-06-03").counts) == 4


def test_users_are_counted_by_what_they_did(ws: Workspace) -> None:
    found = ws.engagement_distribution(buckets=[1, 3, 5])
    # Each of the ten users has four events.
    assert [(bucket.bucket_label, bucket.user_count) for bucket in found.buckets] == [
        ("1-2", 0),
        ("3-4", 10),
        ("5+", 0),
    ]
    assert (found.total_users, found.buckets[1].percentage) == (10, 100.0)
    with pytest.raises(InvalidArgumentError, match="rise"):
        ws.engagement_distribution(buckets=[3, 1])


def test_coverage_of_properties_counts_null_as_missing(ws: Workspace) -> None:
    with pytest.warns(UnknownNameWarning, match="has no property"):
        found = ws.property_coverage("Login", ["plan", "method", "never"])
    assert [(item.property, item.defined_count, item.null_count) for item in found.coverage] == [
        ("plan", 10, 0),
        ("method", 0, 10),
        ("never", 0, 10),
    ]
    assert found.total_events == 10


def test_answers_are_tables_in_every_library(ws: Workspace) -> None:
    pytest.importorskip("matplotlib").use("agg")
    answer = ws.daily_counts()
    rows = answer.to_table_dict()
    assert len(rows) == answer.df.shape[0] == answer.arrow().num_rows == answer.pl().height == 8
    assert list(rows[0]) == ["date", "event", "count"]
    # As often as wanted.
    assert answer.df.equals(answer.df)
    assert answer._repr_html_().startswith("<table>")
    assert len(answer.plot().lines) == 2
    assert len(ws.event_breakdown().plot().patches) == 2
    assert answer == ws.daily_counts()
    assert answer.to_dict()["counts"][0] == {"date": "2025-06-01", "event": "Login", "count": 3}


def test_a_table_that_is_not_there_is_named(ws: Workspace) -> None:
    for ask in (ws.summarize, ws.event_breakdown, ws.property_keys, ws.sample):
        with pytest.raises(TableNotFoundError, match="nothing") as raised:
            ask("nothing")
        assert raised.value.available_tables == ["events", "profiles"]


def test_days_must_be_days(ws: Workspace) -> None:
    with pytest.raises(InvalidArgumentError, match="YYYY-MM-DD"):
        ws.daily_counts(from_date="June")
    with pytest.raises(InvalidArgumentError, match="after"):
        ws.daily_counts(from_date="2025-06-02", to_date="2025-06-01")
    with pytest.raises(InvalidArgumentError, match="table"):
        ws.summarize(7)  # type: ignore[arg-type]

"""What users of the Python original know: names, callbacks, results and exceptions made by hand."""

from __future__ import annotations

import threading
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest

import mixpanel_data as mp
from mixpanel_data import exceptions, types

if TYPE_CHECKING:
    from conftest import Simulator

    from mixpanel_data import BatchProgress, ProfileProgress, Workspace

DAYS = {"from_date": "2025-06-01", "to_date": "2025-06-10"}


def test_each_stored_chunk_is_told(workspace: Workspace) -> None:
    seen: list[tuple[BatchProgress, int]] = []
    result = workspace.fetch_events(
        **DAYS,
        parallel=True,
        chunk_days=5,
        on_batch_complete=lambda batch: seen.append((batch, threading.get_ident())),
    )
    batches = [batch for batch, _ in seen]
    assert {thread for _, thread in seen} == {threading.get_ident()}
    assert sorted((batch.from_date, batch.to_date) for batch in batches) == [
        ("2025-06-01", "2025-06-05"),
        ("2025-06-06", "2025-06-10"),
    ]
    assert [batch.batch_index for batch in batches] == [0, 1]
    assert {batch.total_batches for batch in batches} == {2}
    assert sum(batch.rows for batch in batches) == result.rows
    assert all(batch.success and batch.error is None for batch in batches)
    assert batches[0].to_dict()["rows"] == batches[0].rows
    assert (result.successful_batches, result.failed_batches, result.has_failures) == (2, 0, False)
    assert (result.failed_date_ranges, result.total_rows) == ((), result.rows)
    assert isinstance(result, mp.ParallelFetchResult)


def test_each_page_is_told(workspace: Workspace) -> None:
    seen: list[ProfileProgress] = []
    result = workspace.fetch_profiles(parallel=True, on_page_complete=seen.append)
    assert [state.page_index for state in seen] == list(range(result.pages))
    assert (seen[-1].cumulative_rows, seen[-1].total_pages) == (result.results, result.pages)
    assert sum(state.rows for state in seen) == result.results
    assert all(state.success and state.error is None for state in seen)
    assert (result.successful_pages, result.failed_pages, result.failed_page_indices) == (result.pages, 0, ())
    assert not result.has_failures
    assert isinstance(result, mp.ParallelProfileResult)


def test_more_workers_than_there_may_be_are_fewer_and_that_is_said(workspace: Workspace) -> None:
    with pytest.warns(UserWarning, match="max_workers is 200; 100 are used"):
        workspace.fetch_events(**DAYS, max_workers=200)
    with pytest.warns(UserWarning, match="max_workers is 10; 5 are used"):
        workspace.fetch_profiles(max_workers=10)


def test_names_in_lists_are_whole(workspace: Workspace) -> None:
    two = workspace.fetch_events("two", events=["Purchase", "Search"], **DAYS)
    assert two.rows > 0
    with pytest.warns(mp.UnknownNameWarning, match="Purchase,Search"):
        assert workspace.fetch_events("one", events=["Purchase,Search"], **DAYS).rows == 0


def test_tables_and_views_of_sql(workspace: Workspace) -> None:
    workspace.fetch_events(**DAYS)
    workspace.connection.execute("CREATE TABLE plans AS SELECT 'pro' AS plan, 7 AS price")
    workspace.connection.execute("CREATE VIEW buys AS SELECT * FROM events WHERE event_name = 'Purchase'")
    assert len(workspace.sample("plans")) == 1
    assert workspace.summarize("plans").row_count == 1
    assert workspace.column_stats("plans", "price").max == 7
    assert "plan" in workspace.property_keys("buys")
    country = workspace.column_stats("events", "properties->>'$.mp_country_code'")
    assert country.count > 0
    assert isinstance(country.top_values[0][0], str)
    listed = {table.name: table for table in workspace.tables()}
    types = {name: table.type for name, table in listed.items()}
    assert types == {"buys": "view", "events": "events", "plans": "table"}
    assert listed["plans"] == mp.TableInfo("plans", "table", 1, None)
    assert listed["buys"] == mp.TableInfo("buys", "view", None, None)
    assert listed["buys"].to_dict() == {"name": "buys", "type": "view", "row_count": None, "fetched_at": None}
    assert (listed["events"].row_count or 0) > 1
    assert listed["events"].fetched_at is not None
    assert [table.name for table in workspace.storage.list_tables()] == workspace.info().tables == ["events"]
    with pytest.raises(mp.TableNotFoundError):
        workspace.table_metadata("plans")
    with pytest.raises(mp.TableNotFoundError):
        workspace.drop("plans", "nothing")
    workspace.drop_all()
    assert [table.name for table in workspace.tables()] == ["buys", "plans"]
    workspace.drop("plans", "buys")
    with pytest.raises(mp.TableNotFoundError):
        workspace.sample("plans")


def test_mixpanel_can_be_asked_by_address(workspace: Workspace, simulator: Simulator) -> None:
    names = workspace.api.request(
        "GET", f"{simulator.url}/api/query/events/names", params={"type": "general", "limit": 5000}
    )
    # Without dates Mixpanel lists the events of the last 31 days.
    assert "Purchase" in names
    assert set(names) <= set(workspace.events())
    me = workspace.api.request("GET", f"{simulator.url}/api/app/me")
    assert me["results"]
    assert (workspace.api.project_id, workspace.api.region) == ("12345", "us")
    with pytest.warns(UserWarning, match="timeout has no effect"):
        workspace.api.request("GET", f"{simulator.url}/api/app/me", timeout=3)
    for url in ("https://example.com/api/app/me", "http://127.0.0.1:1/api/app/me", f"{simulator.url}/other", "me"):
        with pytest.raises(mp.InvalidArgumentError):
            workspace.api.request("GET", url)
    with pytest.raises(mp.InvalidArgumentError, match="GET or POST"):
        workspace.api.request("DELETE", f"{simulator.url}/api/app/me")


#: A result for each class of the original, as its users make it, and the columns of its table.
MADE: list[tuple[Any, list[str]]] = [
    (
        types.SegmentationResult(
            event="A",
            from_date="2024-01-01",
            to_date="2024-01-02",
            unit="day",
            segment_property=None,
            total=3,
            series={"A": {"2024-01-01": 1, "2024-01-02": 2}},
        ),
        ["date", "segment", "count"],
    ),
    (
        types.EventCountsResult(
            events=["A"],
            from_date="2024-01-01",
            to_date="2024-01-01",
            unit="day",
            type="general",
            series={"A": {"2024-01-01": 1}},
        ),
        ["date", "event", "count"],
    ),
    (
        types.PropertyCountsResult(
            event="A",
            property_name="p",
            from_date="2024-01-01",
            to_date="2024-01-01",
            unit="day",
            type="general",
            series={"x": {"2024-01-01": 1}},
        ),
        ["date", "value", "count"],
    ),
    (
        types.NumericBucketResult(
            event="A",
            from_date="2024-01-01",
            to_date="2024-01-01",
            property_expr="p",
            unit="day",
            series={"0 - 10": {"2024-01-01": 1}},
        ),
        ["date", "bucket", "count"],
    ),
    (
        types.NumericSumResult(
            event="A",
            from_date="2024-01-01",
            to_date="2024-01-01",
            property_expr="p",
            unit="day",
            results={"2024-01-01": 1.5},
        ),
        ["date", "sum"],
    ),
    (
        types.NumericAverageResult(
            event="A",
            from_date="2024-01-01",
            to_date="2024-01-01",
            property_expr="p",
            unit="day",
            results={"2024-01-01": 1.5},
        ),
        ["date", "average"],
    ),
    (
        types.FunnelResult(
            funnel_id=1,
            funnel_name="",
            from_date="2024-01-01",
            to_date="2024-01-01",
            conversion_rate=0.5,
            steps=[types.FunnelStep(event="A", count=2, conversion_rate=1.0)],
        ),
        ["step", "event", "count", "conversion_rate"],
    ),
    (
        types.RetentionResult(
            born_event="A",
            return_event="B",
            from_date="2024-01-01",
            to_date="2024-01-01",
            unit="day",
            cohorts=[types.CohortInfo(date="2024-01-01", size=2, retention=[1.0, 0.5])],
        ),
        ["cohort_date", "cohort_size", "period_0", "period_1"],
    ),
    (
        types.FrequencyResult(
            event=None,
            from_date="2024-01-01",
            to_date="2024-01-01",
            unit="day",
            addiction_unit="hour",
            data={"2024-01-01": [5, 3]},
        ),
        ["date", "period_1", "period_2"],
    ),
    (
        types.ActivityFeedResult(
            distinct_ids=["u"],
            from_date=None,
            to_date=None,
            events=[types.UserEvent(event="A", time=datetime(2024, 1, 1, tzinfo=timezone.utc), properties={"p": 1})],
        ),
        ["event", "time", "distinct_id", "p"],
    ),
    (
        types.SavedReportResult(
            bookmark_id=1,
            computed_at="2024-01-01",
            from_date="2024-01-01",
            to_date="2024-01-01",
            headers=["$event"],
            series={"A": {"2024-01-01": 1}},
        ),
        ["date", "event", "count"],
    ),
    (
        types.FlowsResult(
            bookmark_id=1,
            computed_at="2024-01-01",
            steps=[{"step": 1, "event": "A"}],
            breakdowns=[],
            overall_conversion_rate=0.5,
            metadata={},
        ),
        ["step", "event"],
    ),
    (
        types.SummaryResult(table="t", row_count=0, columns=[]),
        ["column_name", "column_type", "min", "max", "approx_unique", "avg", "std", "q25", "q50", "q75", "count"],
    ),
    (
        types.EventBreakdownResult(
            table="t",
            total_events=1,
            total_users=1,
            date_range=(datetime(2024, 1, 1), datetime(2024, 1, 1)),
            events=[],
        ),
        ["event_name", "count", "unique_users", "first_seen", "last_seen", "pct_of_total"],
    ),
    (
        types.ColumnStatsResult(
            table="t",
            column="c",
            dtype="VARCHAR",
            count=1,
            null_count=0,
            null_pct=0.0,
            unique_count=1,
            unique_pct=100.0,
            top_values=[("a", 1)],
        ),
        ["value", "count"],
    ),
    (
        types.PropertyDistributionResult(
            event="A",
            property_name="p",
            from_date="2024-01-01",
            to_date="2024-01-01",
            total_count=1,
            values=[types.PropertyValueCount(value="x", count=1, percentage=100.0)],
        ),
        ["value", "count", "percentage"],
    ),
    (
        types.DailyCountsResult(
            from_date="2024-01-01",
            to_date="2024-01-01",
            events=None,
            counts=[types.DailyCount(date="2024-01-01", event="A", count=1)],
        ),
        ["date", "event", "count"],
    ),
    (
        types.EngagementDistributionResult(
            from_date="2024-01-01",
            to_date="2024-01-01",
            events=None,
            total_users=1,
            buckets=[types.EngagementBucket(bucket_min=1, bucket_label="1", user_count=1, percentage=100.0)],
        ),
        ["bucket_min", "bucket_label", "user_count", "percentage"],
    ),
    (
        types.PropertyCoverageResult(
            event="A",
            from_date="2024-01-01",
            to_date="2024-01-01",
            total_events=1,
            coverage=[types.PropertyCoverage(property="p", defined_count=1, null_count=0, coverage_percentage=100.0)],
        ),
        ["property", "defined_count", "null_count", "coverage_percentage"],
    ),
]


@pytest.mark.parametrize(("made", "columns"), MADE, ids=lambda value: type(value).__name__)
def test_results_can_be_made_by_hand(made: Any, columns: list[str]) -> None:
    frame = made.df
    assert list(frame.columns)[: len(columns)] == columns
    assert made.to_dict()
    assert len(made.to_table_dict()) == len(frame)


def test_a_fetch_result_can_be_made_by_hand() -> None:
    now = datetime(2024, 1, 1, tzinfo=timezone.utc)
    made = mp.FetchResult(
        table="events",
        rows=1,
        type="events",
        duration_seconds=1.0,
        date_range=("2024-01-01", "2024-01-02"),
        fetched_at=now,
    )
    assert made.df.empty
    assert made.to_dict()["date_range"] == ["2024-01-01", "2024-01-02"]


def test_exceptions_can_be_made_by_hand() -> None:
    assert exceptions.TableExistsError("events").table_name == "events"
    assert exceptions.TableNotFoundError("events").to_dict()["details"]["table_name"] == "events"
    locked = exceptions.DatabaseLockedError("/d.db", holding_pid=7)
    assert (locked.db_path, locked.holding_pid, "process 7" in str(locked)) == ("/d.db", 7, True)
    assert exceptions.DatabaseNotFoundError("/d.db").db_path == "/d.db"
    unknown = exceptions.EventNotFoundError("Purchse", ["Purchase"])
    assert (unknown.event_name, unknown.similar_events) == ("Purchse", ["Purchase"])
    assert exceptions.AuthenticationError().status_code == 401
    assert exceptions.RateLimitError(retry_after=3).retry_after == 3
    assert exceptions.ServerError().status_code == 500
    assert exceptions.AccountNotFoundError("a", ["b"]).available_accounts == ["b"]
    large = exceptions.DateRangeTooLargeError("2024-01-01", "2024-12-31", 366)
    assert (large.max_days, large.code) == (100, "DATE_RANGE_TOO_LARGE")
    refused = exceptions.QueryError("bad", status_code=400, response_body={"error": "x"}, request_url="u")
    assert refused.details["response_body"] == {"error": "x"}

"""Reports asked ad hoc, without saving them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from mixpanel_data._asking import Asking
from mixpanel_data._days import days
from mixpanel_data._later import Later
from mixpanel_data._plain import Plain
from mixpanel_data.exceptions import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date
    from typing import TypeAlias

    from mixpanel_data import live, reports

    Events: TypeAlias = str | reports.EventSelector
    Groups: TypeAlias = str | reports.PropertyRef | reports.GroupBy
else:
    live = Later("mixpanel_data.live")
    reports = Later("mixpanel_data.reports")

__all__ = ["Reports"]


class Reports(Asking):
    """Reports asked ad hoc. Each is a query of 60 an hour. Errors are those of ``fetch_events``.

    Days are the project's; ``from_date`` and ``to_date`` are inclusive, and without them it is the
    ``last`` days with today.
    """

    def query_insights(
        self,
        metrics: Events | reports.Metric | Sequence[Events | reports.Metric],
        *,
        from_date: str | date | None = None,
        to_date: str | date | None = None,
        last: int = 30,
        unit: live.TimeUnit = "day",
        filters: Sequence[reports.Filter] = (),
        combine: reports.Combine = "all",
        group_by: Groups | Sequence[Groups] = (),
        whole_range: bool = False,
    ) -> live.SavedReportResult:
        """Numbers about events, by time and by the values of properties.

        ``whole_range`` asks for one number for all days, rather than one for each bucket.
        """
        report = {
            "metrics": [
                (metric if isinstance(metric, reports.Metric) else reports.Metric(metric)).to_dict()
                for metric in _several(metrics)
            ],
            "time": _time(from_date, to_date, last),
            "unit": unit,
            "whole_range": whole_range,
            **_conditions(filters, combine, group_by),
        }
        return self._answer(live.SavedReportResult, "query_insights", report=report)

    def query_funnel(
        self,
        steps: Sequence[Events],
        *,
        from_date: str | date | None = None,
        to_date: str | date | None = None,
        last: int = 30,
        window: int = 14,
        window_unit: reports.WindowUnit = "day",
        order: Literal["loose", "any"] = "loose",
        exclusions: Sequence[str | reports.Exclusion] = (),
        hold_constant: Sequence[str | reports.PropertyRef] = (),
        filters: Sequence[reports.Filter] = (),
        combine: reports.Combine = "all",
        group_by: Groups | Sequence[Groups] = (),
        unit: live.TimeUnit = "day",
    ) -> live.SavedReportResult:
        """How many users go how far in a funnel that is not saved.

        They have ``window`` from the first step to the last. ``exclusions`` put them out;
        ``hold_constant`` are properties that must have the same value in all steps.
        """
        excluded = [item if isinstance(item, reports.Exclusion) else reports.Exclusion(item) for item in exclusions]
        report = {
            "steps": [reports.event_of(step).to_dict() for step in steps],
            "window": {"count": window, "unit": window_unit},
            "order": order,
            "exclusions": [item.to_dict() for item in excluded],
            "hold_constant": [reports.property_of(item).to_dict() for item in hold_constant],
            "time": _time(from_date, to_date, last),
            "unit": unit,
            **_conditions(filters, combine, group_by),
        }
        return self._answer(live.SavedReportResult, "query_funnel", report=report)

    def query_retention(
        self,
        born: Events,
        returned: Events,
        *,
        from_date: str | date | None = None,
        to_date: str | date | None = None,
        last: int = 30,
        unit: live.TimeUnit = "day",
        alignment: Literal["birth", "interval_start"] = "birth",
        period_sizes: Sequence[int] = (),
        unbounded: bool = False,
        filters: Sequence[reports.Filter] = (),
        combine: reports.Combine = "all",
        group_by: Groups | Sequence[Groups] = (),
    ) -> live.SavedReportResult:
        """Who of those that did one event did another one later.

        Periods begin with each user's own first event, or with the calendar (``interval_start``);
        ``period_sizes`` are others than one unit. With ``unbounded``, coming back later counts for
        all periods before it.
        """
        report = {
            "born": reports.event_of(born).to_dict(),
            "returned": reports.event_of(returned).to_dict(),
            "unit": unit,
            "alignment": alignment,
            "period_sizes": list(period_sizes),
            "unbounded": unbounded,
            "time": _time(from_date, to_date, last),
            **_conditions(filters, combine, group_by),
        }
        return self._answer(live.SavedReportResult, "query_retention", report=report)

    def query_flow(
        self,
        anchor: Events,
        *,
        from_date: str | date | None = None,
        to_date: str | date | None = None,
        last: int = 30,
        forward: int = 3,
        reverse: int = 0,
        window: int = 7,
        window_unit: reports.WindowUnit = "day",
        count: Literal["general", "unique"] = "unique",
        cardinality: int = 3,
        collapse_repeated: bool = False,
        hidden_events: Sequence[str] = (),
        top_paths: bool = False,
    ) -> live.FlowsResult:
        """What users do after and before an event: up to 5 events ``forward`` and in ``reverse``.

        ``cardinality`` events are told apart at each place, 1 to 50; ``hidden_events`` are looked
        past. ``top_paths`` asks for the ways that most users take, rather than steps.
        """
        report = {
            "anchor": reports.event_of(anchor).to_dict(),
            "forward": forward,
            "reverse": reverse,
            "window": {"count": window, "unit": window_unit},
            "count": count,
            "cardinality": cardinality,
            "collapse_repeated": collapse_repeated,
            "hidden_events": list(hidden_events),
            "top_paths": top_paths,
            "time": _time(from_date, to_date, last),
        }
        return self._answer(live.FlowsResult, "query_flow", report=report)


def _several(given: Any) -> list[Any]:
    """A list, of one thing if it is one thing."""
    return [given] if isinstance(given, str | Plain) else list(given)


def _conditions(filters: Sequence[reports.Filter], combine: reports.Combine, groups: Any) -> dict[str, Any]:
    grouped = [group if isinstance(group, reports.GroupBy) else reports.GroupBy(group) for group in _several(groups)]
    return {
        "filters": [condition.to_dict() for condition in _several(filters)],
        "combine": combine,
        "group_by": [group.to_dict() for group in grouped],
    }


def _time(from_date: str | date | None, to_date: str | date | None, last: int) -> dict[str, Any]:
    given = days(from_date, to_date)
    first, until = given["from_date"], given["to_date"]
    if first is not None and until is not None:
        return {"between": {"from": first, "to": until}}
    if first is None and until is None:
        return {"last": {"count": last, "unit": "day"}}
    raise InvalidArgumentError("give both from_date and to_date, or neither", argument="from_date")

"""Questions that Mixpanel's reports answer: counts, saved funnels, retention and the like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from mixpanel_data._asking import Asking
from mixpanel_data._days import days
from mixpanel_data._later import Later
from mixpanel_data._names import Names, names

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from mixpanel_data import discovery, live
else:
    live = Later("mixpanel_data.live")


class Queries(Asking):
    """Live queries. Each is a query of 60 an hour. Errors are those of ``fetch_events``.

    Days are the project's, both ends inclusive. ``on`` is the name of a property, or an expression;
    ``where`` is an expression in Mixpanel's own language.
    """

    def segmentation(
        self,
        event: str,
        *,
        from_date: str | date,
        to_date: str | date,
        on: str | None = None,
        unit: live.TimeUnit = "day",
        where: str | None = None,
        type: discovery.CountType = "general",
        limit: int | None = None,
    ) -> live.SegmentationResult:
        """Counts an event by date, and by the values of a property; ``limit`` is the most of them, 60."""
        asked = {"event": event, "on": on, "unit": unit, "where": where, "type": type, "limit": limit}
        return self._answer(live.SegmentationResult, "segmentation", **asked, **days(from_date, to_date))

    def segmentation_numeric(
        self,
        event: str,
        *,
        from_date: str | date,
        to_date: str | date,
        on: str,
        unit: live.HourDayUnit = "day",
        where: str | None = None,
        type: discovery.CountType = "general",
    ) -> live.NumericBucketResult:
        """Counts an event by ranges of a number, and date."""
        asked = {"event": event, "on": on, "unit": unit, "where": where, "type": type}
        return self._answer(live.NumericBucketResult, "segmentation_numeric", **asked, **days(from_date, to_date))

    def segmentation_sum(
        self,
        event: str,
        *,
        from_date: str | date,
        to_date: str | date,
        on: str,
        unit: live.HourDayUnit = "day",
        where: str | None = None,
    ) -> live.NumericSumResult:
        """Adds a number up, by date."""
        asked = {"event": event, "on": on, "unit": unit, "where": where}
        return self._answer(live.NumericSumResult, "segmentation_sum", **asked, **days(from_date, to_date))

    def segmentation_average(
        self,
        event: str,
        *,
        from_date: str | date,
        to_date: str | date,
        on: str,
        unit: live.HourDayUnit = "day",
        where: str | None = None,
    ) -> live.NumericAverageResult:
        """Averages a number, by date."""
        asked = {"event": event, "on": on, "unit": unit, "where": where}
        return self._answer(live.NumericAverageResult, "segmentation_average", **asked, **days(from_date, to_date))

    def event_counts(
        self,
        events: Names,
        *,
        from_date: str | date,
        to_date: str | date,
        type: discovery.CountType = "general",
        unit: live.TimeUnit = "day",
    ) -> live.EventCountsResult:
        """Counts several events by date."""
        asked = {"events": names("events", events), "type": type, "unit": unit}
        return self._answer(live.EventCountsResult, "event_counts", **asked, **days(from_date, to_date))

    def property_counts(
        self,
        event: str,
        property_name: str,
        *,
        from_date: str | date,
        to_date: str | date,
        type: discovery.CountType = "general",
        unit: live.TimeUnit = "day",
        values: Names | None = None,
        limit: int | None = None,
    ) -> live.PropertyCountsResult:
        """Counts an event by the values of a property and date; ``limit`` is the most of them, 255."""
        asked = {
            "event": event,
            "property_name": property_name,
            "type": type,
            "unit": unit,
            "values": names("values", values),
            "limit": limit,
        }
        return self._answer(live.PropertyCountsResult, "property_counts", **asked, **days(from_date, to_date))

    def funnel(
        self,
        funnel_id: int,
        *,
        from_date: str | date,
        to_date: str | date,
        unit: live.TimeUnit | None = None,
        on: str | None = None,
        where: str | None = None,
        length: int | None = None,
        length_unit: Literal["second", "minute", "hour", "day"] = "day",
        limit: int | None = None,
    ) -> live.FunnelResult:
        """How far users went in a saved funnel; :meth:`funnels` lists them.

        ``length`` is how long users have to complete it, up to 90 days; as saved unless told
        otherwise. ``limit`` is the most segments (``on``), 255.
        """
        asked = {
            "funnel_id": funnel_id,
            "unit": unit,
            "on": on,
            "where": where,
            "length": length,
            "length_unit": length_unit,
            "limit": limit,
        }
        return self._answer(live.FunnelResult, "funnel", **asked, **days(from_date, to_date))

    def retention(
        self,
        *,
        born_event: str,
        return_event: str,
        from_date: str | date,
        to_date: str | date,
        born_where: str | None = None,
        return_where: str | None = None,
        interval: int = 1,
        interval_count: int = 10,
        unit: live.TimeUnit = "day",
        on: str | None = None,
    ) -> live.RetentionResult:
        """Who came back after their first ``born_event``, and when.

        An ``interval`` of other than 1 is the length of a period in days, and takes the place of
        ``unit``: Mixpanel refuses the two together.
        """
        own = interval != 1
        asked = {
            "born_event": born_event,
            "return_event": return_event,
            "born_where": born_where,
            "return_where": return_where,
            "interval": interval if own else None,
            "interval_count": interval_count,
            "unit": None if own and unit == "day" else unit,
            "on": on,
        }
        return self._answer(live.RetentionResult, "retention", **asked, **days(from_date, to_date))

    def frequency(
        self,
        *,
        from_date: str | date,
        to_date: str | date,
        unit: live.TimeUnit = "day",
        addiction_unit: live.HourDayUnit = "hour",
        event: str | None = None,
        where: str | None = None,
    ) -> live.FrequencyResult:
        """In how many hours (or days) of each period users did something."""
        asked = {"unit": unit, "addiction_unit": addiction_unit, "event": event, "where": where}
        return self._answer(live.FrequencyResult, "frequency", **asked, **days(from_date, to_date))

    def activity_feed(
        self,
        distinct_ids: Names,
        *,
        from_date: str | date | None = None,
        to_date: str | date | None = None,
    ) -> live.ActivityFeedResult:
        """What some users did, event by event; in the last 30 days unless told otherwise."""
        asked = {"distinct_ids": names("distinct_ids", distinct_ids)}
        return self._answer(live.ActivityFeedResult, "activity_feed", **asked, **days(from_date, to_date))

    def query_saved_report(
        self,
        bookmark_id: int,
        *,
        bookmark_type: live.SavedReportType = "insights",
        from_date: str | date | None = None,
        to_date: str | date | None = None,
    ) -> live.SavedReportResult:
        """What a saved report shows; :meth:`list_bookmarks` lists them.

        Dates are for funnels, the last 30 days unless told otherwise; other reports have theirs saved.
        """
        asked = {"bookmark_id": bookmark_id, "bookmark_type": bookmark_type}
        return self._answer(live.SavedReportResult, "query_saved_report", **asked, **days(from_date, to_date))

    def query_flows(self, bookmark_id: int) -> live.FlowsResult:
        """What a saved flows report shows."""
        return self._answer(live.FlowsResult, "query_flows", bookmark_id=bookmark_id)

    def engage_stats(
        self,
        action: Literal["count", "extremes", "percentile", "numeric_summary"] = "count",
        *,
        property: str | None = None,
        percentile: float | None = None,
        where: str | None = None,
        cohort_id: int | None = None,
        by_cohorts: Sequence[int] = (),
        group_id: str | None = None,
        as_of_timestamp: int | None = None,
        include_all_users: bool = False,
    ) -> live.EngageStatsResult:
        """A figure over all profiles, or over those that fulfil a condition.

        ``extremes`` and ``numeric_summary`` need a ``property``, ``percentile`` needs its
        ``percentile`` (above 0, up to 100), too. ``by_cohorts`` computes it for each cohort,
        ``include_all_users`` counts the members of a cohort who have no profile,
        ``as_of_timestamp`` is in seconds since 1970.
        """
        return self._answer(
            live.EngageStatsResult,
            "engage_stats",
            action=action,
            property=property,
            percentile=percentile,
            where=where,
            cohort_id=cohort_id,
            by_cohorts=list(by_cohorts),
            group_id=group_id,
            as_of_timestamp=as_of_timestamp,
            include_all_users=include_all_users,
        )

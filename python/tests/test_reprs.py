"""What a prompt shows of results stays short, and says what it leaves out."""

from __future__ import annotations

from mixpanel_data import CohortInfo, FunnelInfo, Listing, SegmentationResult


def _segmentation(days: int) -> SegmentationResult:
    series = {"Purchase": {f"2025-01-{day:02}": float(day) for day in range(days)}}
    return SegmentationResult(
        event="Purchase",
        from_date="2025-01-01",
        to_date="2025-12-31",
        unit="day",
        type="general",
        segment_property=None,
        total=1.0,
        total_of="events",
        series=series,
    )


def test_a_large_result_is_short_and_says_what_is_left_out() -> None:
    shown = repr(_segmentation(10_000))
    assert len(shown) < 600
    assert shown.startswith("SegmentationResult(event='Purchase', from_date='2025-01-01'")
    assert "9,994 more" in shown
    # Nothing of it is gone.
    assert len(_segmentation(10_000).to_dict()["series"]["Purchase"]) == 10_000


def test_a_small_result_is_shown_whole() -> None:
    cohort = CohortInfo("2025-01-01", 4, [1.0, 0.5], [4, 2])
    assert repr(cohort) == "CohortInfo(date='2025-01-01', size=4, retention=[1.0, 0.5], counts=[4, 2])"
    assert str(cohort) == repr(cohort)


def test_lists_and_texts_are_short_too() -> None:
    funnels = Listing(FunnelInfo(number, "x" * 1_000) for number in range(100))
    shown = repr(funnels)
    assert len(shown) < 2_500
    assert "94 more" in shown
    assert "1,000 letters" in shown

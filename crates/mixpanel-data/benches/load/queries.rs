//! Five questions, over the typed view and over the text.

use std::time::Instant;

pub(crate) const PLAN_TEXT: &str = "SELECT properties->>'$.plan' AS plan, count(*) FROM events GROUP BY 1";
pub(crate) const PLAN_TYPED: &str = "SELECT plan, count(*) FROM events_flat GROUP BY 1";

pub(crate) const TYPED: [&str; 5] = [
    "SELECT date_trunc('day', event_time) AS day, event_name, count(*) FROM events_flat GROUP BY ALL",
    "SELECT mp_country_code, sum(amount) FROM events_flat WHERE event_name = 'Purchase'
     GROUP BY 1 ORDER BY 2 DESC LIMIT 10",
    "SELECT plan, quantile_cont(amount, 0.95) FROM events_flat WHERE event_name = 'Purchase' GROUP BY 1",
    "WITH first AS (SELECT distinct_id, min(event_time) AS t FROM events_flat GROUP BY 1)
     SELECT plan, count(DISTINCT e.distinct_id) FROM events_flat e JOIN first USING (distinct_id)
     WHERE e.event_time >= first.t + INTERVAL 7 DAY GROUP BY 1",
    "SELECT \"$browser\", count(*) FILTER (event_name = 'Product Viewed'), count(*) FILTER (event_name = 'Purchase')
     FROM events_flat GROUP BY 1",
];

pub(crate) const TEXT: [&str; 5] = [
    "SELECT date_trunc('day', event_time) AS day, event_name, count(*) FROM events GROUP BY ALL",
    "SELECT properties->>'$.mp_country_code', sum(CAST(properties->>'$.amount' AS DOUBLE)) FROM events
     WHERE event_name = 'Purchase' GROUP BY 1 ORDER BY 2 DESC LIMIT 10",
    "SELECT properties->>'$.plan', quantile_cont(CAST(properties->>'$.amount' AS DOUBLE), 0.95) FROM events
     WHERE event_name = 'Purchase' GROUP BY 1",
    "WITH first AS (SELECT distinct_id, min(event_time) AS t FROM events GROUP BY 1)
     SELECT properties->>'$.plan', count(DISTINCT e.distinct_id) FROM events e JOIN first USING (distinct_id)
     WHERE e.event_time >= first.t + INTERVAL 7 DAY GROUP BY 1",
    "SELECT properties->>'$.\"$browser\"', count(*) FILTER (event_name = 'Product Viewed'),
            count(*) FILTER (event_name = 'Purchase') FROM events GROUP BY 1",
];

/// The best of five runs, in milliseconds.
pub(crate) fn best(mut run: impl FnMut()) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let started = Instant::now();
        run();
        best = best.min(started.elapsed().as_secs_f64() * 1e3);
    }
    best
}

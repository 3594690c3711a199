//! How often users do something within a period (retention reference, "addiction").

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::{check_given, check_unit, invalid, set};
use crate::api::ApiRequest;
use crate::client::Client;
use crate::days;
use crate::discovery::UnknownName;
use crate::error::Result;
use crate::table::{Columns, Tabular};
use crate::words::TimeUnit;

/// In how many hours, or days, of a period users did something.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FrequencyQuery {
    /// The first day, in the project's time zone.
    pub from: Date,
    /// The last day, included.
    pub to: Date,
    /// The period: day (unless set), week or month.
    pub unit: TimeUnit,
    /// What is counted within a period: hour (unless set) or day.
    pub addiction_unit: TimeUnit,
    /// The event; any event unless set.
    pub event: Option<String>,
    /// An expression that events must fulfil.
    pub where_: Option<String>,
}

impl FrequencyQuery {
    /// Hours of each day.
    pub fn new(from: Date, to: Date) -> Self {
        let (unit, addiction_unit) = (TimeUnit::Day, TimeUnit::Hour);
        Self { from, to, unit, addiction_unit, event: None, where_: None }
    }
}

/// How many users did something in how many hours, or days, of a period.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FrequencyResult {
    /// The event; any if none.
    pub event: Option<String>,
    /// The first day.
    pub from_date: Date,
    /// The last day.
    pub to_date: Date,
    /// The period.
    pub unit: TimeUnit,
    /// What was counted within a period.
    pub addiction_unit: TimeUnit,
    /// By the date on which a period begins: the users that were active in at least 1, 2, 3, …
    /// hours or days of it. The numbers never rise.
    pub data: BTreeMap<String, Vec<u64>>,
    /// Events asked for that Mixpanel does not list; looked for where nothing was found.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unknown_names: Vec<UnknownName>,
}

impl Tabular for FrequencyResult {
    /// `date`, `period_1`, `period_2`, …
    fn to_batch(&self) -> arrow::record_batch::RecordBatch {
        let mut columns = Columns::new().buckets("date", self.data.keys().map(String::as_str));
        let periods = self.data.values().map(Vec::len).max().unwrap_or(0);
        for period in 0..periods {
            let users = self.data.values().map(|users| users.get(period).copied().unwrap_or(0));
            columns = columns.count(&format!("period_{}", period + 1), users);
        }
        columns.finish()
    }

    fn unknown_names(&self) -> &[UnknownName] {
        &self.unknown_names
    }
}

impl Client {
    /// Asks in how many hours, or days, of a period users did something.
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`](crate::ErrorKind::InvalidRequest) for a question that cannot be right;
    /// those of [`Client::json`].
    pub fn frequency(&self, query: &FrequencyQuery) -> Result<FrequencyResult> {
        #[derive(Deserialize)]
        struct Answer {
            #[serde(default)]
            data: BTreeMap<String, Vec<u64>>,
        }
        let FrequencyQuery { from, to, unit, addiction_unit, .. } = query;
        days::check(*from, *to)?;
        check_unit(*unit, &[TimeUnit::Day, TimeUnit::Week, TimeUnit::Month], "a period")?;
        check_unit(*addiction_unit, &[TimeUnit::Hour, TimeUnit::Day], "what is counted")?;
        if unit == addiction_unit {
            return invalid(format!("a {unit} has one {unit}: count hours, or take longer periods"));
        }
        check_given(&query.event, "the name of the event")?;
        check_given(&query.where_, "the expression `where`")?;
        let request = ApiRequest::query("retention/addiction")
            .param("from_date", from)
            .param("to_date", to)
            .param("unit", unit)
            .param("addiction_unit", addiction_unit)
            .maybe("event", set(&query.event))
            .maybe("where", set(&query.where_));
        let Answer { mut data } = self.json(&request)?;
        if *unit == TimeUnit::Day {
            for day in days::each(*from, *to) {
                // A day has 24 hours here, whatever the clocks do.
                data.entry(day.to_string()).or_insert_with(|| vec![0; 24]);
            }
        }
        let nothing = data.values().flatten().all(|users| *users == 0);
        let unknown_names = self.unknown_of(query.event.as_deref().filter(|_| nothing));
        Ok(FrequencyResult {
            event: query.event.clone(),
            from_date: *from,
            to_date: *to,
            unit: *unit,
            addiction_unit: *addiction_unit,
            data,
            unknown_names,
        })
    }
}

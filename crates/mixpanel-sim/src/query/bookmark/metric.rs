//! What a bookmark shows: numbers about events, a funnel, or retention.

use serde_json::Value;

use super::super::time::{DAY_MS, HOUR_MS, Unit};
use super::fields::Fields;
use super::filter::{Filters, of_user};
use crate::api::Refusal;

/// Something that is shown.
#[derive(Debug)]
pub(in crate::query) enum Metric {
    Event(EventMetric),
    Funnel(FunnelMetric),
    Retention(RetentionMetric),
}

/// A number about an event.
#[derive(Debug)]
pub(in crate::query) struct EventMetric {
    /// What the series is called, if not like the event.
    pub(in crate::query) label: Option<String>,
    pub(in crate::query) step: StepDefinition,
    pub(in crate::query) math: Math,
    /// A property and whether it is the user's; for `math` over values.
    pub(in crate::query) property: Option<(String, bool)>,
}

/// An event with its own filters.
#[derive(Debug, Clone)]
pub(in crate::query) struct StepDefinition {
    pub(in crate::query) event: String,
    pub(in crate::query) filters: Filters,
}

#[derive(Debug)]
pub(in crate::query) struct FunnelMetric {
    pub(in crate::query) steps: Vec<StepDefinition>,
    pub(in crate::query) window_ms: i64,
}

#[derive(Debug)]
pub(in crate::query) struct RetentionMetric {
    pub(in crate::query) born: StepDefinition,
    pub(in crate::query) returned: StepDefinition,
    pub(in crate::query) unit: Unit,
    pub(in crate::query) compounded: bool,
    pub(in crate::query) unbounded: bool,
}

/// How events become a number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::query) enum Math {
    /// How many events, or the sum of a property.
    Total,
    /// How many users.
    Unique,
    Average,
    Min,
    Max,
    /// A percentile of the values, 0 to 100, between neighbours by their distance.
    Percentile(f64),
    /// How many different values.
    Distinct,
}

const MATHS: [(&str, Math); 12] = [
    ("total", Math::Total),
    ("general", Math::Total),
    ("unique", Math::Unique),
    ("dau", Math::Unique),
    ("average", Math::Average),
    ("median", Math::Percentile(50.0)),
    ("min", Math::Min),
    ("max", Math::Max),
    ("p25", Math::Percentile(25.0)),
    ("p75", Math::Percentile(75.0)),
    ("p90", Math::Percentile(90.0)),
    ("p99", Math::Percentile(99.0)),
];

impl Metric {
    pub(super) fn read(path: String, value: &Value) -> Result<Metric, Refusal> {
        let known = ["type", "behavior", "measurement", "name"];
        let display = [
            "_idx",
            "idx",
            "id",
            "userNamed",
            "display",
            "isExpanded",
            "labelPrefix",
            "formulaLabel",
            "showClauseIndex",
            "hasUnsavedChanges",
        ];
        let unsupported = [
            "isHidden",
            "formula",
            "statsig",
            "srm",
            "comparisons",
            "goals",
            "overrides",
            "referencedMetrics",
        ];
        let fields = Fields::read(value, path, &known, &display, &unsupported)?;
        fields.choice("type", &[("metric", ())])?;
        let behavior = Behavior::read(&fields)?;
        let measurement = Measurement::read(&fields)?;
        match behavior.kind {
            Kind::Event => Ok(Metric::Event(EventMetric {
                label: fields.text("name")?.map(str::to_owned),
                step: StepDefinition {
                    event: behavior.fields.required("name")?.to_owned(),
                    filters: Filters::read(&behavior.fields, "filters")?,
                },
                math: measurement.of_events()?,
                property: measurement.property,
            })),
            Kind::Funnel => {
                measurement.is_one_of(&["conversion_rate", "conversion_rate_unique", "unique", "general"])?;
                behavior.funnel().map(Metric::Funnel)
            }
            Kind::Retention => {
                measurement.is_one_of(&["retention_rate", "unique"])?;
                behavior.retention().map(Metric::Retention)
            }
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Event,
    Funnel,
    Retention,
}

struct Behavior<'a> {
    kind: Kind,
    fields: Fields<'a>,
}

impl<'a> Behavior<'a> {
    fn read(metric: &Fields<'a>) -> Result<Behavior<'a>, Refusal> {
        let known = [
            "type",
            "name",
            "filters",
            "filtersDeterminer",
            "behaviors",
            "conversionWindowDuration",
            "conversionWindowUnit",
            "funnelOrder",
            "retentionType",
            "retentionAlignmentType",
            "retentionUnit",
            "retentionUnbounded",
            "retentionUnboundedMode",
            "funnelReentryMode",
            "resourceType",
        ];
        let display = [
            "id",
            "renamed",
            "dataset",
            "datasetId",
            "projectId",
            "search",
            "profileType",
            "dataGroupId",
            "display",
            "unsavedId",
            "disableCohortize",
            "hasUnsavedChanges",
        ];
        let unsupported = [
            "filter",
            "raw_cohort",
            "customBucket",
            "exclusions",
            "aggregateBy",
            "retentionCustomBucketSizes",
            "segmentationEvent",
            "customEventSet",
        ];
        let path = metric.path("behavior");
        let fields = Fields::read(metric.get("behavior"), path, &known, &display, &unsupported)?;
        let kinds = [
            ("event", Kind::Event),
            ("simple", Kind::Event),
            ("funnel", Kind::Funnel),
            ("retention", Kind::Retention),
        ];
        let kind = fields.choice("type", &kinds)?.unwrap_or(Kind::Event);
        Ok(Behavior { kind, fields })
    }

    fn steps(&self) -> Result<Vec<StepDefinition>, Refusal> {
        let steps = self.fields.list("behaviors")?.into_iter().map(|(path, value)| {
            let known = ["type", "name", "filters", "filtersDeterminer", "resourceType", "funnelOrder"];
            let display =
                ["id", "renamed", "display", "dataset", "search", "profileType", "dataGroupId", "projectId"];
            let unsupported = ["behaviors", "customEventSet", "filter"];
            let fields = Fields::read(value, path, &known, &display, &unsupported)?;
            fields.choice("type", &[("event", ()), ("simple", ())])?;
            fields.choice("funnelOrder", &[("loose", ())])?;
            let event = fields.required("name")?.to_owned();
            Ok(StepDefinition { event, filters: Filters::read(&fields, "filters")? })
        });
        steps.collect()
    }

    fn funnel(&self) -> Result<FunnelMetric, Refusal> {
        let fields = &self.fields;
        let steps = self.steps()?;
        if !(2..=super::super::funnel::count::MOST_STEPS).contains(&steps.len()) {
            return Err(fields.error("behaviors", "a funnel has between 2 and 64 steps"));
        }
        fields.choice("funnelOrder", &[("loose", ())])?;
        // Users enter once; the mode that lets them begin anew is not computed.
        fields.choice("funnelReentryMode", &[("default", ()), ("basic", ())])?;
        let units = [
            ("second", 1000),
            ("minute", 60_000),
            ("hour", HOUR_MS),
            ("day", DAY_MS),
            ("week", 7 * DAY_MS),
            ("month", 30 * DAY_MS),
        ];
        let unit = fields.choice("conversionWindowUnit", &units)?.unwrap_or(DAY_MS);
        let duration = fields.integer("conversionWindowDuration")?.unwrap_or(14);
        let window_ms = duration.checked_mul(unit).filter(|window| (1..=367 * DAY_MS).contains(window));
        let window_ms = window_ms.ok_or_else(|| {
            fields.error("conversionWindowDuration", "must be positive and at most 367 days")
        })?;
        Ok(FunnelMetric { steps, window_ms })
    }

    fn retention(&self) -> Result<RetentionMetric, Refusal> {
        let fields = &self.fields;
        let [born, returned] = <[StepDefinition; 2]>::try_from(self.steps()?)
            .map_err(|_| fields.error("behaviors", "retention has exactly 2 events"))?;
        fields.choice("retentionAlignmentType", &[("birth", ())])?;
        let units = [Unit::Day, Unit::Week, Unit::Month].map(|unit| (unit.name(), unit));
        let modes = [("none", false), ("carry_back", true)];
        Ok(RetentionMetric {
            born,
            returned,
            unit: fields.choice("retentionUnit", &units)?.unwrap_or(Unit::Day),
            compounded: fields
                .choice("retentionType", &[("birth", false), ("compounded", true)])?
                .unwrap_or(false),
            unbounded: fields.boolean("retentionUnbounded")?
                || fields.choice("retentionUnboundedMode", &modes)?.unwrap_or(false),
        })
    }
}

struct Measurement<'a> {
    fields: Fields<'a>,
    property: Option<(String, bool)>,
}

impl<'a> Measurement<'a> {
    fn read(metric: &Fields<'a>) -> Result<Measurement<'a>, Refusal> {
        static EMPTY: std::sync::LazyLock<Value> =
            std::sync::LazyLock::new(|| Value::Object(Default::default()));
        let value = match metric.get("measurement") {
            Value::Null => &*EMPTY,
            value => value,
        };
        let unsupported = [
            "cumulative",
            "perUserAggregation",
            "rolling",
            "segmentMethod",
            "multiAttribution",
            "stepIndex",
            "actionMode",
            "actionStep",
            "retentionBucketIndex",
            "retentionCumulative",
            "retentionSegmentationEvent",
        ];
        let path = metric.path("measurement");
        let fields = Fields::read(
            value,
            path,
            &["math", "property", "percentile"],
            &["id", "type", "dataGroupId"],
            &unsupported,
        )?;
        let property = match fields.get("property") {
            Value::Null => None,
            property => {
                let path = fields.path("property");
                let display =
                    ["type", "propertyType", "propertyDefaultType", "defaultType", "dataset", "value"];
                let property =
                    Fields::read(property, path, &["name", "resourceType"], &display, &["customProperty"])?;
                Some((property.required("name")?.to_owned(), of_user(&property)?))
            }
        };
        Ok(Measurement { fields, property })
    }

    fn of_events(&self) -> Result<Math, Refusal> {
        let math = match self.fields.text("math")? {
            Some("custom_percentile") => {
                let percentile = self.fields.get("percentile").as_f64();
                let within = percentile.filter(|percentile| (0.0..=100.0).contains(percentile));
                Math::Percentile(
                    within.ok_or_else(|| self.fields.error("percentile", "must be between 0 and 100"))?,
                )
            }
            Some("unique_values") => Math::Distinct,
            _ => self.fields.choice("math", &MATHS)?.unwrap_or(Math::Total),
        };
        let needs_property = !matches!(math, Math::Total | Math::Unique);
        if needs_property && self.property.is_none() {
            return Err(self.fields.error("property", "Field required for this math"));
        }
        Ok(math)
    }

    fn is_one_of(&self, maths: &[&str]) -> Result<(), Refusal> {
        let words: Vec<(&str, ())> = maths.iter().map(|math| (*math, ())).collect();
        self.fields.choice("math", &words)?;
        match self.property {
            Some(_) => Err(self.fields.error("property", "not supported by the simulator here")),
            None => Ok(()),
        }
    }
}

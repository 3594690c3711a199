//! What a table is a copy of: everything besides its filters that decides which rows come, and
//! under which day they are counted.
//!
//! Pure, but for [`Definition::load`]. Two definitions are compared part by part; a part that one
//! of them does not know is no difference, and is taken over when rows are written.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use mixpanel_client::time::{ClockMode, ProjectClock};

use super::connection::SqlConnection;
use crate::error::{DefinitionPart, ErrorKind, Result};
use crate::value::Value;
use crate::workspace::Project;

/// Stands before the mark of a project secret where no project id is known.
const MARK: &str = "secret:";

/// What exports of events are asked for, see `ExportRequest::time_in_ms`.
const MILLISECONDS: &str = "ms";

/// What a table is a copy of. `None` is what is not known.
#[derive(Clone, Debug, Default)]
pub(crate) struct Definition {
    /// The project's id, or the mark of its secret.
    pub(crate) project: Option<String>,
    /// The mark of the project's secret, where the id is known too.
    pub(crate) mark: Option<String>,
    /// Data residency: `us`, `eu`, `in`.
    pub(crate) region: Option<String>,
    /// Mixpanel's `workspace_id`. Exports know none: they are of the whole project.
    pub(crate) data_view: Option<String>,
    /// What the exported times mean; of events.
    pub(crate) clock: Option<Clock>,
    /// The precision that times are asked for with; `None` is whole seconds. Rows from before keep
    /// theirs: the `time` in their properties shows it.
    pub(crate) time_unit: Option<String>,
}

/// A project's clock, as far as it is written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Clock {
    /// `None`: UTC. Otherwise the IANA name of the zone whose wall clock is exported.
    zone: Option<String>,
}

/// The columns of `_tables` that hold a definition.
pub(crate) const COLUMNS: [&str; 6] =
    ["project_id", "region", "data_view", "clock_mode", "timezone", "time_unit"];

impl Definition {
    /// What fetches from this project bring: events, so that the clock matters.
    pub(crate) fn of_events(project: &Project) -> Self {
        Definition {
            clock: Some(Clock::of(&project.clock)),
            time_unit: Some(MILLISECONDS.to_owned()),
            ..Definition::of_profiles(project)
        }
    }

    /// The same of profiles, which have no days.
    pub(crate) fn of_profiles(project: &Project) -> Self {
        let known = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let id = project.client.project_id().map(|id| id.to_string()).or_else(|| known(&project.project_id));
        let mark = project.client.project_mark().map(|mark| format!("{MARK}{mark}"));
        Definition {
            project: id.or_else(|| mark.clone()),
            mark,
            region: known(&project.region.to_ascii_lowercase()),
            ..Definition::default()
        }
    }

    /// What is known when only a clock is given.
    pub(crate) fn of_clock(clock: &ProjectClock) -> Self {
        Definition { clock: Some(Clock::of(clock)), ..Definition::default() }
    }

    /// What is recorded of a table; nothing, if there is none or its file is of an older format.
    pub(crate) fn load(connection: &mut dyn SqlConnection, table: &str) -> Result<Self> {
        // By name: a file of an older format that is only read lacks the columns.
        let known = connection
            .collect("SELECT * FROM _tables WHERE table_name = ?", &[Value::Text(table.to_owned())])?;
        let known = known.to_rows();
        let text = |name: &str| {
            let at = known.columns.iter().position(|column| column == name)?;
            known.rows.first()?[at].as_str().map(str::to_owned)
        };
        let clock = text("clock_mode")
            .map(|mode| Clock { zone: if mode == "local" { text("timezone") } else { None } });
        Ok(Definition {
            project: text("project_id"),
            mark: None,
            region: text("region"),
            data_view: text("data_view"),
            clock,
            time_unit: text("time_unit"),
        })
    }

    /// The project's id; `None` if only its secret is known.
    pub(crate) fn project_id(&self) -> Option<String> {
        self.project.clone().filter(|project| !project.starts_with(MARK))
    }

    /// The values of [`COLUMNS`].
    pub(crate) fn values(&self) -> [Value; 6] {
        let maybe = |text: &Option<String>| text.clone().map_or(Value::Null, Value::Text);
        let (mode, zone) = match &self.clock {
            None => (None, None),
            Some(Clock { zone: None }) => (Some("utc".to_owned()), Some("UTC".to_owned())),
            Some(Clock { zone }) => (Some("local".to_owned()), zone.clone()),
        };
        [
            maybe(&self.project),
            maybe(&self.region),
            maybe(&self.data_view),
            maybe(&mode),
            maybe(&zone),
            maybe(&self.time_unit),
        ]
    }

    /// What is recorded when rows of `new` are written into a table that `self` says is.
    pub(crate) fn completed_by(self, new: &Definition) -> Definition {
        // An id says more than the mark of the secret it belongs to.
        let was_mark = self.project.is_some() && self.project == new.mark;
        Definition {
            project: if was_mark {
                new.project.clone()
            } else {
                self.project.or_else(|| new.project.clone())
            },
            mark: None,
            region: self.region.or_else(|| new.region.clone()),
            data_view: self.data_view.or_else(|| new.data_view.clone()),
            clock: self.clock.or_else(|| new.clock.clone()),
            time_unit: self.time_unit.or_else(|| new.time_unit.clone()),
        }
    }

    /// Whether rows of `asked` may go into `table`, which `self` says is.
    ///
    /// # Errors
    /// [`DefinitionMismatch`](ErrorKind::DefinitionMismatch).
    pub(crate) fn allows(&self, table: &str, asked: &Definition) -> Result<()> {
        let mismatch = |part, existing: String, requested: String| {
            Err(ErrorKind::DefinitionMismatch { table: table.to_owned(), part, existing, requested }.into())
        };
        let is_its_secret = asked.mark.is_some() && asked.mark == self.project;
        if (differ(&self.project, &asked.project) && !is_its_secret) || differ(&self.region, &asked.region) {
            return mismatch(DefinitionPart::Project, self.project_here(), asked.project_asked());
        }
        if differ(&self.data_view, &asked.data_view) {
            let words = |view: &Option<String>| format!("data view {}", view.as_deref().unwrap_or_default());
            return mismatch(DefinitionPart::DataView, words(&self.data_view), words(&asked.data_view));
        }
        match (&self.clock, &asked.clock) {
            (Some(here), Some(there)) if !here.is_same(there) => {
                mismatch(DefinitionPart::Clock, here.in_words(), there.in_words())
            }
            _ => Ok(()),
        }
    }

    /// All that is known, for whoever is told; `None` if nothing is.
    pub(crate) fn in_words(&self) -> Option<String> {
        let project = (self.project.is_some() || self.region.is_some())
            .then(|| self.project_in_words("the project of a project secret"));
        let view = self.data_view.as_ref().map(|view| format!("data view {view}"));
        let clock = self.clock.as_ref().map(Clock::in_words);
        let parts: Vec<String> = [project, view, clock].into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    }

    fn project_here(&self) -> String {
        self.project_in_words("the project of another project secret")
    }

    fn project_asked(&self) -> String {
        self.project_in_words("the project of this project secret (no project id is given)")
    }

    fn project_in_words(&self, of_secret: &str) -> String {
        let project = match &self.project {
            None => "a project".to_owned(),
            Some(mark) if mark.starts_with(MARK) => of_secret.to_owned(),
            Some(id) => format!("project {id}"),
        };
        match &self.region {
            Some(region) => format!("{project} in region {region}"),
            None => project,
        }
    }
}

fn differ(one: &Option<String>, other: &Option<String>) -> bool {
    matches!((one, other), (Some(one), Some(other)) if one != other)
}

impl Clock {
    pub(crate) const UTC: Clock = Clock { zone: None };

    pub(crate) fn of(clock: &ProjectClock) -> Self {
        let zone = match clock.mode() {
            ClockMode::Utc => None,
            ClockMode::LocalAsUtc => {
                Some(clock.timezone().iana_name().unwrap_or_else(|| clock.timezone_name()).to_owned())
            }
        };
        // A wall clock that shows UTC is no other clock.
        Clock { zone: zone.filter(|name| !is_utc(name)) }
    }

    /// The clock that this is written down of.
    pub(crate) fn project_clock(&self) -> ProjectClock {
        let local = self.zone.as_ref().map(|zone| ProjectClock::new(zone, ClockMode::LocalAsUtc));
        local.and_then(std::result::Result::ok).unwrap_or_default()
    }

    /// The clock as it may be given, for whoever is told.
    pub(crate) fn in_words(&self) -> String {
        match &self.zone {
            None => "UTC".to_owned(),
            Some(zone) => format!("the local time of {zone}"),
        }
    }

    /// Whether two clocks never show different times, whatever they are called.
    fn is_same(&self, other: &Clock) -> bool {
        match (&self.zone, &other.zone) {
            (None, None) => true,
            (Some(one), Some(two)) => one.eq_ignore_ascii_case(two) || same_offsets(one, two),
            _ => false,
        }
    }
}

fn is_utc(name: &str) -> bool {
    TimeZone::get(name).is_ok_and(|zone| offsets(&zone) == offsets(&TimeZone::UTC))
}

fn same_offsets(one: &str, two: &str) -> bool {
    match (TimeZone::get(one), TimeZone::get(two)) {
        (Ok(one), Ok(two)) => offsets(&one) == offsets(&two),
        _ => false,
    }
}

/// The offset in 1970, and all changes of it until 2100: seconds since 1970, and seconds.
fn offsets(zone: &TimeZone) -> Vec<(i64, i32)> {
    const YEAR_2100: i64 = 4_102_444_800;
    let first = (0, zone.to_offset(Timestamp::UNIX_EPOCH).seconds());
    let later = zone
        .following(Timestamp::UNIX_EPOCH)
        .map(|change| (change.timestamp().as_second(), change.offset().seconds()))
        .take_while(|(at, _)| *at < YEAR_2100);
    let mut all = vec![first];
    for change in later {
        // Some changes are of the zone's name alone.
        if all.last().is_some_and(|last| last.1 != change.1) {
            all.push(change);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(zone: &str) -> Clock {
        Clock::of(&ProjectClock::new(zone, ClockMode::LocalAsUtc).unwrap())
    }

    fn of(project: &str, region: &str) -> Definition {
        Definition {
            project: Some(project.into()),
            region: Some(region.into()),
            clock: Some(Clock { zone: None }),
            ..Definition::default()
        }
    }

    fn part(here: &Definition, asked: &Definition) -> Option<DefinitionPart> {
        match here.allows("events", asked).err()?.kind() {
            ErrorKind::DefinitionMismatch { part, .. } => Some(*part),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn clocks_are_compared_by_what_they_show() {
        assert!(clock("America/New_York").is_same(&clock("US/Eastern")));
        assert!(clock("america/new_york").is_same(&clock("America/New_York")));
        assert!(!clock("America/New_York").is_same(&clock("America/Toronto")));
        assert!(!clock("America/New_York").is_same(&Clock { zone: None }));
        for utc in ["UTC", "Etc/UTC", "Etc/GMT", "Zulu"] {
            assert_eq!(clock(utc), Clock::of(&ProjectClock::default()), "{utc}");
        }
        // The zone is of no account where times are UTC.
        let utc = ProjectClock::new("Asia/Tokyo", ClockMode::Utc).unwrap();
        assert_eq!(Clock::of(&utc).in_words(), "UTC");
    }

    #[test]
    fn each_part_that_differs_is_refused_and_what_is_not_known_is_not() {
        assert_eq!(part(&of("1", "us"), &of("1", "us")), None);
        assert_eq!(part(&of("1", "us"), &of("2", "us")), Some(DefinitionPart::Project));
        assert_eq!(part(&of("1", "us"), &of("1", "eu")), Some(DefinitionPart::Project));
        let view = |view: &str| Definition { data_view: Some(view.into()), ..of("1", "us") };
        assert_eq!(part(&view("7"), &view("8")), Some(DefinitionPart::DataView));
        assert_eq!(part(&view("7"), &of("1", "us")), None);
        let local = Definition { clock: Some(clock("Asia/Tokyo")), ..of("1", "us") };
        assert_eq!(part(&of("1", "us"), &local), Some(DefinitionPart::Clock));
        assert_eq!(part(&local, &of("1", "us")), Some(DefinitionPart::Clock));
        assert_eq!(part(&Definition::default(), &local), None);
        assert_eq!(part(&local, &Definition::default()), None);
        let error = of("1", "us").allows("t", &of("2", "eu")).unwrap_err().to_string();
        assert!(
            error.contains("project 1 in region us") && error.contains("project 2 in region eu"),
            "{error}"
        );
    }

    #[test]
    fn the_mark_of_a_secret_stands_for_its_project_until_the_id_is_known() {
        let secret = |mark: &str| Definition { mark: Some(mark.into()), ..of(mark, "us") };
        let both = |id: &str, mark: &str| Definition { mark: Some(mark.into()), ..of(id, "us") };
        assert_eq!(part(&of("secret:a", "us"), &secret("secret:a")), None);
        assert_eq!(part(&of("secret:a", "us"), &secret("secret:b")), Some(DefinitionPart::Project));
        assert_eq!(part(&of("secret:a", "us"), &both("7", "secret:a")), None);
        assert_eq!(part(&of("7", "us"), &both("7", "secret:a")), None);
        assert_eq!(part(&of("7", "us"), &both("8", "secret:a")), Some(DefinitionPart::Project));
        assert_eq!(of("7", "us").in_words().as_deref(), Some("project 7 in region us, UTC"));
        assert!(!of("secret:a", "us").in_words().unwrap().contains("secret:a"));
        assert_eq!(Definition::default().in_words(), None);
        let known = of("secret:a", "us").completed_by(&both("7", "secret:a"));
        assert_eq!(known.project.as_deref(), Some("7"));
        let kept = of("7", "us").completed_by(&both("7", "secret:a"));
        assert_eq!(kept.project.as_deref(), Some("7"));
        let error = of("secret:a", "us").allows("t", &secret("secret:b")).unwrap_err().to_string();
        assert!(!error.contains("secret:"), "{error}");
    }

    #[test]
    fn what_is_written_is_read_back() {
        for clock in [None, Some(Clock { zone: None }), Some(clock("Asia/Tokyo"))] {
            let definition = Definition { clock: clock.clone(), ..of("1", "eu") };
            assert_eq!(definition.values().len(), COLUMNS.len());
            let mode = definition.values()[3].clone();
            assert_eq!(mode.as_str(), clock.map(|clock| if clock.zone.is_some() { "local" } else { "utc" }));
        }
    }
}

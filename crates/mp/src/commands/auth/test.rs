//! `mp auth test`: what the credential is, which of Mixpanel's APIs answer it, what the plan lacks.

use jiff::civil::{Date, date};
use mixpanel_client::discovery::EntityType;
use mixpanel_client::engage::EngageRequest;
use mixpanel_client::export::ExportRequest;
use mixpanel_client::time::{ClockMode, ProjectClock};
use mixpanel_client::{BaseUrls, Credentials, ErrorKind};
use mixpanel_data::Project;
use serde::Serialize;

use super::super::Reader;
use crate::args;
use crate::config::{Account, Connection, Surroundings, Words};
use crate::error::Error;
use crate::output::{self, clean};

pub(super) fn run(args: &args::AuthTest, reader: Reader<'_>) -> Result<(), Error> {
    let Some(name) = &args.name else { return run_in(&args.status, reader) };
    let words = reader.env.words();
    if let Some(other) = words.account.as_ref().filter(|other| *other != name) {
        let what = format!("two accounts are named: {name}, and {other} by --account");
        return Err(Error::setting(what, "one of them"));
    }
    // The same as --account NAME.
    let words = Words { account: Some(name.clone()), ..words.clone() };
    let env = Surroundings::of_process(words, reader.env.mask().clone(), reader.env.databases().clone());
    let outcome = run_in(&args.status, Reader { env: &env, ..reader });
    env.cautions().iter().for_each(|caution| reader.ui.caution(caution));
    outcome
}

fn run_in(args: &args::AuthStatus, reader: Reader<'_>) -> Result<(), Error> {
    let connection = Connection::resolve(&args.connection, reader.env)?;
    tell(&ask(connection, reader)?, &args.output, reader)
}

/// Asks about an account that is not stored yet.
pub(super) fn of_account(
    name: &str,
    account: &Account,
    connection: &args::Connection,
    reader: Reader<'_>,
) -> Result<Tested, Error> {
    // Its secret is at hand, wherever it is going to be kept.
    let account = Account { keyring: false, ..account.clone() };
    let env =
        Surroundings::with_account(name, account, reader.env.mask().clone(), reader.env.databases().clone());
    ask(Connection::resolve(connection, &env)?, reader)
}

/// Prints what came of it.
pub(super) fn tell(tested: &Tested, output: &args::Output, reader: Reader<'_>) -> Result<(), Error> {
    output::object(output, reader.ui, tested, &pairs(tested))
}

#[derive(Serialize)]
pub(super) struct Tested {
    /// What fails is an error, so this is always true: scripts of the Python original look at it.
    success: bool,
    kind: &'static str,
    account: Option<String>,
    username: Option<String>,
    project_id: Option<String>,
    /// What Mixpanel says of the project, where the app API answers.
    project_name: Option<String>,
    project_timezone: Option<String>,
    region: String,
    pub(super) timezone: String,
    /// Whether the time zone is nobody's word.
    #[serde(skip)]
    assumes_timezone: bool,
    clock_mode: &'static str,
    /// As many events as Mixpanel lists for the project, where the query API answers.
    events_found: Option<usize>,
    apis: Vec<Api>,
    plan_lacks: Vec<String>,
}

impl Tested {
    /// The project's time zone, where nobody said one.
    pub(super) fn better_timezone(&self) -> Option<String> {
        let zone = self.project_timezone.as_ref().filter(|_| self.assumes_timezone)?;
        ProjectClock::new(zone, ClockMode::Utc).is_ok().then(|| zone.clone())
    }
}

#[derive(Serialize)]
struct Api {
    name: &'static str,
    answers: bool,
    /// What it said instead.
    remark: Option<String>,
    #[serde(skip)]
    lacks: Option<String>,
}

fn ask(connection: Connection, reader: Reader<'_>) -> Result<Tested, Error> {
    let (kind, username) = match &connection.credentials {
        Credentials::ServiceAccount { username, .. } => ("service account", Some(username.clone())),
        Credentials::ProjectSecret { .. } => ("project secret", None),
        _ => ("unknown", None),
    };
    let (account, project_id, region) =
        (connection.account.clone(), connection.project_id, connection.region);
    let assumes_timezone = !connection.has_timezone;
    let project = connection.clone().project(reader.signals, reader.ui)?;
    let client = &project.client;
    let raw_export = match export(&project) {
        Err(Error::Client(error)) if matches!(error.kind(), ErrorKind::Authentication { .. }) => {
            let found = connection.elsewhere(reader.signals.cancel(), reader.ui, BaseUrls::for_region);
            return Err(found.map_or(Error::Client(error), |found| {
                let found = Box::new(found);
                Error::OtherRegion { found, tried: region }
            }));
        }
        outcome => outcome?,
    };
    let (events_found, query) = match client.events() {
        Ok(events) => (Some(events.len()), Ok(())),
        Err(error) => (None, Err(error)),
    };
    // Nobody has this id, so the answer is short.
    let nobody = EngageRequest { distinct_id: Some("mp-auth-test".to_owned()), ..EngageRequest::default() };
    let (about, app) = match client.project_info() {
        Ok(about) => (Some(about), Ok(())),
        Err(error) => (None, Err(error)),
    };
    let apis = vec![
        raw_export,
        answers("query API", query),
        answers("profiles", client.profiles(&nobody, 1).map(drop)),
        answers("app API", app),
        answers("Lexicon", client.lexicon_schemas(Some(EntityType::Profile)).map(drop)),
    ];
    let plan_lacks = apis.iter().filter_map(|api| api.lacks.clone()).collect();
    Ok(Tested {
        success: true,
        kind,
        account,
        username,
        project_id: project_id.map(|id| id.to_string()),
        project_name: about.as_ref().map(|about| about.name.clone()),
        project_timezone: about.and_then(|about| about.timezone),
        region: project.region.clone(),
        timezone: project.clock.timezone_name().to_owned(),
        assumes_timezone,
        clock_mode: if project.clock.mode() == ClockMode::Utc { "utc" } else { "local" },
        events_found,
        apis,
        plan_lacks,
    })
}

/// A day before Mixpanel's first customers: asking for it costs nothing but a request, and tells how
/// far back the plan reaches.
const OLD: Date = date(2009, 1, 1);

/// A refused credential is an error; what the plan lacks is an answer.
fn export(project: &Project) -> Result<Api, Error> {
    const NAME: &str = "raw export";
    let mut request = ExportRequest::days(OLD, OLD);
    request.limit = Some(1);
    let error = match project.client.export(&request) {
        Ok(_) => return Ok(Api { name: NAME, answers: true, remark: None, lacks: None }),
        Err(error) => error,
    };
    match error.kind() {
        ErrorKind::Forbidden { history_days: Some(days), .. } => {
            let lacks = Some(format!("events older than {days} days"));
            Ok(Api { name: NAME, answers: true, remark: None, lacks })
        }
        ErrorKind::PlanLimit { .. } => Ok(answers(NAME, Err(error))),
        _ => Err(error.into()),
    }
}

/// Other APIs may be closed to this credential, or not in the plan: that is an answer too.
fn answers(name: &'static str, outcome: mixpanel_client::Result<()>) -> Api {
    let Err(error) = outcome else { return Api { name, answers: true, remark: None, lacks: None } };
    let lacks = matches!(error.kind(), ErrorKind::PlanLimit { .. }).then(|| name.to_owned());
    Api { name, answers: false, remark: Some(clean(&error.to_string())), lacks }
}

fn pairs(tested: &Tested) -> Vec<(&'static str, String)> {
    let mut pairs = vec![("credential", tested.kind.to_owned())];
    pairs.extend(tested.account.clone().map(|account| ("account", account)));
    pairs.extend(tested.username.clone().map(|username| ("username", username)));
    let named = |id: &String| match &tested.project_name {
        Some(name) => format!("{id}, {}", clean(name)),
        None => id.clone(),
    };
    pairs.extend(tested.project_id.as_ref().map(|id| ("project", named(id))));
    pairs.push(("region", tested.region.clone()));
    pairs.push(("time zone", format!("{} (times are {})", tested.timezone, tested.clock_mode)));
    if let Some(zone) = tested.project_timezone.as_ref().filter(|zone| **zone != tested.timezone) {
        let remark = format!("the project's is {}: --timezone, or `timezone` of the account", clean(zone));
        pairs.push(("note", remark));
    }
    for api in &tested.apis {
        let answer = if api.answers { "answers" } else { "does not answer" };
        let remark = api.remark.as_ref().map(|remark| format!(": {remark}")).unwrap_or_default();
        pairs.push((api.name, format!("{answer}{remark}")));
    }
    if !tested.plan_lacks.is_empty() {
        pairs.push(("the plan lacks", tested.plan_lacks.join(", ")));
    }
    pairs
}

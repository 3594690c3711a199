//! `mp auth test`: what the credential is, and which of Mixpanel's APIs answer it.

use jiff::civil::{Date, date};
use mixpanel_client::api::ApiRequest;
use mixpanel_client::export::ExportRequest;
use mixpanel_client::time::ClockMode;
use mixpanel_client::{Credentials, ErrorKind};
use mixpanel_data::Project;
use serde::Serialize;
use serde_json::Value as Json;

use super::super::Reader;
use crate::args;
use crate::config::{Connection, Surroundings, Words};
use crate::error::Error;
use crate::output;

pub(super) fn run(args: &args::AuthStatus, reader: Reader<'_>) -> Result<(), Error> {
    let connection = Connection::resolve(&args.connection, reader.env)?;
    test(connection, &args.output, reader)
}

/// The same for an account that has just been stored.
pub(super) fn of_account(name: &str, connection: &args::Connection, reader: Reader<'_>) -> Result<(), Error> {
    let words = Words { account: Some(name.to_owned()), ..reader.env.words().clone() };
    let env = Surroundings::of_process(words, reader.env.mask().clone());
    let connection = Connection::resolve(connection, &env)?;
    test(connection, &args::Output::default(), reader)
}

#[derive(Serialize)]
struct Tested {
    kind: &'static str,
    account: Option<String>,
    username: Option<String>,
    project_id: Option<u64>,
    /// What Mixpanel says of the project, where the app API answers.
    project_name: Option<String>,
    project_timezone: Option<String>,
    region: String,
    timezone: String,
    clock_mode: &'static str,
    apis: Vec<Api>,
}

#[derive(Serialize)]
struct Api {
    name: &'static str,
    answers: bool,
    /// What it said, or what the plan lacks.
    remark: Option<String>,
}

fn test(connection: Connection, output: &args::Output, reader: Reader<'_>) -> Result<(), Error> {
    let (kind, username) = match &connection.credentials {
        Credentials::ServiceAccount { username, .. } => ("service account", Some(username.clone())),
        Credentials::ProjectSecret { .. } => ("project secret", None),
        _ => ("unknown", None),
    };
    let (account, project_id) = (connection.account.clone(), connection.project_id);
    let ui = reader.ui.clone();
    let project = connection.project(reader.signals, move |notice| ui.say(&notice.error.to_string()))?;
    let mut apis = vec![export(&project)?];
    let names = ApiRequest::query("events/names").param("type", "general").param("limit", 1);
    apis.push(answers("query API", project.client.json::<Json>(&names).map(drop)));
    let me = project.client.json::<Json>(&ApiRequest::app("me"));
    let about =
        me.as_ref().ok().and_then(|me| me.pointer(&format!("/results/projects/{}", project.project_id)));
    let said = |name: &str| about.and_then(|about| about.get(name)).and_then(Json::as_str).map(str::to_owned);
    let (project_name, project_timezone) = (said("name"), said("timezone"));
    apis.push(answers("app API", me.map(drop)));
    let tested = Tested {
        kind,
        account,
        username,
        project_id,
        project_name,
        project_timezone,
        region: project.region.clone(),
        timezone: project.clock.timezone_name().to_owned(),
        clock_mode: if project.clock.mode() == ClockMode::Utc { "utc" } else { "local" },
        apis,
    };
    output::object(output, reader.ui, &tested, &pairs(&tested))
}

/// A day before Mixpanel's first customers: asking for it costs nothing but a request, and tells how
/// far back the plan reaches.
const OLD: Date = date(2009, 1, 1);

/// A refused credential is an error; what the plan lacks is an answer.
fn export(project: &Project) -> Result<Api, Error> {
    let mut request = ExportRequest::days(OLD, OLD);
    request.limit = Some(1);
    let (answers, remark) = match project.client.export(&request).map(drop) {
        Ok(()) => (true, None),
        Err(error) => match error.kind() {
            ErrorKind::Forbidden { history_days: Some(days), .. } => {
                (true, Some(format!("the plan keeps {days} days of history")))
            }
            ErrorKind::PlanLimit { .. } => (false, Some(output::clean(&error.to_string()))),
            _ => return Err(error.into()),
        },
    };
    Ok(Api { name: "raw export", answers, remark })
}

/// Other APIs may be closed to this credential, or not in the plan: that is an answer too.
fn answers(name: &'static str, outcome: mixpanel_client::Result<()>) -> Api {
    let remark = outcome.as_ref().err().map(|error| output::clean(&error.to_string()));
    Api { name, answers: outcome.is_ok(), remark }
}

fn pairs(tested: &Tested) -> Vec<(&'static str, String)> {
    let mut pairs = vec![("credential", tested.kind.to_owned())];
    pairs.extend(tested.account.clone().map(|account| ("account", account)));
    pairs.extend(tested.username.clone().map(|username| ("username", username)));
    let named = |id: u64| match &tested.project_name {
        Some(name) => format!("{id}, {}", output::clean(name)),
        None => id.to_string(),
    };
    pairs.extend(tested.project_id.map(|id| ("project", named(id))));
    pairs.push(("region", tested.region.clone()));
    pairs.push(("time zone", format!("{} (times are {})", tested.timezone, tested.clock_mode)));
    if let Some(zone) = tested.project_timezone.as_ref().filter(|zone| **zone != tested.timezone) {
        let remark =
            format!("the project's is {}: --timezone, or `timezone` of the account", output::clean(zone));
        pairs.push(("note", remark));
    }
    for api in &tested.apis {
        let answer = if api.answers { "answers" } else { "does not answer" };
        let remark = api.remark.as_ref().map(|remark| format!(": {remark}")).unwrap_or_default();
        pairs.push((api.name, format!("{answer}{remark}")));
    }
    pairs
}

//! A project and the way to it.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use mixpanel_client::budget::RequestBudget;
use mixpanel_client::discovery::{RegionFound, probe_region};
use mixpanel_client::network::{Network, NetworkSettings};
use mixpanel_client::retry::RetryObserver;
use mixpanel_client::time::{ClockMode, ProjectClock};
use mixpanel_client::{BaseUrls, CancelToken, Client, ClientOptions, Credentials, Region, RequestObserver};
use mixpanel_data::Project;

use super::settings::{Found, Key, Settings};
use super::{Env, state_folder};
use crate::args;
use crate::error::Error;
use crate::signals::Signals;
use crate::ui::Ui;

/// A project and the way to it.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    pub(crate) credentials: Credentials,
    /// The account of the configuration file that the credentials are from.
    pub(crate) account: Option<String>,
    pub(crate) project_id: Option<u64>,
    pub(crate) region: Region,
    pub(crate) base_urls: BaseUrls,
    pub(crate) clock: ProjectClock,
    /// Whether somebody said what the time zone is.
    pub(crate) has_timezone: bool,
    /// Whether requests are counted, and where, for all processes of this user.
    pub(crate) budget: Option<Option<PathBuf>>,
    pub(crate) network: Network,
}

impl Connection {
    /// The project that flags, environment and files name, with its credentials.
    pub(crate) fn resolve(args: &args::Connection, env: Env<'_>) -> Result<Self, Error> {
        let settings = Settings::of(env)?;
        let project_id = project_id(settings.find(Key::ProjectId, args.project_id.as_deref()))?;
        let region = region(settings.find(Key::Region, args.region.as_deref()))?;
        let clock = clock(&settings, args)?;
        // Another server, such as the simulator, has limits of its own.
        let (base_urls, budget) = match settings.find(Key::BaseUrl, args.base_url.as_deref()).value {
            Some(base) => (BaseUrls::single_host(&base), None),
            None => (BaseUrls::for_region(region), Some(state_folder(env))),
        };
        let network = network(&base_urls, env)?;
        let has_timezone = settings.find(Key::Timezone, args.timezone.as_deref()).value.is_some();
        let account = settings.account_in_use().map(str::to_owned);
        let credentials = settings.credentials(project_id.is_some())?;
        env.mask().hide(match &credentials {
            Credentials::ServiceAccount { secret, .. } | Credentials::ProjectSecret { secret } => secret,
            _ => return Err(Error::NoCredentials { missing: vec!["MP_USERNAME", "MP_SECRET"] }),
        });
        let connection = Connection {
            credentials,
            account,
            project_id,
            region,
            base_urls,
            clock,
            has_timezone,
            budget,
            network,
        };
        Ok(connection)
    }

    /// What the project's times and days are; needs no credentials.
    pub(crate) fn clock(args: &args::Connection, env: Env<'_>) -> Result<ProjectClock, Error> {
        clock(&Settings::of(env)?, args)
    }

    /// The same, if somebody said what it is.
    pub(crate) fn chosen_clock(args: &args::Connection, env: Env<'_>) -> Result<Option<ProjectClock>, Error> {
        let settings = Settings::of(env)?;
        let said = settings.find(Key::ClockMode, args.clock_mode.as_deref()).value.is_some();
        let clock = clock(&settings, args)?;
        Ok(said.then_some(clock))
    }

    /// The project to fetch from. Waits are told, and requests to those who asked for more.
    pub(crate) fn project(self, signals: &Signals, ui: &Ui) -> Result<Project, Error> {
        let client = Client::new(self.options(signals.cancel(), ui))?;
        Ok(Project {
            client,
            project_id: self.project_id.map(|id| id.to_string()).unwrap_or_default(),
            region: self.region.to_string(),
            account: self.account,
            clock: self.clock,
        })
    }

    /// Where credentials that were refused are good, if that is in another region; `addresses` says
    /// where a region is.
    pub(crate) fn elsewhere(
        &self,
        cancel: CancelToken,
        ui: &Ui,
        addresses: impl Fn(Region) -> BaseUrls,
    ) -> Option<RegionFound> {
        let is_mixpanel = self.base_urls == addresses(self.region);
        let found = is_mixpanel.then(|| probe_region(&self.options(cancel, ui), addresses))?.ok()?;
        (found.region != self.region).then_some(found)
    }

    fn options(&self, cancel: CancelToken, ui: &Ui) -> ClientOptions {
        let mut options = ClientOptions::new(self.credentials.clone());
        options.project_id = self.project_id;
        options.base_urls = self.base_urls.clone();
        self.network.apply(&mut options);
        options.cancel = cancel;
        let budget = self.budget.as_ref().map(|folder| folder.as_ref().map(|folder| folder.join("budget")));
        options.budget =
            budget.map(|folder| Arc::new(RequestBudget::of_project(folder.as_deref(), &options)));
        let (retries, requests) = (ui.clone(), ui.clone());
        options.observer = Some(RetryObserver::new(move |notice| retries.retry(&notice)));
        options.request_observer = Some(RequestObserver::new(move |notice| requests.request(&notice)));
        options.seed = u64::from(std::process::id()) ^ Timestamp::now().as_microsecond().unsigned_abs();
        options
    }
}

/// The way to these addresses, by the environment and the user's file.
pub(crate) fn network(urls: &BaseUrls, env: Env<'_>) -> Result<Network, Error> {
    let settings = &env.files()?.user.settings;
    let configured = NetworkSettings {
        proxy: settings.proxy.clone(),
        no_proxy: settings.no_proxy.clone(),
        ca_file: settings.ca_file.clone(),
    };
    let network = Network::resolve(urls, &configured, |name| env.get(name)).map_err(|error| {
        let cause = std::error::Error::source(&error).map_or_else(String::new, |cause| format!(": {cause}"));
        Error::setting(format!("{error}{cause}"), "mp help environment")
    })?;
    if let Some(proxy) = network.proxy() {
        env.mask().hide(proxy);
    }
    Ok(network)
}

pub(super) fn project_id(found: Found) -> Result<Option<u64>, Error> {
    let Some(text) = &found.value else { return Ok(None) };
    let id = text.trim().parse().map_err(|_| {
        let hint =
            format!("the project id is a number: Mixpanel shows it under Project Settings{}", found.place());
        Error::setting(format!("the project id {text:?} is not a number"), hint)
    })?;
    Ok(Some(id))
}

fn region(found: Found) -> Result<Region, Error> {
    let Some(text) = &found.value else { return Ok(Region::default()) };
    text.trim().parse().map_err(|_| {
        let hint = format!("--region us, eu or in (or MP_REGION){}", found.place());
        Error::setting(format!("unknown region {text:?}"), hint)
    })
}

fn clock(settings: &Settings<'_>, args: &args::Connection) -> Result<ProjectClock, Error> {
    let mode = settings.find(Key::ClockMode, args.clock_mode.as_deref());
    let mode = match mode.value.as_deref().map(str::to_ascii_lowercase).as_deref() {
        None | Some("utc") => ClockMode::Utc,
        Some("local" | "local-as-utc") => ClockMode::LocalAsUtc,
        Some(other) => {
            let hint = "--clock-mode utc, or local for projects made before 2023 (or MP_CLOCK_MODE)";
            return Err(Error::setting(
                format!("unknown clock mode {other:?}"),
                format!("{hint}{}", mode.place()),
            ));
        }
    };
    let zone = settings.find(Key::Timezone, args.timezone.as_deref());
    let name = zone.value.as_deref().unwrap_or("UTC");
    ProjectClock::new(name, mode).map_err(|_| {
        let hint = format!("a name such as America/New_York, as in the project's settings{}", zone.place());
        Error::setting(format!("unknown time zone {name:?}"), hint)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use mixpanel_sim::{SimConfig, Simulator};

    fn at(simulator: &Simulator) -> BaseUrls {
        BaseUrls::single_host(&simulator.base_url())
    }

    #[test]
    fn credentials_of_another_region_are_found_there() {
        let start = |secret: &str| {
            let secret = secret.to_owned();
            Simulator::start(SimConfig { secret, days: 1, events_per_day: 1, ..SimConfig::default() })
                .unwrap()
        };
        let (us, eu) = (start("one-secret"), start("another-secret"));
        let addresses = |region| at(if region == Region::Eu { &eu } else { &us });
        let connection = |region, base_urls, secret: &str| Connection {
            credentials: Credentials::service_account(us.config().username.clone(), secret),
            account: None,
            project_id: Some(us.config().project_id),
            region,
            base_urls,
            clock: ProjectClock::default(),
            has_timezone: false,
            budget: None,
            network: Network::default(),
        };
        let find = |connection: Connection| {
            connection.elsewhere(CancelToken::new(), &Ui::silent(), addresses).map(|found| found.region)
        };
        assert_eq!(find(connection(Region::Us, at(&us), "another-secret")), Some(Region::Eu));
        assert_eq!(find(connection(Region::Eu, at(&eu), "another-secret")), None);
        assert_eq!(find(connection(Region::Us, at(&us), "nowhere-good")), None);
        // Credentials for a server of one's own go nowhere else.
        assert_eq!(find(connection(Region::Us, at(&eu), "another-secret")), None);
    }
}

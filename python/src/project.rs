//! A project to fetch from: credentials and addresses, as a client.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use mixpanel_client::budget::RequestBudget;
use mixpanel_client::network::{Network, NetworkSettings};
use mixpanel_client::retry::RetryPolicy;
use mixpanel_client::time::{ClockMode, ProjectClock};
use mixpanel_client::{BaseUrls, CancelToken, Client, ClientOptions, Credentials, Region, Secret};
use mixpanel_data::Project;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;

/// A project, with its client. Its parts cannot be read back.
#[pyclass(frozen, module = "mixpanel_data._core", name = "Project")]
pub(crate) struct PyProject {
    project: Project,
    cancel: CancelToken,
    /// The process that made it.
    process: u32,
}

#[pymethods]
impl PyProject {
    #[new]
    #[pyo3(signature = (*, username=None, secret, project_id=None, region, base_url=None, account=None,
                        timezone="UTC", clock_mode="utc", budget_folder=None, retries=None, network=None))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments")]
    fn new(
        py: Python<'_>,
        username: Option<String>,
        secret: String,
        project_id: Option<u64>,
        region: &str,
        base_url: Option<&str>,
        account: Option<String>,
        timezone: &str,
        clock_mode: &str,
        budget_folder: Option<PathBuf>,
        retries: Option<u32>,
        network: Option<HashMap<String, String>>,
    ) -> PyResult<Self> {
        let invalid = |error: mixpanel_client::Error| PyValueError::new_err(error.to_string());
        let region: Region = region.parse().map_err(invalid)?;
        let clock = clock(timezone, clock_mode)?;
        let credentials = match username {
            Some(username) => Credentials::service_account(username, secret),
            None => Credentials::project_secret(secret),
        };
        let mut options = ClientOptions::new(credentials);
        options.project_id = project_id;
        // Another server, such as the simulator, has limits of its own.
        options.base_urls = base_url.map_or_else(|| BaseUrls::for_region(region), BaseUrls::single_host);
        way(&options.base_urls, &network.unwrap_or_default()).map_err(invalid)?.apply(&mut options);
        if base_url.is_none() {
            options.budget = Some(Arc::new(RequestBudget::of_project(budget_folder.as_deref(), &options)));
        }
        if let Some(retries) = retries {
            options.retry = RetryPolicy { max_retries: retries, ..options.retry };
        }
        options.seed = u64::from(std::process::id()) ^ Timestamp::now().as_microsecond().unsigned_abs();
        let cancel = options.cancel.clone();
        let client = py.detach(|| Client::new(options)).map_err(invalid)?;
        let project_id = project_id.map(|id| id.to_string()).unwrap_or_default();
        let project = Project { client, project_id, region: region.to_string(), account, clock };
        Ok(PyProject { project, cancel, process: std::process::id() })
    }

    /// Forgets what discovery has learnt.
    fn clear_discovery_cache(&self) {
        self.project.client.clear_discovery_cache();
    }
}

impl PyProject {
    /// The project for one call, and what stops that call alone.
    pub(crate) fn for_call(&self) -> PyResult<(Project, CancelToken)> {
        if self.process != std::process::id() {
            // The threads that wait for answers are not here: it would wait for ever.
            let why = format!(
                "this connection to Mixpanel was made by process {}, and this is its forked child {}: make the \
                 workspace here, or start processes with the method \"spawn\"",
                self.process,
                std::process::id()
            );
            return Err(PyRuntimeError::new_err(why));
        }
        let cancel = self.cancel.child();
        let project =
            Project { client: self.project.client.with_cancel(cancel.clone()), ..self.project.clone() };
        Ok((project, cancel))
    }
}

/// The way to these addresses. `words` are variables of the environment, such as `$HTTPS_PROXY`, and
/// what the configuration file has as `proxy`, `no_proxy` and `ca_file`.
fn way(urls: &BaseUrls, words: &HashMap<String, String>) -> mixpanel_client::Result<Network> {
    let settings = NetworkSettings {
        proxy: words.get("proxy").cloned().map(Secret::new),
        no_proxy: words.get("no_proxy").cloned(),
        ca_file: words.get("ca_file").map(PathBuf::from),
    };
    // `no_proxy` is a setting and a variable: variables come with a dollar before them.
    let variable = |name: &str| words.get(&format!("${name}")).cloned();
    Network::resolve(urls, &settings, variable)
}

/// What a project's times mean.
pub(crate) fn clock(timezone: &str, mode: &str) -> PyResult<ProjectClock> {
    let mode = match mode {
        "utc" => ClockMode::Utc,
        "local" => ClockMode::LocalAsUtc,
        other => {
            return Err(PyValueError::new_err(format!("unknown clock mode {other:?}: \"utc\" or \"local\"")));
        }
    };
    ProjectClock::new(timezone, mode).map_err(|error| PyValueError::new_err(error.to_string()))
}

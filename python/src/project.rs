//! A project to fetch from: credentials and addresses, as a client.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use mixpanel_client::budget::RequestBudget;
use mixpanel_client::retry::RetryPolicy;
use mixpanel_client::time::{ClockMode, ProjectClock};
use mixpanel_client::{BaseUrls, CancelToken, Client, ClientOptions, Credentials, Region};
use mixpanel_data::Project;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// A project, with its client. Its parts cannot be read back.
#[pyclass(frozen, module = "mixpanel_data._core", name = "Project")]
pub(crate) struct PyProject {
    project: Project,
    cancel: CancelToken,
}

#[pymethods]
impl PyProject {
    #[new]
    #[pyo3(signature = (*, username=None, secret, project_id=None, region, base_url=None, account=None,
                        timezone="UTC", clock_mode="utc", budget_folder=None, retries=None))]
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
    ) -> PyResult<Self> {
        let invalid = |error: mixpanel_client::Error| PyValueError::new_err(error.to_string());
        let region: Region = region.parse().map_err(invalid)?;
        let clock = clock(timezone, clock_mode)?;
        let credentials = match username {
            Some(username) => Credentials::service_account(username, secret.clone()),
            None => Credentials::project_secret(secret.clone()),
        };
        let mut options = ClientOptions::new(credentials);
        options.project_id = project_id;
        // Another server, such as the simulator, has limits of its own.
        options.base_urls = base_url.map_or_else(|| BaseUrls::for_region(region), BaseUrls::single_host);
        if base_url.is_none() {
            // A project secret stands for its project.
            let name = project_id.map_or(secret, |id| id.to_string());
            options.budget =
                Some(Arc::new(budget(budget_folder, &format!("{} {name}", options.base_urls.export))));
        }
        if let Some(retries) = retries {
            options.retry = RetryPolicy { max_retries: retries, ..options.retry };
        }
        options.seed = u64::from(std::process::id()) ^ Timestamp::now().as_microsecond().unsigned_abs();
        let cancel = options.cancel.clone();
        let client = py.detach(|| Client::new(options)).map_err(invalid)?;
        let project_id = project_id.map(|id| id.to_string()).unwrap_or_default();
        let project = Project { client, project_id, region: region.to_string(), account, clock };
        Ok(PyProject { project, cancel })
    }

    /// Forgets what discovery has learnt.
    fn clear_discovery_cache(&self) {
        self.project.client.clear_discovery_cache();
    }
}

impl PyProject {
    /// The project for one call, and what stops that call alone.
    pub(crate) fn for_call(&self) -> (Project, CancelToken) {
        let cancel = self.cancel.child();
        let project =
            Project { client: self.project.client.with_cancel(cancel.clone()), ..self.project.clone() };
        (project, cancel)
    }
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

/// The request budget of the project, shared by all processes; without a folder
/// to keep it in, that of this process.
fn budget(folder: Option<PathBuf>, project: &str) -> RequestBudget {
    folder
        .and_then(|folder| RequestBudget::in_folder(&folder, project).ok())
        .unwrap_or_else(RequestBudget::in_memory)
}

//! The Python package's native part: the Rust library over the connection of
//! Python's own `duckdb` module. No DuckDB is linked here.
//!
//! Python calls enter, calls of `mixpanel-data` leave. What Python users see is
//! in `mixpanel_data/*.py`; storage rules are in `mixpanel-data`. This holds
//! neither: it carries values, errors, signals and rows across the border.

mod answer;
mod arguments;
mod command_line;
mod connection;
mod engine;
mod errors;
mod fetch;
mod fixed;
mod json;
mod live;
mod load;
mod local;
mod profiles;
mod project;
mod records;
mod rows;
mod stream;
mod watch;

use pyo3::prelude::*;

/// What `mixpanel_data` is made of; use that.
#[pymodule]
mod _core {
    #[pymodule_export]
    use super::answer::ArrowRows;
    #[pymodule_export]
    use super::command_line::run_command_line;
    #[pymodule_export]
    use super::engine::Engine;
    #[pymodule_export]
    use super::fetch::coverage;
    #[pymodule_export]
    use super::fetch::fetch_events;
    #[pymodule_export]
    use super::fetch::plan;
    #[pymodule_export]
    use super::fetch::sync;
    #[pymodule_export]
    use super::fixed::refuse_fixed_settings;
    #[pymodule_export]
    use super::live::ask_mixpanel;
    #[pymodule_export]
    use super::load::load_events;
    #[pymodule_export]
    use super::local::ask_local;
    #[pymodule_export]
    use super::profiles::fetch_profiles;
    #[pymodule_export]
    use super::project::PyProject;
    #[pymodule_export]
    use super::rows::Stream;
    #[pymodule_export]
    use super::rows::stream_events;
    #[pymodule_export]
    use super::rows::stream_profiles;

    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }

    /// Removes what killed processes left of ephemeral databases.
    #[pyfunction]
    fn sweep_ephemeral_files(py: Python<'_>) -> usize {
        py.detach(mixpanel_data::sweep_ephemeral_files)
    }
}

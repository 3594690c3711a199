//! The program `mp`, over the DuckDB that it is linked with. All of it is in the library beside this file.

use std::process::ExitCode;
use std::sync::Arc;

fn main() -> ExitCode {
    ExitCode::from(mp::main(std::env::args_os(), Arc::new(mixpanel_data::NativeConnector)))
}

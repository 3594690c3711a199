//! Looks at the DuckDB that is about to be linked, so that a missing or foreign
//! one is a sentence here and not a linker's page, or a crash, later.

use std::env;
use std::ffi::{CStr, c_char};
use std::path::Path;
use std::process::ExitCode;

/// What the C interface of the `duckdb` crate promises to stay.
const SERIES: &str = "v2.0.";

const WAYS_OUT: &str = "What you can do:
  - run `python3 ci/duckdb.py`, which prepares the library, or use `./mp`, which runs it
  - set DUCKDB_LIB_DIR to a folder that holds a libduckdb of version 2.0
  - compile DuckDB from source (a C++ compiler, about 40 minutes): cargo … --features bundled";

fn main() -> ExitCode {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=DUCKDB_LIB_DIR");
    let linked =
        env::var_os("CARGO_FEATURE_DUCKDB").is_some() && env::var_os("CARGO_FEATURE_BUNDLED").is_none();
    let target = env::var("TARGET").unwrap_or_default();
    // Without the variable, the `libduckdb-sys` crate finds a library by itself.
    let (true, Some(folder)) = (linked, env::var_os("DUCKDB_LIB_DIR")) else { return ExitCode::SUCCESS };
    let name = if target.contains("apple") { "libduckdb.dylib" } else { "libduckdb.so" };
    let library = Path::new(&folder).join(name);
    println!("cargo:rerun-if-changed={}", library.display());
    // A library for another system cannot be asked.
    if library.is_file() && env::var("HOST").is_ok_and(|host| host != target) {
        return ExitCode::SUCCESS;
    }
    match version(&library) {
        Ok(version) if version.starts_with(SERIES) => return ExitCode::SUCCESS,
        Ok(version) => {
            let wanted = SERIES.trim_end_matches('.');
            eprintln!("{} is DuckDB {version}; {wanted} is needed.", library.display());
        }
        Err(why) => eprintln!("There is no DuckDB library to link: {why}."),
    }
    eprintln!("{WAYS_OUT}");
    ExitCode::FAILURE
}

fn version(library: &Path) -> Result<String, String> {
    if !library.is_file() {
        return Err(format!("{} does not exist", library.display()));
    }
    // SAFETY: loading a library runs its initialisers; it is the one that every
    // program linked here would load. The function has existed, with this
    // signature, since DuckDB has a C interface, and gives a static C string.
    unsafe {
        let loaded = libloading::Library::new(library).map_err(|error| error.to_string())?;
        let version: libloading::Symbol<unsafe extern "C" fn() -> *const c_char> =
            loaded.get(b"duckdb_library_version\0").map_err(|error| error.to_string())?;
        Ok(CStr::from_ptr(version()).to_string_lossy().into_owned())
    }
}

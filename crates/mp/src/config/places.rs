//! Where things are kept: configuration, data, state. Folders of the XDG base directories, and of
//! `%APPDATA%` on Windows. Nothing is created here.

use std::path::{Path, PathBuf};

use super::Env;
use crate::error::Error;

/// The configuration file: `MP_CONFIG_PATH`, or `config.toml` in the folder for configuration. If
/// there is none, the old place `~/.mp/config.toml` is looked at.
pub(super) fn config_file(flag: Option<&Path>, env: Env<'_>) -> Result<PathBuf, Error> {
    if let Some(path) = flag.map(PathBuf::from).or_else(|| env.get("MP_CONFIG_PATH").map(PathBuf::from)) {
        return Ok(path);
    }
    let path = base(env, "XDG_CONFIG_HOME", ".config")
        .ok_or_else(|| {
            Error::setting("HOME is not set, so there is no configuration folder", "--config PATH")
        })?
        .join("mp")
        .join("config.toml");
    let old = env.get("HOME").map(|home| Path::new(&home).join(".mp").join("config.toml"));
    Ok(match old {
        Some(old) if !path.exists() && old.exists() => old,
        _ => path,
    })
}

/// The folder of databases: `$XDG_DATA_HOME/mixpanel_data`, or the same below `~/.local/share`.
pub(crate) fn data_folder(env: Env<'_>) -> Result<PathBuf, Error> {
    base(env, "XDG_DATA_HOME", ".local/share")
        .map(|base| base.join("mixpanel_data"))
        .ok_or_else(|| Error::setting("HOME is not set, so there is no data folder", "--db PATH"))
}

/// The folder of budgets and of the shell's history: `$XDG_STATE_HOME/mixpanel_data`, or the same
/// below `~/.local/state`.
pub(crate) fn state_folder(env: Env<'_>) -> Option<PathBuf> {
    base(env, "XDG_STATE_HOME", ".local/state").map(|base| base.join("mixpanel_data"))
}

/// The folder of saved queries, beside the configuration file.
pub(crate) fn queries_folder(env: Env<'_>) -> Result<PathBuf, Error> {
    let file = config_file(env.words().config.as_deref(), env)?;
    Ok(file.parent().unwrap_or(Path::new(".")).join("queries"))
}

fn base(env: Env<'_>, variable: &str, below_home: &str) -> Option<PathBuf> {
    // Relative paths are to be ignored (XDG base directory specification).
    let named = env.get(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    let windows = || if cfg!(windows) { env.get("APPDATA").map(PathBuf::from) } else { None };
    let home = || env.get("HOME").map(|home| Path::new(&home).join(below_home));
    named.or_else(windows).or_else(home)
}

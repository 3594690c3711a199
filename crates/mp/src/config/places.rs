//! Where things are kept: configuration, data, state. Folders of the XDG base directories, and of
//! `%APPDATA%` on Windows. Nothing is created here.

use std::path::{Path, PathBuf};

use super::Env;
use crate::error::Error;

/// The configuration file, and whose it is.
pub(super) struct ConfigFile {
    pub(super) path: PathBuf,
    /// Whether it is that of the Python original, which is read where there is none of our own.
    pub(super) is_originals: bool,
}

/// The configuration file: our own, or if there is none, that of the Python original.
pub(super) fn config_file(flag: Option<&Path>, env: Env<'_>) -> Result<ConfigFile, Error> {
    let path = own_config_file(flag, env)?;
    let named = flag.is_some() || env.get("MP_CONFIG_PATH").is_some();
    Ok(match originals_config_file(env) {
        Some(originals) if !named && !path.exists() && originals.exists() => {
            ConfigFile { path: originals, is_originals: true }
        }
        _ => ConfigFile { path, is_originals: false },
    })
}

/// Where the Python original keeps its accounts: `~/.mp/config.toml`.
pub(super) fn originals_config_file(env: Env<'_>) -> Option<PathBuf> {
    env.get("HOME").map(|home| Path::new(&home).join(".mp").join("config.toml"))
}

/// Our own configuration file, which need not exist: `MP_CONFIG_PATH`, or `config.toml` in the folder
/// for configuration.
pub(super) fn own_config_file(flag: Option<&Path>, env: Env<'_>) -> Result<PathBuf, Error> {
    if let Some(path) = flag.map(PathBuf::from).or_else(|| env.get("MP_CONFIG_PATH").map(PathBuf::from)) {
        return Ok(path);
    }
    let folder = base(env, "XDG_CONFIG_HOME", ".config").ok_or_else(|| {
        Error::setting("HOME is not set, so there is no configuration folder", "--config PATH")
    })?;
    Ok(folder.join("mp").join("config.toml"))
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
    Ok(file.path.parent().unwrap_or(Path::new(".")).join("queries"))
}

fn base(env: Env<'_>, variable: &str, below_home: &str) -> Option<PathBuf> {
    // Relative paths are to be ignored (XDG base directory specification).
    let named = env.get(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    let windows = || if cfg!(windows) { env.get("APPDATA").map(PathBuf::from) } else { None };
    let home = || env.get("HOME").map(|home| Path::new(&home).join(below_home));
    named.or_else(windows).or_else(home)
}

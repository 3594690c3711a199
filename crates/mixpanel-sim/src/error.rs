//! What can go wrong while a simulator is being set up.
//!
//! A running simulator reports problems as HTTP responses; these errors concern only its start.

use std::io;
use std::path::PathBuf;

/// Why a simulator could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimError {
    /// The listening socket could not be opened.
    #[error("cannot listen on {addr}")]
    Bind {
        /// The address that was asked for.
        addr: std::net::SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// The server's runtime or its thread could not be created.
    #[error("cannot start the server's thread")]
    Runtime {
        /// What the operating system said.
        source: io::Error,
    },
    /// A recorded file or folder could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A line of a recorded file is not an exported event.
    #[error("{}:{line}: {reason}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is missing or malformed.
        reason: String,
    },
    /// The configuration names something that does not exist or contradicts itself.
    #[error("{0}")]
    Config(String),
}

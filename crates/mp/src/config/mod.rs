//! What the program works with: flags, the environment, files, defaults, in this order.
//!
//! [`Surroundings`] is where words of the environment and of the files are looked up; [`settings`]
//! says which of them wins and where it came from; [`Connection`] is a project and the way to it.

mod connection;
mod database;
mod file;
mod keyring;
mod original;
mod places;
mod private;
mod project;
mod secret;
pub(crate) mod settings;
mod surroundings;

pub(crate) use connection::{Connection, network};
pub(crate) use database::{existing_database, load_database, local_database, max_copy, target_database};
pub(crate) use file::{Account, Entry, File, accounts, put};
pub(crate) use keyring::{into_keyring, out_of_keyring};
pub(crate) use places::{data_folder, queries_folder, state_folder};
pub(crate) use secret::words as secret_words;
pub(crate) use surroundings::{Files, Surroundings, Words};

/// Where words are looked up.
pub(crate) type Env<'a> = &'a Surroundings;

#[cfg(test)]
mod tests;

//! `mp` as its users meet it: the real program, with a real simulator behind it.

mod bad_input;
mod demo;
mod fetch;
mod profiles;
mod signals;
mod snapshot;
mod sql;
mod support;
mod sync;

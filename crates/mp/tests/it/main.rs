//! `mp` as its users meet it: the real program, with a real simulator behind it.

mod auth;
mod bad_input;
mod broken_config;
mod canary;
mod captures;
mod demo;
mod docs;
mod fetch;
mod live;
mod other_program;
mod output;
mod profiles;
mod program;
mod refused;
mod screen;
mod session;
mod shell;
mod signals;
mod snapshot;
mod sql;
mod streams;
mod support;
mod sync;
mod terminal;
mod values;

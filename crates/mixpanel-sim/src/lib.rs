//! A simulator of Mixpanel's raw export API and Query API: a deterministic world behind a real HTTP server.
//!
//! It exists so that programs which download from Mixpanel can be run, tested and measured without an account,
//! without a network, and against every failure that the real service has been seen to produce. It shares no code
//! with the client that it tests, because shared code would share mistakes.
//!
//! ```
//! use std::io::{Read, Write};
//!
//! use mixpanel_sim::{SimConfig, Simulator};
//!
//! let simulator = Simulator::start(SimConfig { days: 7, events_per_day: 20, ..SimConfig::default() })?;
//! let mut stream = std::net::TcpStream::connect(simulator.addr())?;
//! // The project secret, `sim-project-secret:` in base64, needs no `project_id`.
//! stream.write_all(
//!     b"GET /api/2.0/export?from_date=2025-06-26&to_date=2025-06-26 HTTP/1.1\r\nHost: sim\r\n\
//!       Authorization: Basic c2ltLXByb2plY3Qtc2VjcmV0Og==\r\nConnection: close\r\n\r\n",
//! )?;
//! let mut answer = Vec::new();
//! stream.read_to_end(&mut answer)?;
//! assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What is simulated
//!
//! | part | where to look |
//! |---|---|
//! | data: a shop's events from a seed, or recorded files | [`World`], [`Source`] |
//! | `GET /api/2.0/export` with all its parameters, credentials, gzip | [`SimConfig`] |
//! | profiles of users and companies: `engage` with sessions, cohorts and behaviours, `engage/stats`, `engage/properties`, `cohorts/list` | [`EngageSettings`], [`SimConfig::profiles`], [`Simulator::data_group_id`] |
//! | the App API: `me`, workspaces, lexicon schemas, annotations, bookmarks | [`SimConfig::domain`] |
//! | sending data: `/import`, `/track`, `/engage`, `/groups` | [`SimConfig::token`] |
//! | the Query API: counts over the same events | [`Simulator::query_url`] |
//! | events that are added later | [`Simulator::add_events`] |
//! | the expression language of `where` and `on` | [`expr`] |
//! | limits: exports 60 per hour, 3 per second, 100 at once; queries 60 per hour, 5 at once | [`Limits`], [`Simulator::advance`] |
//! | failures on demand | [`Fault`] |
//!
//! # The data
//!
//! The seeded world is a shop with users who come, look, buy and return, on a skewed mix of web, mobile and
//! server events of 15 to 30 properties. On purpose it has what real projects have and what programs fall over:
//! names with spaces, dots, quotes and dollar signs, names that differ only in case, properties with several types,
//! hundreds of rare ones, nested lists and objects, integers beyond 2^53, nulls and empty strings, text in many
//! scripts both raw and escaped, line separators inside strings, repeated rows (0.5 %), rows that were processed
//! days late, rows in no order, a day or two without any event, and a `today` that is only partly there.
//!
//! Profiles say what the events of the same user say, and bring their own traps: identifiers that are numbers, that
//! differ only in case or have an emoji, profiles without any property or without `$last_seen`, users with events
//! and no profile, and people with a profile and no events.
//!
//! # Sending data
//!
//! What is sent to the ingestion endpoints is there at once, in exports, profile pages and queries. `/import` checks
//! each event and stores the good ones; repeats are exported twice and counted once. Profile pages of a session that
//! was begun before do not change.
//!
//! # Controlling it from another process
//!
//! `POST /sim/faults` scripts faults, `DELETE /sim/faults` forgets them, `POST /sim/clock?advance_s=N` moves
//! the virtual clock, `GET /sim/requests` tells what was asked. A request may bring its own fault in the header
//! `X-Sim-Fault`.

mod api;
mod app;
mod body;
mod clock;
mod config;
mod engage;
mod error;
mod events;
mod export;
pub mod expr;
mod faults;
mod gzip;
mod ingest;
mod limits;
mod line;
mod profiles;
mod project;
mod query;
mod random;
mod recorded;
mod server;
mod times;
mod world;

pub use app::RequestLog;
pub use config::{ClockMode, DateHeader, EngageSettings, Limits, Pace, SimConfig, Source};
pub use error::SimError;
pub use faults::{Fault, QueryLimit, ScriptedFault};
pub use server::Simulator;
pub use world::{DayData, World};

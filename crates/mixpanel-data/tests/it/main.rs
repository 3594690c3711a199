//! Integration tests: real DuckDB, real files, real HTTP against the simulator.
//!
//! One binary, because each would be linked by itself.

mod bad_day;
mod bad_input;
mod clocks;
mod columns;
mod computed;
mod contract;
mod crash;
mod crash_profiles;
mod definition;
mod faults;
mod fetch;
mod foreign;
mod formats;
mod identity;
mod inspect;
mod live;
mod load;
mod memory;
mod model;
mod names;
mod no_files;
mod odd_lines;
mod original;
mod plan;
mod profiles;
mod protected;
mod recovery;
mod regrouped;
mod repair;
mod sealed;
mod snapshot;
mod streams;
mod support;
mod sync;
mod threads;
mod time_zones;
mod values;
mod verify;

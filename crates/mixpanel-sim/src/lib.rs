//! x
mod clock;
mod config;
mod error;
pub mod expr;
mod gzip;
mod limits;
mod line;
mod random;
mod recorded;
mod world;
pub use config::*;
pub use error::SimError;
pub use world::{World, DayData};

//! The simulator as others see it: its world, and its server over a real socket.

mod api;
mod expr;
mod faults;
mod http;
mod limits;
mod openapi;
mod recorded;
mod support;
mod world;

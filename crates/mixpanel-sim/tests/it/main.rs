//! The simulator as others see it: its world, and its server over a real socket.

mod api;
mod engage;
mod expr;
mod faults;
mod http;
mod limits;
mod openapi;
mod people;
mod recorded;
mod support;
mod world;

//! The simulator as others see it: its world, and its server over a real socket.

mod api;
mod brute;
mod counts;
mod engage;
mod expr;
mod faults;
mod http;
mod ingest;
mod journeys;
mod limits;
mod openapi;
mod openapi_people;
mod openapi_query;
mod people;
mod project;
mod recorded;
mod reports;
mod schema;
mod support;
mod world;

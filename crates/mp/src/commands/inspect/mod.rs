//! `mp inspect`: what there is, at Mixpanel and in the local tables.

mod local;
mod remote;

use super::Reader;
use crate::args::inspect::Inspect;
use crate::error::Error;

pub(crate) fn run(inspect: &Inspect, reader: Reader<'_>) -> Result<(), Error> {
    match inspect {
        Inspect::AtMixpanel(what) => remote::run(what, reader),
        Inspect::Here(what) => local::run(what, reader),
    }
}

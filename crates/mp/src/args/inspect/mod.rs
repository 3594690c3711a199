//! Words of `mp inspect`: what there is, at Mixpanel ([`remote`]) and here ([`local`]).

mod local;
mod remote;

use clap::Subcommand;

pub(crate) use local::{Here, Kind, Removal, Scope};
pub(crate) use remote::{AtMixpanel, Remote};

#[derive(Debug, Subcommand)]
pub(crate) enum Inspect {
    #[command(flatten)]
    AtMixpanel(AtMixpanel),
    #[command(flatten)]
    Here(Here),
}

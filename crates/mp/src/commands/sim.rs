//! `mp sim`: a Mixpanel to fetch from, on this machine.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use jiff::Timestamp;
use mixpanel_client::time::{ClockMode, ProjectClock};
use mixpanel_sim::{Limits, SimConfig, Simulator, Source};

use crate::args;
use crate::error::Error;
use crate::output;
use crate::signals::Signals;
use crate::ui::Ui;

pub(crate) fn run(args: &args::Sim, ui: &Ui, signals: &Signals) -> Result<(), Error> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, args.port));
    let simulator = Simulator::start_on(config(args)?, address)?;
    args.fault.iter().for_each(|fault| simulator.fault(fault.clone()));
    ui.say(&instructions(&simulator));
    let mut out = output::stdout();
    writeln!(out, "{}", simulator.base_url())?;
    out.flush()?;
    drop(out);
    // Ctrl-C is the way out, so it is a success.
    while !signals.cancel().wait(Duration::from_secs(3600)) {}
    Ok(())
}

fn config(args: &args::Sim) -> Result<SimConfig, Error> {
    let clock = ProjectClock::new(&args.timezone, ClockMode::Utc).map_err(|_| {
        Error::setting(format!("unknown time zone {:?}", args.timezone), "a name such as America/New_York")
    })?;
    let now = Timestamp::now();
    let args::World { days, events_per_day, seed } = args.world;
    let base = if args.million {
        SimConfig::million()
    } else {
        SimConfig { days, events_per_day, ..SimConfig::default() }
    };
    Ok(SimConfig {
        seed,
        today: args.today.resolve(now, &clock),
        // Of another day than this one, there is always the morning.
        not_before: matches!(args.today, args::Day::Ago(0)).then_some(now),
        latency: Duration::from_millis(args.latency),
        bytes_per_second: args.rate.map(|kilobytes| kilobytes.saturating_mul(1_000)),
        timezone: args.timezone.clone(),
        source: args.folder.clone().map_or(Source::World, Source::Recorded),
        limits: if args.no_limits { Limits::off() } else { base.limits },
        ..base
    })
}

fn instructions(simulator: &Simulator) -> String {
    let config = simulator.config();
    let world = simulator.world();
    format!(
        "A simulated Mixpanel with the days {} to {}. In another terminal:\n\n  \
         export MP_BASE_URL={}\n  export MP_PROJECT_ID={}\n  export MP_USERNAME={}\n  export MP_SECRET={}\n  \
         mp fetch events --from {} --to {} --db sim.duckdb\n  \
         mp sql --db sim.duckdb \"SELECT event_name, count(*) FROM events GROUP BY ALL\"\n\n\
         Ctrl-C ends it.",
        world.first_day(),
        world.last_day(),
        simulator.base_url(),
        config.project_id,
        config.username,
        config.secret,
        world.first_day(),
        world.last_day(),
    )
}

//! Serves the default world until the process is ended: `cargo run -p mixpanel-sim --example serve`. With
//! `-- --no-limits`, requests are not counted.

use std::net::{Ipv4Addr, SocketAddr};

use mixpanel_sim::{Limits, SimConfig, SimError, Simulator};

fn main() -> Result<(), SimError> {
    let limits = match std::env::args().any(|argument| argument == "--no-limits") {
        true => Limits::off(),
        false => Limits::default(),
    };
    let config = SimConfig { limits, ..SimConfig::default() };
    let simulator = Simulator::start_on(config, SocketAddr::from((Ipv4Addr::LOCALHOST, 8089)))?;
    let (config, world) = (simulator.config(), simulator.world());
    println!("serving {} to {} at {}", world.first_day(), world.last_day(), simulator.export_url());
    println!(
        "try: curl --compressed -u '{}:{}' '{}/export?project_id={}&from_date={}&to_date={}'",
        config.username,
        config.secret,
        simulator.export_url(),
        config.project_id,
        world.last_day(),
        world.last_day(),
    );
    simulator.wait();
    Ok(())
}

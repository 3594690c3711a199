//! Processes that are killed at random moments: `kill -9`, no destructor, no handler.

use std::time::{Duration, Instant};

use super::work::{Found, Operation, Place, Stage};
use super::{print_figure, process, random, setting};

/// Any operation, killed at any moment, leaves each day as it was or as it was to be.
#[test]
#[ignore = "the large set: just prove"]
fn prove_kills() {
    let (trials, seed) = (setting("MP_PROVE_KILLS", 2_000) as usize, setting("MP_PROVE_SEED", 1));
    let mut random = random(seed);
    let stage = Stage::new();
    let scenes = Operation::ALL.map(|operation| stage.scene(operation));
    let mut took = scenes.each_ref().map(|scene| {
        let (place, started) = (scene.before.copy(), Instant::now());
        assert!(process(scene.operation, &place, &scene.url).status().unwrap().success());
        started.elapsed()
    });
    let (mut kills, mut failures) = (0, Vec::new());
    while kills < trials {
        let number = random() as usize % scenes.len();
        let scene = &scenes[number];
        let place: Place = scene.before.copy();
        let patience = took[number].mul_f64((random() % 1000) as f64 / 1000.0);
        let started = Instant::now();
        let mut child = process(scene.operation, &place, &scene.url).spawn().unwrap();
        let ended = loop {
            match child.try_wait().unwrap() {
                Some(status) => break Some(status),
                None if started.elapsed() >= patience => break None,
                None => std::thread::sleep(Duration::from_micros(200)),
            }
        };
        match ended {
            Some(status) => {
                assert!(status.success());
                took[number] = started.elapsed();
            }
            None => {
                child.kill().unwrap();
                child.wait().unwrap();
                kills += 1;
            }
        }
        let found = match scene.look(&place, place.acknowledged()) {
            Found::Right if kills % 10 == 0 => scene.again(&place),
            found => found,
        };
        if !matches!(found, Found::Right) {
            failures.push(format!("{:?} after {patience:?}: {found:?}", scene.operation));
        }
    }
    print_figure(
        "kill -9 at random moments: opens, and holds what was confirmed",
        trials,
        failures.len(),
        seed,
    );
    assert!(failures.is_empty(), "{} of {trials} failed:\n{}", failures.len(), failures.join("\n"));
}

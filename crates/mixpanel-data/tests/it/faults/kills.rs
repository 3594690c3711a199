//! Processes that are killed at random moments: `kill -9`, no destructor, no handler.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::work::{Found, Operation, Place, Stage};
use super::{conclude, on_two_threads, process, random, setting};

/// Any operation, killed at any moment, leaves each day as it was or as it was to be.
fn prove(kills: usize, seed: u64) {
    let stage = Stage::new();
    let scenes = Operation::ALL.map(|operation| stage.scene(operation));
    let took = scenes.each_ref().map(|scene| {
        let (place, started) = (scene.before.copy(), Instant::now());
        assert!(process(scene.operation, &place, &scene.url).status().unwrap().success());
        Mutex::new(started.elapsed())
    });
    let alive = AtomicUsize::new(0);
    let trial = |number: usize| {
        let mut random = random(seed.wrapping_add(number as u64).wrapping_mul(0x9e37_79b9));
        loop {
            let at = (0..8).fold(0, |_, _| random()) as usize % scenes.len();
            let scene = &scenes[at];
            let place: Place = scene.before.copy();
            let usual = *took[at].lock().unwrap();
            let patience = usual.mul_f64((random() % 1000) as f64 / 1000.0);
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
                    *took[at].lock().unwrap() = started.elapsed();
                    alive.fetch_add(1, Ordering::Relaxed);
                }
                None => {
                    child.kill().unwrap();
                    child.wait().unwrap();
                }
            }
            let found = match scene.look(&place, place.acknowledged()) {
                Found::Right if number.is_multiple_of(10) => scene.again(&place),
                found => found,
            };
            if !matches!(found, Found::Right) {
                return Some(format!("{:?} after {patience:?}: {found:?}", scene.operation));
            }
            // One that was quicker than we were is no trial.
            ended?;
        }
    };
    let failures = on_two_threads(kills, trial);
    let note = format!("{} more ended before they were killed", alive.into_inner());
    conclude("`kill -9` at random moments", kills, &failures, seed, &note);
}

#[test]
fn a_process_killed_at_any_moment_leaves_whole_days() {
    prove(30, setting("MP_PROVE_SEED", 1));
}

#[test]
#[ignore = "the large set: just prove"]
fn prove_kills() {
    prove(setting("MP_PROVE_KILLS", 2_000) as usize, setting("MP_PROVE_SEED", 1));
}

//! Writes that stop half-way, and writes that are refused: at every call that
//! changes a file, whatever is being done to the database.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::work::{Found, Operation, Place, Scene, Stage};
use super::{How, print_figure, sample, setting, with_fault};

#[derive(Clone, Copy)]
struct Trial {
    scene: usize,
    at: u64,
    how: How,
}

/// All trials of some operations, or so many of them.
fn trials(scenes: &[Scene], most: usize, seed: u64) -> Vec<Trial> {
    let mut all = Vec::new();
    for (scene, Scene { calls, .. }) in scenes.iter().enumerate() {
        all.extend((1..=*calls).flat_map(|at| How::ALL.map(|how| Trial { scene, at, how })));
    }
    sample(&all, most, seed)
}

/// Does the trials on two threads. `spoil` is what else happens before the file is
/// opened again. Returns what went wrong.
fn run(scenes: &[Scene], trials: &[Trial], spoil: impl Fn(Place) -> Place + Sync) -> Vec<String> {
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| {
                while let Some(trial) = trials.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let scene = &scenes[trial.scene];
                    let place = scene.before.copy();
                    with_fault(scene.operation, &place, &scene.url, trial.at, trial.how);
                    let place = spoil(place);
                    let found = match scene.look(&place, place.acknowledged()) {
                        // Now and then, since it takes as long as all the rest.
                        Found::Right if trial.at % 4 == 0 => scene.again(&place),
                        found => found,
                    };
                    if !matches!(found, Found::Right) {
                        let what = format!(
                            "{:?}, call {} of {}, {:?}: {found:?}",
                            scene.operation, trial.at, scene.calls, trial.how
                        );
                        failures.lock().unwrap().push(what);
                    }
                }
            });
        }
    });
    failures.into_inner().unwrap()
}

fn prove(most: usize, seed: u64) {
    let stage = Stage::new();
    let scenes = Operation::ALL.map(|operation| stage.scene(operation));
    let trials = trials(&scenes, most, seed);
    let failures = run(&scenes, &trials, |place| place);
    print_figure(
        "cut and refused writes: opens, and holds what was confirmed",
        trials.len(),
        failures.len(),
        seed,
    );
    assert!(failures.is_empty(), "{} of {} failed:\n{}", failures.len(), trials.len(), failures.join("\n"));
}

/// Whatever call stops or fails, the file opens by itself, with what was confirmed and
/// nothing half-done.
#[test]
fn no_cut_or_refused_write_destroys_or_changes_anything() {
    prove(40, setting("MP_PROVE_SEED", 1));
}

#[test]
#[ignore = "the large set: just prove"]
fn prove_torn_writes() {
    prove(setting("MP_PROVE_TRIALS", u64::MAX) as usize, setting("MP_PROVE_SEED", 1));
}

/// The control: without the journal, the same cuts leave files that never open again.
#[test]
fn without_the_journal_a_torn_checkpoint_destroys_the_file() {
    let stage = Stage::new();
    let scenes = [stage.scene(Operation::Checkpoint)];
    let cuts =
        (1..=scenes[0].calls).map(|at| Trial { scene: 0, at, how: How::Cut(4096) }).collect::<Vec<_>>();
    let with = run(&scenes, &cuts, |place| place);
    assert!(with.is_empty(), "{}", with.join("\n"));
    let without = run(&scenes, &cuts, Place::without_journal);
    assert!(without.iter().any(|failure| failure.contains("Unopenable")), "{without:?}");
    println!("control: {} of {} checkpoints destroy the file", without.len(), cuts.len());
}

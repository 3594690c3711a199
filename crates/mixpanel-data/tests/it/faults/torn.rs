//! Writes that stop half-way, and writes that are refused: at every call that
//! changes a file, whatever is being done to the database.

use super::work::{Found, Operation, Place, Scene, Stage};
use super::{How, conclude, on_two_threads, sample, setting, with_fault};

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

/// Does the trials. `spoil` is what else happens before the file is opened again. Returns what went
/// wrong.
fn run(scenes: &[Scene], trials: &[Trial], spoil: impl Fn(Place) -> Place + Sync) -> Vec<String> {
    on_two_threads(trials.len(), |number| {
        let trial = trials[number];
        let scene = &scenes[trial.scene];
        let place = scene.before.copy();
        with_fault(scene.operation, &place, &scene.url, trial.at, trial.how);
        let place = spoil(place);
        let found = match scene.look(&place, place.acknowledged()) {
            // Now and then, since it takes as long as all the rest.
            Found::Right if trial.at.is_multiple_of(4) => scene.again(&place),
            found => found,
        };
        let what = format!("{:?}, call {} of {}, {:?}", scene.operation, trial.at, scene.calls, trial.how);
        (!matches!(found, Found::Right)).then(|| format!("{what}: {found:?}"))
    })
}

fn prove(most: usize, seed: u64) {
    let stage = Stage::new();
    let scenes = Operation::ALL.map(|operation| stage.scene(operation));
    let all = scenes.iter().map(|scene| scene.calls).sum::<u64>() * How::ALL.len() as u64;
    let trials = trials(&scenes, most, seed);
    let failures = run(&scenes, &trials, |place| place);
    let note = format!("of {all}: all calls of {} operations, in {} ways", scenes.len(), How::ALL.len());
    conclude("cut and refused writes", trials.len(), &failures, seed, &note);
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
    prove(setting("MP_PROVE_TRIALS", 4_000) as usize, setting("MP_PROVE_SEED", 1));
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

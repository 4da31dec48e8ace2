//! How long the checker of histories takes: `cargo run --release -p pinstate-conformance
//! --example linearizability`. All operations are on one key, which is the hardest case.

#![expect(clippy::print_stdout, reason = "an example prints what it found")]

#[path = "../tests/history/simulation.rs"]
mod simulation;

use std::time::Instant;

use pinstate_conformance::history::{Verdict, check};

const CLIENTS: usize = 8;

fn main() {
    for operations in [200, 1_000, 4_000] {
        let (mut legal, mut illegal) = (Vec::new(), Vec::new());
        let mut shown = 0;
        for seed in 0..5 {
            let mut history = simulation::legal(CLIENTS, operations, seed);
            let begun = Instant::now();
            assert!(check(&history).is_legal(), "seed {seed}");
            legal.push(begun.elapsed());
            simulation::make_stale(&mut history, 0.9);
            let begun = Instant::now();
            match check(&history) {
                Verdict::Illegal(example) => shown = shown.max(example.events.len()),
                verdict => panic!("seed {seed}: {verdict}"),
            }
            illegal.push(begun.elapsed());
        }
        let worst = |times: &[std::time::Duration]| times.iter().max().copied().unwrap_or_default();
        println!(
            "{operations} operations by {CLIENTS} clients: legal {:?}, illegal {:?} with at most \
             {shown} operations shown (worst of five seeds)",
            worst(&legal),
            worst(&illegal),
        );
    }
}

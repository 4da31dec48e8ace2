//! Stores that take turns under the same workload, and what follows.

use jiff::Timestamp;
use pinstate_core::Result;
use pinstate_core::transfer::StopFlag;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::load::Load;
use crate::outcome::{Comparison, Environment, Report, Run, SCHEMA, Setup};
use crate::session::Session;
use crate::stats::{self, LEAST_ROUNDS, Options};
use crate::workload::Workload;

/// Runs of all stores, round by round.
#[derive(Debug)]
pub struct Contest<'a> {
    /// What is done.
    pub workload: &'a Workload,
    /// How much in a run.
    pub load: Load,
    /// How often each store has its turn.
    pub rounds: usize,
    /// What operations, and the order of turns, follow from.
    pub seed: u64,
    /// What counts as a difference.
    pub options: Options,
}

impl Contest<'_> {
    /// Makes all runs, and compares each store with the first. Tells `seen` of each run.
    ///
    /// # Errors
    /// `Cancelled` when it is told to stop; those of a run.
    pub async fn run(
        &self,
        sessions: &mut [Session],
        stop: &StopFlag,
        mut seen: impl FnMut(&Run),
    ) -> Result<Report> {
        let began = Timestamp::now();
        let mut order = ChaCha8Rng::seed_from_u64(self.seed ^ 0x0_4de4);
        let mut runs = Vec::new();
        for round in 1..=self.rounds.max(1) {
            let mut turns: Vec<(usize, &mut Session)> = sessions.iter_mut().enumerate().collect();
            turns.shuffle(&mut order);
            for (subject, session) in turns {
                let run = session.run(&self.load, subject, round, stop).await?;
                seen(&run);
                runs.push(run);
            }
        }
        let subjects: Vec<Setup> =
            sessions.iter().map(|session| session.subject().setup()).collect();
        let comparisons = self.compare(&subjects, &runs);
        Ok(Report {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            began: began.to_string(),
            seconds: Timestamp::now().duration_since(began).as_secs_f64(),
            seed: self.seed,
            workload: self.workload.described(),
            environment: Environment::here(),
            subjects,
            runs,
            comparisons,
        })
    }

    fn compare(&self, subjects: &[Setup], runs: &[Run]) -> Vec<Comparison> {
        let Some((base, others)) = subjects.split_first() else { return Vec::new() };
        let of = |other: usize, setup: &Setup| {
            let (mut pairs, mut left_out) = ((Vec::new(), Vec::new()), Vec::new());
            for round in 1..=self.rounds.max(1) {
                let run = |subject| runs.iter().find(|r| r.round == round && r.subject == subject);
                let (Some(one), Some(two)) = (run(0), run(other)) else { continue };
                let why = [one, two].into_iter().find_map(|run| {
                    let name = &subjects.get(run.subject)?.name;
                    let wrong = format!("{name} gave {} wrong answers", run.wrong_count);
                    let saturated = run.saturated.as_ref().map(|why| format!("{name}: {why}"));
                    saturated.or((run.wrong_count > 0).then_some(wrong))
                });
                match why {
                    Some(why) => left_out.push(format!("round {round}: {why}")),
                    None => {
                        pairs.0.push(one);
                        pairs.1.push(two);
                    }
                }
            }
            if pairs.0.len() < LEAST_ROUNDS {
                left_out.push(format!(
                    "{} rounds are left, and it takes {LEAST_ROUNDS} to compare",
                    pairs.0.len()
                ));
            }
            Comparison {
                base: 0,
                other,
                unequal: unequal(base, setup),
                metrics: stats::compare(&pairs.0, &pairs.1, &self.options, self.seed),
                left_out,
            }
        };
        (1..).zip(others).map(|(other, setup)| of(other, setup)).collect()
    }
}

/// Promises of two stores that are not the same.
fn unequal(one: &Setup, two: &Setup) -> Vec<String> {
    let promises = [
        ("an acknowledged write is safe from", &one.durability, &two.durability),
        ("readers see", &one.consistency, &two.consistency),
    ];
    let differing = promises.into_iter().filter(|(_, one, two)| one != two);
    let tell = |(what, of_one, of_two): (&str, &String, &String)| {
        format!("{what}: {of_one} in {}, {of_two} in {}", one.name, two.name)
    };
    differing.map(tell).collect()
}

//! The kill matrix: every mutant against every clause, over several seeds, as a page and as
//! JSON. It takes minutes, so it runs only where `PINSTATE_KILL_MATRIX` names a folder for it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use maud::{DOCTYPE, html};
use pinstate_conformance::report::{kills, unproven};
use pinstate_conformance::{Leg, Outcome, Suite, Verdict};
use serde::Serialize;

use crate::{Broken, Bug, MUTANTS, WORDS, hangs, measuring};

/// How many seeds there are, each one higher than the one before, unless
/// `PINSTATE_KILL_MATRIX_SEEDS` says otherwise.
const SEEDS: u64 = 5;
/// How long a case may take. No right answer takes so long on a store in memory.
const HANG: Duration = Duration::from_secs(10);

/// What became of one mutant.
#[derive(Serialize)]
struct Row {
    mutant: String,
    does: String,
    /// Where it was found in the field, if it was.
    found: Option<&'static str>,
    /// The clauses that are there for it.
    named: Vec<&'static str>,
    /// For each clause that kills it, with how many seeds.
    kills: BTreeMap<&'static str, u64>,
    /// With how many seeds a clause that is there for it kills it.
    killed: u64,
    /// What the whole row took.
    seconds: f64,
    /// The median over the seeds of what the first case that kills it takes, of those of the
    /// clauses that are there for it.
    median_ms: Option<f64>,
}

#[derive(Serialize)]
struct Column {
    clause: &'static str,
    title: &'static str,
    /// How many mutants it kills.
    mutants: usize,
    /// Why it kills none, where that is known.
    unproven: Option<&'static str>,
}

#[derive(Serialize)]
struct Matrix {
    seeds: u64,
    /// What all of it took.
    seconds: f64,
    /// The median of the mutants' medians.
    median_ms: f64,
    clauses: Vec<Column>,
    mutants: Vec<Row>,
}

fn fails(verdict: &Verdict) -> bool {
    matches!(verdict.outcome, Outcome::Failed(_) | Outcome::Hung { .. })
}

fn median(mut times: Vec<f64>) -> Option<f64> {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied()
}

fn row(bug: Bug, named: &[&'static str], seeds: u64) -> Row {
    let began = Instant::now();
    let (mut kills, mut killed, mut times) = (BTreeMap::new(), 0, Vec::new());
    for seed in 1..=seeds {
        // What hangs by design is not waited for in every clause.
        let hang = if hangs(bug) { Duration::from_secs(1) } else { HANG };
        let suite = measuring(Suite::new(Broken(bug))).legs(vec![Leg::raw()]);
        let suite = suite.seed(seed).hang(hang);
        let verdicts = suite.verdicts(&[]).expect("threads can be started");
        crate::store::end_leaked_threads();
        let by: BTreeSet<&str> =
            verdicts.iter().filter(|verdict| fails(verdict)).map(|v| v.clause.id).collect();
        by.into_iter().for_each(|clause| *kills.entry(clause).or_default() += 1);
        let ours = verdicts.iter().filter(|v| fails(v) && named.contains(&v.clause.id));
        if let Some(first) = ours.map(|verdict| verdict.took).min() {
            killed += 1;
            times.push(first.as_secs_f64() * 1_000.0);
        }
    }
    let mutant = format!("{bug:?}");
    let does = WORDS.iter().find(|(name, _)| *name == mutant).map_or("", |(_, does)| does);
    let (named, found) = (named.to_vec(), crate::museum::found(bug));
    Row {
        does: does.trim().to_owned(),
        mutant,
        found,
        named,
        kills,
        killed,
        seconds: began.elapsed().as_secs_f64(),
        median_ms: median(times),
    }
}

#[test]
fn kill_matrix() {
    let Some(folder) = std::env::var_os("PINSTATE_KILL_MATRIX") else {
        println!("PINSTATE_KILL_MATRIX names no folder: nothing to do");
        return;
    };
    let seeds = match std::env::var("PINSTATE_KILL_MATRIX_SEEDS") {
        Ok(text) => text.parse().expect("PINSTATE_KILL_MATRIX_SEEDS is a number"),
        Err(_) => SEEDS,
    };
    let began = Instant::now();
    let rows = MUTANTS.iter().map(|(bug, named)| {
        let row = row(*bug, named, seeds);
        println!("{}: {} of {seeds}, {:.1} s", row.mutant, row.killed, row.seconds);
        row
    });
    let mutants: Vec<Row> = rows.collect();
    let seconds = began.elapsed().as_secs_f64();
    let mut seen = BTreeSet::new();
    let clauses = pinstate_conformance::clauses();
    let clauses = clauses.into_iter().filter(|clause| seen.insert(clause.id));
    let clauses = clauses.map(|clause| Column {
        clause: clause.id,
        title: clause.title,
        mutants: mutants.iter().filter(|row| row.kills.contains_key(clause.id)).count(),
        unproven: unproven(clause.id),
    });
    let medians: Vec<f64> = mutants.iter().filter_map(|row| row.median_ms).collect();
    let median_ms = median(medians).unwrap_or_default();
    let matrix = Matrix { seeds, seconds, median_ms, clauses: clauses.collect(), mutants };
    write(&matrix, Path::new(&folder)).expect("the folder can be written to");
    println!(
        "{} mutants, {} clauses, {seeds} seeds in {seconds:.0} s, median time to kill \
         {median_ms:.1} ms",
        matrix.mutants.len(),
        matrix.clauses.len()
    );
    let survivors: Vec<&str> = matrix
        .mutants
        .iter()
        .filter(|row| row.killed < seeds)
        .map(|row| row.mutant.as_str())
        .collect();
    assert!(survivors.is_empty(), "not killed with every seed: {survivors:?}");
}

fn write(matrix: &Matrix, folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join("kills.json"), serde_json::to_string_pretty(matrix)? + "\n")?;
    std::fs::write(folder.join("kills.html"), page(matrix))
}

const STYLE: &str = ":root{color-scheme:light dark;--line:#8884;--named:#1b6b3a;--kill:#1b6b3a55}
body{margin:1.5rem;font:14px/1.45 system-ui,sans-serif}p,ul{max-width:60rem}
.scroll{overflow:auto;max-height:92vh;border:1px solid var(--line)}
table{border-collapse:separate;border-spacing:0}
td,th{padding:.15rem .35rem;border:solid var(--line);border-width:0 1px 1px 0;font-weight:400}
thead th{position:sticky;top:0;z-index:1;background:Canvas;font-size:.8rem;vertical-align:bottom}
thead th.clause{writing-mode:vertical-rl;text-align:right}
tbody th,thead th:first-child{position:sticky;left:0;background:Canvas;text-align:left}
thead th:first-child{z-index:2}
tbody th{width:min(22rem,45vw);min-width:min(22rem,45vw);overflow-wrap:anywhere}
tbody th span{display:block;opacity:.7;font-size:.8rem}
td{text-align:center;font-size:.75rem;min-width:1.1rem}
.named{background:var(--named);color:#fff}.kill{background:var(--kill)}
.quiet{box-shadow:inset 0 0 0 2px var(--kill)}thead th.none{color:#c0392b;font-weight:700}
.time{text-align:right;white-space:nowrap}
@media(max-width:40rem){body{margin:.6rem}ul{padding-left:1.2rem}tbody th span{display:none}}";

/// A number of something, as it is said.
fn counted(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn page(matrix: &Matrix) -> String {
    let bare: Vec<&Column> = matrix.clauses.iter().filter(|clause| clause.mutants == 0).collect();
    // Stores in files, and a run as a whole, are broken by other tests.
    let elsewhere = |clause: &Column| {
        let kills = kills().get(clause.clause).map(Vec::as_slice).unwrap_or_default();
        kills.iter().map(|kill| kill.mutant.as_str()).collect::<Vec<_>>().join(", ")
    };
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Kill matrix" }
                style { (maud::PreEscaped(STYLE)) }
            }
            body {
                h1 { "Kill matrix" }
                p {
                    (matrix.mutants.len()) " stores that are broken on purpose, "
                    (matrix.clauses.len()) " clauses, " (counted(matrix.seeds, "seed")) ", "
                    (counted((matrix.seconds / 60.0).round() as u64, "minute")) ". "
                    "Median time to kill: " (format!("{:.1} ms", matrix.median_ms)) ". "
                    "A number says with how many seeds the clause kills; dark, where the clause "
                    "is there for the mutant, and framed, where it is there and leaves the kill to "
                    "another."
                }
                @if !bare.is_empty() {
                    h2 { "Clauses that kill none of them" }
                    ul {
                        @for clause in bare {
                            li {
                                b { (clause.clause) } " " (clause.title)
                                @let others = elsewhere(clause);
                                @if let Some(why) = clause.unproven { ": " (why) }
                                @else if !others.is_empty() { ": kills " (others) ", elsewhere" }
                            }
                        }
                    }
                }
                div.scroll { table {
                    thead { tr {
                        th { "mutant" } th { "median" }
                        @for clause in &matrix.clauses {
                            @let none = clause.mutants == 0 && elsewhere(clause).is_empty();
                            th.clause.none[none] title=(clause.title) { (clause.clause) }
                        }
                    } }
                    tbody { @for row in &matrix.mutants { tr {
                        th {
                            (row.mutant)
                            @if let Some(link) = row.found { " " a href=(link) { "found in the field" } }
                            span { (row.does) }
                        }
                        td.time {
                            @if let Some(ms) = row.median_ms { (format!("{ms:.1} ms")) }
                        }
                        @for clause in &matrix.clauses {
                            @let kills = row.kills.get(clause.clause);
                            @let named = row.named.contains(&clause.clause);
                            td.named[named && kills.is_some()].kill[!named && kills.is_some()]
                                .quiet[named && kills.is_none()] {
                                @if let Some(kills) = kills { (kills) }
                            }
                        }
                    } } }
                } }
            }
        }
    };
    page.into_string()
}

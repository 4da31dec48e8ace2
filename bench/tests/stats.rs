//! Comparisons of stores that are made up, so that it is known which one is faster.

use std::collections::BTreeMap;
use std::f64::consts::TAU;

use fastrand::Rng;
use pinstate_bench::outcome::{Metric, Mode, Resources, Run, Verdict, Window};
use pinstate_bench::stats::{Options, compare};
use proptest::prelude::*;

fn run(round: usize, windows: Vec<Window>) -> Run {
    let operations = windows.iter().map(|window| window.operations).sum();
    let seconds = windows.iter().map(|window| window.seconds).sum();
    Run {
        subject: 0,
        round,
        mode: Mode::Closed { clients: 1 },
        warmup_seconds: 0.0,
        warm: true,
        seconds,
        operations,
        throughput: operations as f64 / seconds,
        saturated: None,
        kinds: Vec::new(),
        windows,
        resources: Resources::default(),
        wrong: Vec::new(),
        wrong_count: 0,
    }
}

fn window(times: &[(u64, u32)]) -> Window {
    let operations = times.iter().map(|&(_, count)| u64::from(count)).sum();
    Window { at: 0.0, seconds: 1.0, operations, errors: 0, times: times.to_vec() }
}

fn compared(base: &[Run], other: &[Run], options: &Options) -> Vec<Metric> {
    let (base, other): (Vec<_>, Vec<_>) = (base.iter().collect(), other.iter().collect());
    compare(&base, &other, options, 11)
}

fn names(metrics: &[Metric]) -> Vec<&str> {
    metrics.iter().map(|metric| metric.name.as_str()).collect()
}

/// Two stores as they might be measured in a closed loop.
struct Bench {
    rounds: usize,
    windows: usize,
    /// Operations in each window, about.
    operations: f64,
    /// How much slower the other one is: 1 for no slower.
    slower: f64,
    /// How far a round is from the others, for both stores.
    drift: f64,
    /// How far a run is from what it should be, for itself.
    wobble: f64,
}

const BENCH: Bench =
    Bench { rounds: 5, windows: 15, operations: 150.0, slower: 1.0, drift: 0.1, wobble: 0.015 };

impl Bench {
    fn run(&self, seed: u64) -> (Vec<Run>, Vec<Run>) {
        let mut rng = Rng::with_seed(seed);
        (0..self.rounds)
            .map(|round| {
                let shared = self.drift * normal(&mut rng);
                let base = self.store(round, shared, &mut rng);
                let other = self.store(round, shared + self.slower.ln(), &mut rng);
                (base, other)
            })
            .unzip()
    }

    /// A run that takes this much longer than it should, as a logarithm.
    fn store(&self, round: usize, longer: f64, rng: &mut Rng) -> Run {
        let longer = longer + self.wobble * normal(rng);
        let mut spell = 0.0;
        let windows = (0..self.windows)
            .map(|_| {
                // Slow windows come in spells.
                spell = 0.6 * spell + 0.02 * normal(rng);
                let slow = longer + spell;
                let operations = (self.operations * (-slow).exp()).round() as usize;
                let mut times = BTreeMap::new();
                for _ in 0..operations {
                    let time = 200_000.0 * (slow + 0.5 * normal(rng)).exp();
                    *times.entry(three_digits(time)).or_insert(0) += 1;
                }
                window(&times.into_iter().collect::<Vec<_>>())
            })
            .collect();
        run(round, windows)
    }
}

fn normal(rng: &mut Rng) -> f64 {
    (-2.0 * (1.0 - rng.f64()).ln()).sqrt() * (TAU * rng.f64()).cos()
}

fn three_digits(time: f64) -> u64 {
    let unit = 10f64.powf(time.log10().floor() - 2.0);
    ((time / unit).round() * unit) as u64
}

/// Says so of any difference that it can show, however small.
const ANY: Options = Options { resamples: 400, effect: 0.0, level: 0.05, block: 3 };

/// How many of 40 comparisons of a store with itself find a difference.
fn false_alarms(bench: &Bench, seed: u64) -> usize {
    (0..40)
        .filter(|comparison| {
            let (base, other) = bench.run(seed * 1_000 + comparison);
            let metrics = compared(&base, &other, &ANY);
            assert_eq!(names(&metrics), ["throughput", "p50", "p99", "p999"]);
            metrics.iter().any(|metric| metric.verdict != Verdict::NoDifference)
        })
        .count()
}

#[test]
fn a_store_is_seldom_told_from_itself() {
    for seed in 1..=2 {
        let found = false_alarms(&BENCH, seed);
        assert!(found <= 5, "{found} of 40 with seed {seed}");
    }
}

#[test]
fn few_rounds_do_not_mislead() {
    for rounds in [2, 3] {
        let found = false_alarms(&Bench { rounds, operations: 300.0, ..BENCH }, 4);
        assert!(found <= 5, "{found} of 40 with {rounds} rounds");
    }
}

#[test]
fn a_store_that_is_slower_by_a_tenth_is_found() {
    let found = (0..20)
        .filter(|seed| {
            let (base, other) = Bench { slower: 1.1, ..BENCH }.run(*seed);
            let options = Options { resamples: 400, ..Options::default() };
            let metrics = compared(&base, &other, &options);
            assert!(metrics.iter().all(|metric| metric.verdict != Verdict::Faster));
            metrics[1].name == "p50" && metrics[1].verdict == Verdict::Slower
        })
        .count();
    assert!(found >= 18, "{found} of 20");
}

#[test]
fn the_interval_holds_what_is_true() {
    let mut held = 0;
    for seed in 0..40 {
        let (base, other) = Bench { slower: 1.1, ..BENCH }.run(seed);
        let p50 = &compared(&base, &other, &ANY)[1];
        held += usize::from(p50.interval.0 <= 1.1 && 1.1 <= p50.interval.1);
        // A tenth more or less by chance alone would be no measurement.
        assert!(p50.interval.1 / p50.interval.0 < 1.2, "{:?}", p50.interval);
    }
    assert!(held >= 35, "{held} of 40");
}

#[test]
fn what_a_round_shares_cancels() {
    let (base, other) = Bench { slower: 1.1, drift: 1.0, ..BENCH }.run(3);
    let paired = compared(&base, &other, &ANY);
    assert_eq!(paired[0].verdict, Verdict::Slower, "{paired:?}");
    // The same runs beside others than their own.
    let mut strangers = other;
    strangers.rotate_left(1);
    let unpaired = compared(&base, &strangers, &ANY);
    assert_eq!(unpaired[0].verdict, Verdict::NoDifference, "{unpaired:?}");
}

#[test]
fn figures_are_of_all_rounds_together() {
    // 30 fast times and 10 slow ones: the median is a fast one, the mean of medians is not.
    let base = [
        run(0, vec![window(&[(100, 10)]); 3]),
        run(1, vec![window(&[(900, 5)]), window(&[(800, 5)])]),
    ];
    let other = [run(0, vec![window(&[(200, 40)])]), run(1, vec![window(&[(200, 40)])])];
    let metrics = compared(&base, &other, &ANY);
    assert_eq!(names(&metrics), ["throughput", "p50"]);
    assert_eq!((metrics[0].base, metrics[0].other, metrics[0].ratio), (8.0, 40.0, 5.0));
    assert_eq!((metrics[1].base, metrics[1].other, metrics[1].ratio), (100.0, 200.0, 2.0));
}

#[test]
fn rounds_that_are_all_alike_leave_no_doubt() {
    let base: Vec<_> = (0..3).map(|round| run(round, vec![window(&[(100, 10)]); 4])).collect();
    let other: Vec<_> = (0..3).map(|round| run(round, vec![window(&[(90, 20)]); 4])).collect();
    let metrics = compared(&base, &other, &Options::default());
    assert_eq!(names(&metrics), ["throughput", "p50"]);
    for metric in &metrics {
        assert_eq!(metric.verdict, Verdict::Faster);
        assert!((metric.interval.0 - metric.ratio).abs() < 1e-9);
        assert!((metric.interval.1 - metric.ratio).abs() < 1e-9);
        // The least there is, twice since there are two.
        assert!((metric.p - 2.0 * 2.0 / 2_001.0).abs() < 1e-12, "{}", metric.p);
    }
    // Less likely than that to be chance, nothing is here.
    let strict = Options { level: 0.001, ..Options::default() };
    let strict = compared(&base, &other, &strict);
    assert!(strict.iter().all(|metric| metric.verdict == Verdict::NoDifference));
    // Of no more consequence than asked for.
    let verdicts = |effect| {
        let options = Options { effect, ..Options::default() };
        compared(&base, &other, &options).iter().map(|m| m.verdict).collect::<Vec<_>>()
    };
    assert_eq!(verdicts(0.11), [Verdict::Faster, Verdict::Faster]);
    assert_eq!(verdicts(0.12), [Verdict::Faster, Verdict::NoDifference]);
    assert_eq!(verdicts(1.01), [Verdict::NoDifference, Verdict::NoDifference]);
}

#[test]
fn an_interval_that_reaches_1_shows_nothing_at_any_level() {
    let (base, other) = BENCH.run(1);
    let metrics = compared(&base, &other, &Options { level: 2.0, ..ANY });
    assert!(metrics.iter().all(|metric| metric.interval.0 < 1.0 && metric.interval.1 > 1.0));
    assert!(metrics.iter().all(|metric| metric.verdict == Verdict::NoDifference));
}

#[test]
fn where_load_is_given_throughput_is_no_difference() {
    let base: Vec<_> = (0..5).map(|round| run(round, vec![window(&[(100, 1_000)]); 9])).collect();
    let other: Vec<_> = (0..5).map(|round| run(round, vec![window(&[(300, 1_000)]); 9])).collect();
    let metrics = compared(&base, &other, &Options::default());
    assert_eq!(names(&metrics), ["throughput", "p50", "p99", "p999"]);
    assert_eq!(metrics[0].verdict, Verdict::NoDifference);
    assert_eq!((metrics[0].ratio, metrics[0].interval), (1.0, (1.0, 1.0)));
    assert!(metrics[0].p >= 1.0);
    assert!(metrics[1..].iter().all(|metric| metric.verdict == Verdict::Slower));
}

#[test]
fn what_is_not_known_is_left_out() {
    let runs = |rounds: usize, count: u32| -> Vec<Run> {
        (0..rounds).map(|round| run(round, vec![window(&[(100, count)]); 2])).collect()
    };
    let enough = runs(2, 500);
    let left = |other: &[Run]| {
        let one = compared(&enough, other, &ANY);
        let swapped = compared(other, &enough, &ANY);
        assert_eq!(names(&one), names(&swapped));
        names(&one).join(" ")
    };
    assert_eq!(left(&enough), "throughput p50 p99 p999");
    let mut fewer = runs(2, 500);
    fewer[1].windows[1] = window(&[(100, 499)]);
    assert_eq!(left(&fewer), "throughput p50 p99");
    assert_eq!(left(&runs(2, 49)), "throughput p50");
    // A run with nothing in it: a quarter of the resamples know nothing.
    let mut silent = runs(2, 1_000);
    silent[1].windows = vec![window(&[]); 2];
    assert_eq!(left(&silent), "");
    assert_eq!(left(&[run(0, Vec::new()), run(1, Vec::new())]), "");
    // How much rounds differ is not known from one.
    assert_eq!(left(&runs(1, 10_000)), "");
    assert_eq!(left(&[]), "");
}

#[test]
fn rounds_too_far_apart_to_stretch_stay_numbers() {
    let quick = Window { seconds: 1e-9, ..window(&[(1, u32::MAX)]) };
    let slow = Window { seconds: 1e40, ..window(&[(u64::MAX, 9)]) };
    let base = [run(0, vec![quick.clone()]), run(1, vec![slow.clone()])];
    let other = [run(0, vec![slow]), run(1, vec![quick])];
    let metrics = compared(&base, &other, &ANY);
    assert_eq!(metrics[0].interval, (0.0, f64::MAX));
    for metric in metrics {
        assert!(metric.interval.1.is_finite(), "{metric:?}");
        assert_eq!(metric.verdict, Verdict::NoDifference);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn swapping_the_sides_turns_the_result_round(
        rounds in 2_usize..5,
        windows in 1_usize..6,
        slower in 0.5_f64..2.0,
        wobble in 0.0_f64..0.2,
        seed: u64,
    ) {
        let bench = Bench { rounds, windows, slower, wobble, ..BENCH };
        let (base, other) = bench.run(seed);
        let one = compared(&base, &other, &ANY);
        let swapped = compared(&other, &base, &ANY);
        prop_assert_eq!(names(&one), names(&swapped));
        for (one, swapped) in one.iter().zip(&swapped) {
            let close = |left: f64, right: f64| (left / right - 1.0).abs() < 1e-9;
            prop_assert!(close(one.ratio, 1.0 / swapped.ratio));
            prop_assert!(close(one.interval.0, 1.0 / swapped.interval.1));
            prop_assert!(close(one.interval.1, 1.0 / swapped.interval.0));
            prop_assert!(one.interval.0 <= one.ratio * (1.0 + 1e-9));
            prop_assert!(one.interval.1 >= one.ratio * (1.0 - 1e-9));
            prop_assert_eq!(one.p.to_bits(), swapped.p.to_bits());
            prop_assert_eq!(swapped.verdict, match one.verdict {
                Verdict::Faster => Verdict::Slower,
                Verdict::Slower => Verdict::Faster,
                Verdict::NoDifference => Verdict::NoDifference,
            });
        }
    }
}

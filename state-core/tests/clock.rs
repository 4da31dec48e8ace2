//! The clock over a real store's control records, with a wall clock of the test's.

#![allow(missing_docs, clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use pinstate_core::{Clock, ClockOptions, ErrorKind, Store};
use pinstate_memory::{MemoryConfig, MemoryStore};

const NOW: i64 = 1_800_000_000_000_000;

struct Wall(Arc<AtomicI64>);

impl Wall {
    fn new() -> Self {
        Self(Arc::new(AtomicI64::new(NOW)))
    }

    fn set(&self, micros: i64) {
        self.0.store(micros, Ordering::SeqCst);
    }

    fn options(&self) -> ClockOptions {
        let wall = Arc::clone(&self.0);
        ClockOptions::new().with_wall(Arc::new(move || wall.load(Ordering::SeqCst)))
    }
}

fn store() -> Arc<dyn Store> {
    Arc::new(MemoryStore::open(&MemoryConfig::default()).unwrap())
}

#[tokio::test]
async fn versions_strictly_increase_also_when_the_wall_clock_stands_or_goes_back() {
    let (store, wall) = (store(), Wall::new());
    let clock = Clock::open(store, wall.options()).await.unwrap();
    let mut last = clock.draw().await.unwrap();
    assert_eq!(last.micros(), NOW);
    for step in [0, 0, -5_000_000, 3, 10_000_000, -1] {
        wall.set(NOW + step);
        let next = clock.draw().await.unwrap();
        assert!(next > last, "{next} after {last}");
        last = next;
    }
    let first = clock.draw_many(1_000).await.unwrap();
    assert!(first > last);
    assert!(clock.draw().await.unwrap().micros() >= first.micros() + 1_000);
}

#[tokio::test]
async fn a_restart_goes_on_above_everything_drawn_before() {
    let (store, wall) = (store(), Wall::new());
    let clock = Clock::open(Arc::clone(&store), wall.options()).await.unwrap();
    let mut last = clock.draw().await.unwrap();
    for _ in 0..10 {
        last = clock.draw_many(400_000).await.unwrap();
    }
    drop(clock);
    wall.set(NOW - 10_000_000);
    let clock = Clock::open(store, wall.options()).await.unwrap();
    let next = clock.draw().await.unwrap();
    assert!(next.micros() >= last.micros() + 400_000, "{next} after {last}");
}

#[tokio::test]
async fn a_mark_too_far_ahead_is_refused_and_a_near_one_is_not() {
    let (store, wall) = (store(), Wall::new());
    Clock::open(Arc::clone(&store), wall.options()).await.unwrap().draw().await.unwrap();
    wall.set(NOW - 50_000_000);
    Clock::open(Arc::clone(&store), wall.options()).await.unwrap();
    wall.set(NOW - 3_600_000_000);
    let error = Clock::open(Arc::clone(&store), wall.options()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let message = error.to_string();
    assert!(message.contains("3602 s in the future"), "{message}");
    let patient = wall.options().with_max_lag(Duration::from_secs(4_000));
    Clock::open(store, patient).await.unwrap();
}

#[tokio::test]
async fn opening_and_not_drawing_writes_nothing() {
    let (store, wall) = (store(), Wall::new());
    Clock::open(Arc::clone(&store), wall.options()).await.unwrap();
    assert!(store.control_list("").await.unwrap().is_empty());
}

#[tokio::test]
async fn two_clocks_of_one_writer_never_give_the_same_version() {
    let (store, wall) = (store(), Wall::new());
    let a = Clock::open(Arc::clone(&store), wall.options()).await.unwrap();
    let b = Clock::open(Arc::clone(&store), wall.options()).await.unwrap();
    let mut seen = std::collections::HashSet::new();
    for _ in 0..1_000 {
        for clock in [&a, &b] {
            for version in [clock.draw().await.unwrap(), clock.draw_many(5_000).await.unwrap()] {
                assert!(seen.insert(version), "{version} twice");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_draws_are_distinct() {
    let clock = Arc::new(Clock::open(store(), Wall::new().options()).await.unwrap());
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let clock = Arc::clone(&clock);
            tokio::spawn(async move {
                let mut drawn = Vec::new();
                for _ in 0..5_000 {
                    drawn.push(clock.draw().await.unwrap());
                }
                drawn
            })
        })
        .collect();
    let mut seen = std::collections::HashSet::new();
    for task in tasks {
        for version in task.await.unwrap() {
            assert!(seen.insert(version), "{version} twice");
        }
    }
}

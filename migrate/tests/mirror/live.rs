//! Clients at random through every phase, with stores that fail, and a look at all that they
//! were told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pinstate_conformance::history::{Client, Recorder, check};
use pinstate_core::{Key, Version, WriteOptions};
use pinstate_migrate::mirror::{Mirror, Phase, Policy};
use tempfile::TempDir;

use crate::setup::{BUDGET, Setup, key, options, reach, sled};

/// How a history is shaken.
#[derive(Clone, Copy)]
struct Weather {
    policy: Policy,
    /// Refusals and lost answers of every thousand writes of the secondary.
    secondary: (u32, u32),
    /// Those of the primary.
    primary: (u32, u32),
    seed: u64,
}

/// The mirror's clock, as the recorder wants it.
fn versions(mirror: &Mirror) -> Arc<dyn Fn() -> Version + Send + Sync> {
    let clock = mirror.clock();
    Arc::new(move || futures::executor::block_on(clock.draw()).unwrap())
}

async fn client(client: Client, keys: Vec<Key>, stop: Arc<AtomicBool>, seed: u64) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut n = 0_u64;
    while !stop.load(Ordering::Acquire) {
        let key = &keys[rng.usize(..keys.len())];
        n += 1;
        // What a client is told is written down; a failure is an answer like others.
        match rng.u32(..10) {
            0..5 => drop(client.get(key).await),
            5 => drop(client.get_many(&keys).await),
            6..9 => {
                let value = format!("{} {n}", client.number());
                drop(client.put(key, value, None, WriteOptions::new()).await);
            }
            _ => drop(client.delete(key, None, WriteOptions::new()).await),
        }
        tokio::time::sleep(Duration::from_micros(rng.u64(..600))).await;
    }
}

/// Keeps at a step until it is made: stores fail at random.
async fn until_made(mirror: &Mirror, phase: Phase) {
    for _ in 0..1_000 {
        let made = match mirror.status().phase {
            at if at == phase => return,
            Phase::Shadow => mirror.cut_over(BUDGET).await.map(drop),
            Phase::Reverse => mirror.roll_back(BUDGET).await.map(drop),
            _ => mirror.advance().await.map(drop),
        };
        drop(made);
    }
    panic!("{phase} was not reached: {:?}", mirror.status());
}

async fn live(setup: &Setup, weather: Weather) {
    let mut options = options(weather.policy);
    options.repair_pause = Some(Duration::from_millis(2));
    let mirror = setup.try_open(options).await.unwrap();
    let recorder = Recorder::new();
    let clock = versions(&mirror);
    let keys: Vec<Key> = (0..6).map(|n| key(&format!("hot {n}"))).collect();
    let stop = Arc::new(AtomicBool::new(false));
    let mut clients = Vec::new();
    for number in 0..4 {
        let of = recorder.client(number, mirror.namespace(), Arc::clone(&clock));
        let seed = weather.seed.wrapping_mul(31).wrapping_add(number.into());
        clients.push(tokio::spawn(client(of, keys.clone(), Arc::clone(&stop), seed)));
    }
    let shake = |primary_is_source: bool| {
        let [first, second] = if primary_is_source {
            [&setup.source, &setup.target]
        } else {
            [&setup.target, &setup.source]
        };
        first.at_random(weather.primary.0, weather.primary.1);
        second.at_random(weather.secondary.0, weather.secondary.1);
    };
    let mut rng = fastrand::Rng::with_seed(weather.seed);
    let pause = async |rng: &mut fastrand::Rng| {
        tokio::time::sleep(Duration::from_millis(rng.u64(2..20))).await;
    };
    shake(true);
    for phase in [Phase::Mirror, Phase::Backfill, Phase::Verify, Phase::Shadow] {
        pause(&mut rng).await;
        until_made(&mirror, phase).await;
    }
    for _ in 0..2 {
        pause(&mut rng).await;
        until_made(&mirror, Phase::Reverse).await;
        shake(false);
        pause(&mut rng).await;
        until_made(&mirror, Phase::Shadow).await;
        shake(true);
    }
    pause(&mut rng).await;
    until_made(&mirror, Phase::Reverse).await;
    pause(&mut rng).await;
    stop.store(true, Ordering::Release);
    for client in clients {
        client.await.unwrap();
    }
    setup.source.heal();
    setup.target.heal();
    while mirror.repair().await.unwrap() > 0 {}
    setup.same().await;
    let history = recorder.history();
    let reads = recorder.client(9, setup.source_pins().await, Arc::clone(&clock));
    reads.get_many(&keys).await.unwrap();
    let verdict = check(&recorder.history());
    assert!(verdict.is_legal(), "seed {}: {verdict}", weather.seed);
    assert!(history.events.len() > 200, "{}", history.events.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_client_sees_a_flip_while_stores_work() {
    for seed in 0..4 {
        let weather = Weather { policy: Policy::Strict, secondary: (0, 0), primary: (0, 0), seed };
        live(&Setup::memory().await, weather).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_client_sees_a_flip_while_stores_fail() {
    for seed in 0..4 {
        for policy in [Policy::Strict, Policy::Journal] {
            let weather = Weather { policy, secondary: (20, 20), primary: (10, 10), seed };
            live(&Setup::memory().await, weather).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_client_sees_a_flip_between_stores_on_disk() {
    let folder = TempDir::new().unwrap();
    for (seed, policy) in [(1, Policy::Strict), (2, Policy::Journal)] {
        let names = [format!("a {seed}"), format!("b {seed}")];
        let [a, b] = [sled(&folder, &names[0]).await, sled(&folder, &names[1]).await];
        let weather = Weather { policy, secondary: (20, 20), primary: (0, 10), seed };
        live(&Setup::of(a, b).await, weather).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_abort_at_random_loses_nothing() {
    for seed in 0..6 {
        let setup = Setup::memory().await;
        let mirror = setup.open(Policy::Journal).await;
        let recorder = Recorder::new();
        let clock = versions(&mirror);
        let keys: Vec<Key> = (0..4).map(|n| key(&format!("hot {n}"))).collect();
        let stop = Arc::new(AtomicBool::new(false));
        let of = recorder.client(1, mirror.namespace(), Arc::clone(&clock));
        let writing = tokio::spawn(client(of, keys.clone(), Arc::clone(&stop), seed));
        setup.target.at_random(50, 50);
        let phases = [Phase::Mirror, Phase::Backfill, Phase::Verify, Phase::Shadow, Phase::Reverse];
        let to = phases[usize::try_from(seed).unwrap() % phases.len()];
        until_made(&mirror, to).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
        setup.source.heal();
        setup.target.heal();
        mirror.abort(BUDGET).await.unwrap();
        stop.store(true, Ordering::Release);
        writing.await.unwrap();
        let after = recorder.client(2, setup.source_pins().await, Arc::clone(&clock));
        after.get_many(&keys).await.unwrap();
        let verdict = check(&recorder.history());
        assert!(verdict.is_legal(), "seed {seed}: {verdict}");
    }
}

#[tokio::test]
async fn reads_go_on_while_writes_are_held() {
    let setup = Setup::memory().await;
    let mirror = setup.open_in(Policy::Strict, Phase::Shadow).await;
    crate::setup::put(&mirror, "k", "v").await.unwrap();
    let held = setup.target.hold_before(pinstate_core::Operation::ControlSet);
    let flip = tokio::spawn({
        let mirror = mirror.clone();
        async move { mirror.cut_over(BUDGET).await }
    });
    held.reached().await;
    let read = crate::setup::value(&*mirror.namespace(), "k").await;
    assert_eq!(read.as_deref(), Some("v"));
    held.release();
    flip.await.unwrap().unwrap();
    reach(&mirror, Phase::Reverse).await;
}

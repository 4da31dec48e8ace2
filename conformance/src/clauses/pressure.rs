//! Many calls at once, slow ones, and odd places to call from.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use parking_lot::Mutex;
use pinstate_core::layer::{Call, Policy, Retry, RetryBudget, RetryOptions, wrap};
use pinstate_core::{
    BatchOptions, CountOptions, Delete, Error, ErrorKind, Key, Outcome, ReadOptions, Result,
    RetryClass, ScanOptions, WriteOptions, Written,
};

use super::concurrent::keeps;
use super::list::pairs;
use super::memory::puts_at_once_are_not_copied;
use crate::case::{Cx, Ns, answered};
use crate::check::{Checked, Violation, holds, same};
use crate::clause::clauses;
use crate::clients::{Mix, Plan, Press, Round, joined};
use crate::history::Promise;

clauses! {
    P1: "every one of many calls at once is answered, in bounded memory, and refused ones were not \
         applied",
        "an import that outruns its store must be slowed down, not lose pins or fill the memory",
        [all_at_once as alone, puts_at_once_are_not_copied as alone];
    P3: "what one client does after another thing comes after it, also while others press",
        "a pin that is replaced must not come back by its older write",
        [in_order_under_pressure];
    P4: "scans and writes both get on while the other never stops",
        "a long export must not stop the cluster from pinning, nor the reverse",
        [writes_among_scans, scans_among_writes];
    X5: "any two operations at once both end",
        "two commands that wait for each other stop a peer",
        [all_pairs];
    X6: "what is declared holds as well under delays and retries",
        "layers stand around every store in use",
        [hot_keys_under_faults if LINEARIZABLE];
    X8: "a store works on a runtime of one thread, and while the threads for blocking work are \
         busy",
        "who embeds the store chooses the runtime",
        [on_one_thread, beside_blocking_work];
}

/// Calls that are begun before any of them is waited for.
const AT_ONCE: usize = 5_000;

async fn all_at_once(cx: Cx) -> Checked {
    let ns = cx.namespace().await?;
    let mut calls: FuturesUnordered<_> = (0..AT_ONCE)
        .map(|i| {
            let put = ns.put_of(format!("k{i}"), format!("v{i}"), cx.version());
            let raw = Arc::clone(&ns.raw);
            async move { (i, raw.put(put, WriteOptions::new()).await) }
        })
        .collect();
    let (mut stored, mut refused) = (Vec::new(), Vec::new());
    while let Some((i, result)) = calls.next().await {
        match result {
            Ok(Written::Applied) => stored.push(i),
            Ok(other) => {
                return Err(Violation::new(format!(
                    "a plain put: expected applied, got {other:?}"
                )));
            }
            Err(error) => {
                holds(error.retry_class() != RetryClass::Never, || {
                    format!(
                        "a refusal under pressure: expected one to be tried again, got: {error}"
                    )
                })?;
                if error.outcome() == Outcome::NotApplied {
                    refused.push(i);
                }
            }
        }
    }
    holds(!stored.is_empty(), || format!("of {AT_ONCE} puts at once none was stored"))?;
    let calm = cx.patient();
    let rows = calm.open(calm.store(), &ns.name).await?.map(ScanOptions::new()).await?;
    for i in stored {
        let value = rows.get(format!("k{i}").as_bytes());
        same("a put that was acknowledged under pressure", value, Some(&format!("v{i}").into()))?;
    }
    for i in refused {
        same("a put that was refused under pressure", rows.get(format!("k{i}").as_bytes()), None)?;
    }
    Ok(())
}

async fn in_order_under_pressure(cx: Cx) -> Checked {
    let cx = cx.patient();
    let ns = cx.namespace().await?;
    let press = Press::writers(&cx, &ns, 16).await?;
    for turn in 0..100_u32 {
        let value = turn.to_string();
        ns.put("slow", &value).await?;
        same("a value just put", ns.value("slow").await?.as_deref(), Some(value.as_bytes()))?;
    }
    press.end().await?;
    same("the last value", ns.value("slow").await?.as_deref(), Some(&b"99"[..]))
}

async fn writes_among_scans(cx: Cx) -> Checked {
    let cx = cx.patient();
    let ns = cx.namespace().await?;
    ns.fill(pairs(300)).await?;
    let press = Press::scanners(&cx, &ns, 3).await?;
    for turn in 0..100 {
        ns.put(format!("write {turn}"), "v").await?;
    }
    press.end().await?;
    same("records", ns.count().await?, 400)
}

async fn scans_among_writes(cx: Cx) -> Checked {
    let cx = cx.patient();
    let ns = cx.namespace().await?;
    ns.fill(pairs(300)).await?;
    let press = Press::writers(&cx, &ns, 3).await?;
    for _ in 0..3 {
        let rows = ns.map(ScanOptions::new().with_page_rows(20)).await?;
        for (key, value) in pairs(300) {
            let got = rows.get(key.as_slice()).map(|bytes| &bytes[..]);
            same("a record that nobody touches", got, Some(value.as_bytes()))?;
        }
    }
    press.end().await
}

/// An operation of a pair.
type Operation = fn(Ns, u32) -> futures::future::BoxFuture<'static, Checked>;

const OPERATIONS: &[(&str, Operation)] = &[
    ("put", |ns, i| Box::pin(async move { ns.put(format!("k{}", i % 3), "v").await.map(drop) })),
    ("delete", |ns, i| Box::pin(async move { ns.delete(format!("k{}", i % 3)).await.map(drop) })),
    ("get", |ns, i| Box::pin(async move { ns.get(format!("k{}", i % 3)).await.map(drop) })),
    ("has", |ns, i| Box::pin(async move { ns.has(format!("k{}", i % 3)).await.map(drop) })),
    ("get_many", |ns, _| {
        Box::pin(async move {
            let keys = [Key::copy_from(b"k0"), Key::copy_from(b"k1")];
            for result in ns.raw.get_many(&keys, ReadOptions::new()).await? {
                result?;
            }
            Ok(())
        })
    }),
    ("apply", |ns, i| {
        Box::pin(async move {
            let put = ns.put_of(format!("k{}", i % 3), "b", ns.version());
            let delete = Delete::new(Key::copy_from(b"k2"), ns.version());
            ns.apply(vec![put.into(), delete.into()], BatchOptions::new()).await
        })
    }),
    ("scan", |ns, _| {
        Box::pin(async move { ns.scan(ScanOptions::new().with_page_rows(1)).await.map(drop) })
    }),
    ("count", |ns, _| {
        Box::pin(async move { Ok(ns.raw.count(CountOptions::new()).await.map(drop)?) })
    }),
    ("split", |ns, _| Box::pin(async move { Ok(ns.raw.split(3).await.map(drop)?) })),
    ("sync", |ns, _| Box::pin(async move { Ok(ns.store().sync().await.map(drop)?) })),
    ("health", |ns, _| Box::pin(async move { Ok(ns.store().health().await.map(drop)?) })),
    ("list_namespaces", |ns, _| {
        Box::pin(async move { Ok(ns.store().list_namespaces().await.map(drop)?) })
    }),
    ("open_namespace", |ns, _| {
        Box::pin(async move { Ok(ns.store().open_namespace(&ns.name).await.map(drop)?) })
    }),
    ("control_list", |ns, _| {
        Box::pin(async move { Ok(ns.store().control_list("x").await.map(drop)?) })
    }),
];

async fn all_pairs(cx: Cx) -> Checked {
    let cx = cx.patient();
    let ns = cx.namespace().await?;
    for (at, (first, one)) in OPERATIONS.iter().enumerate() {
        for (second, other) in OPERATIONS.iter().skip(at) {
            let calls = (0..4).map(|i| {
                let call = if i % 2 == 0 { one } else { other };
                tokio::spawn(call(ns.clone(), i))
            });
            let what = format!("{first} and {second} at once");
            answered(&what, joined(calls.collect())).await?;
        }
    }
    Ok(())
}

/// Delays calls at random and refuses one in ten before it reaches the store.
#[derive(Debug)]
struct Faults(Mutex<fastrand::Rng>);

impl Faults {
    fn draw(&self, below: u32) -> u32 {
        self.0.lock().u32(..below)
    }
}

impl Policy for Faults {
    async fn run<T, F, Fut>(&self, call: Call<'_>, attempt: F) -> Result<T>
    where
        T: Send,
        F: Fn() -> Fut + Send + Sync,
        Fut: Future<Output = Result<T>> + Send,
    {
        let pause = |turns: u32| async move {
            for _ in 0..turns {
                tokio::task::yield_now().await;
            }
        };
        pause(self.draw(6)).await;
        if self.draw(10) == 0 {
            let error = Error::new(ErrorKind::Unavailable, call.operation, "refused on purpose");
            return Err(error
                .with_backend(call.backend)
                .with_retry(RetryClass::Backoff)
                .with_outcome(Outcome::NotApplied));
        }
        let result = attempt().await;
        pause(self.draw(6)).await;
        result
    }
}

async fn hot_keys_under_faults(cx: Cx) -> Checked {
    let faults = Faults(Mutex::new(cx.rng()));
    let options = RetryOptions::new()
        .with_attempts(20)
        .with_pauses(Duration::ZERO, Duration::from_millis(1))
        .with_budget(Arc::new(RetryBudget::new(10.0, 1_000.0, 10_000.0)))
        .with_seed(cx.seed);
    let store = wrap(wrap(Arc::clone(cx.store()), faults), Retry::new(options));
    for (round, mix) in [(0, Mix::Plain), (1, Mix::Conditions), (2, Mix::Bulk)] {
        let plan = Plan { mix, clients: 5, keys: 2, operations: 50 };
        let seed = cx.seed.wrapping_add(round);
        let history = Round::over(&cx, &store, plan.keys).await?.run(plan, seed).await?;
        keeps(&cx, &history, Promise::Linearizable)?;
    }
    Ok(())
}

/// What a service does with a store, from opening to closing.
async fn life(cx: &Cx, own: &crate::case::Own) -> Checked {
    let (store, ns) = own.open_new().await?;
    ns.fill(pairs(300)).await?;
    ns.put("k", "v").await?;
    ns.delete(super::list::cid_like(7)).await?;
    same("records", ns.scan(ScanOptions::new().with_page_rows(50)).await?.len(), 300)?;
    same("the count", ns.count().await?, 300)?;
    let again = cx.open(&store, &ns.name).await?;
    same("a value", again.value("k").await?.as_deref(), Some(&b"v"[..]))?;
    store.sync().await?;
    store.health().await?;
    store.drop_namespace(&ns.name).await?;
    store.close().await?;
    Ok(())
}

/// Runs it on a runtime of its own, on a thread of its own.
async fn elsewhere(cx: Cx, builder: fn() -> tokio::runtime::Builder, busy: usize) -> Checked {
    let work = move || {
        let runtime = builder().enable_all().build();
        let runtime = runtime.map_err(|error| Violation::new(error.to_string()))?;
        runtime.block_on(async {
            for _ in 0..busy {
                // Ends on its own: what it holds up must wait, and then go on.
                tokio::task::spawn_blocking(|| std::thread::sleep(Duration::from_millis(20)));
            }
            let own = cx.own_store().await?;
            life(&cx, &own).await
        })
    };
    let (answer, answered) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        let _ = answer.send(result);
    });
    match answered.await {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => std::panic::resume_unwind(panic),
        Err(_) => Err(Violation::new("the runtime's thread was cut off")),
    }
}

async fn on_one_thread(cx: Cx) -> Checked {
    elsewhere(cx, tokio::runtime::Builder::new_current_thread, 0).await
}

async fn beside_blocking_work(cx: Cx) -> Checked {
    let builder = || {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(2).max_blocking_threads(2);
        builder
    };
    elsewhere(cx, builder, 40).await
}

//! What outlives the loss of power, and disks that are full or fail.

use std::sync::Arc;

use parking_lot::Mutex;
use pinstate_core::{
    Durability, ErrorKind, Key, Outcome, Put, ReadOptions, Store, Version, WriteOptions,
};

use crate::case::Cx;
use crate::check::{Checked, Violation, holds, same, some};
use crate::clause::clauses;
use crate::disk::{Disk, Fault, Loss};
use crate::kill::{Event, Ledger, Promise, Tell, Work, Writer, found, kills, work};
use crate::safety::Folder;

clauses! {
    D7: "what is promised to outlive the loss of power outlives it, at any moment",
        "machines lose power; a file system then has only what was synced, in no order",
        [power_loss_keeps_what_was_synced if SYNCED_SURVIVES_POWER,
         power_loss_in_disorder if SYNCED_SURVIVES_POWER];
    D8: "a write that was torn is as if it had never begun",
        "the power goes in the middle of a write, and the store must open all the same",
        [torn_write if SYNCED_SURVIVES_POWER];
    D10: "a disk that is full or fails is told, loses nothing, and is recovered from",
        "a disk runs full one day, and a failed sync that is forgotten loses pins for good",
        [full_disk if PERSISTENT, failing_writes if PERSISTENT,
         failed_sync if SYNCED_SURVIVES_POWER];
}

/// The store's promise against the loss of power.
fn promise(cx: &Cx) -> Promise {
    let capabilities = cx.capabilities();
    Promise {
        acked: capabilities.ack_durability == Durability::Power,
        synced: capabilities.sync_durability == Durability::Power,
    }
}

/// A ledger that is told directly.
struct Book(Mutex<Ledger>);

impl Tell for Book {
    fn tell(&self, event: Event) {
        self.0.lock().hear(&event);
    }
}

async fn power_loss_keeps_what_was_synced(cx: Cx) -> Checked {
    lose_power(&cx, |_| Loss::Unsynced).await
}

async fn power_loss_in_disorder(cx: Cx) -> Checked {
    lose_power(&cx, |seed| Loss::Some { seed }).await
}

async fn torn_write(cx: Cx) -> Checked {
    lose_power(&cx, |seed| Loss::Torn { seed }).await
}

/// What was left at one moment, and what may be there.
struct Left {
    folder: Folder,
    ledger: Ledger,
    loss: Loss,
    /// The number of the sync that it was taken before.
    sync: u64,
}

/// What was noted while writers wrote.
#[derive(Default)]
struct Collected {
    syncs: u64,
    taken: Vec<Left>,
    failure: Option<Violation>,
}

/// Lets writers write on a disk, notes at some of its syncs what would be left, and opens
/// each of those.
async fn lose_power(cx: &Cx, loss: fn(u64) -> Loss) -> Checked {
    let disk = cx.disk()?;
    let site = cx.site_in(disk.path())?;
    let most = usize::try_from(kills() * 2).unwrap_or(usize::MAX);
    let book = Arc::new(Book(Mutex::new(Ledger::new(promise(cx)))));
    let left: Arc<Mutex<Collected>> = Arc::default();
    {
        let (book, left, cx) = (Arc::clone(&book), Arc::clone(&left), cx.clone());
        let mut random = cx.rng();
        disk.before_each_sync(Some(Box::new(move |platter| {
            let Collected { syncs, taken, failure } = &mut *left.lock();
            *syncs += 1;
            // Each of so many as likely as any other, however many there will be.
            let place = match taken.len() {
                few if few < most => few,
                _ => random.usize(..usize::try_from(*syncs).unwrap_or(usize::MAX)),
            };
            if place >= most {
                return;
            }
            let loss = loss(random.u64(..));
            let ledger = book.0.lock().clone();
            let one = cx.folder().and_then(|folder| {
                platter.after(loss, folder.path()).map_err(|error| {
                    Violation::new(format!("what is left cannot be written: {error}"))
                })?;
                Ok(Left { folder, ledger, loss, sync: *syncs })
            });
            match one {
                Ok(one) => match taken.get_mut(place) {
                    Some(before) => *before = one,
                    None => taken.push(one),
                },
                Err(violation) => *failure = Some(violation),
            }
        })));
    }
    let store = cx.dressed(site.open().await?);
    let mut writers = vec![
        Writer::Mixed { sync_every: Some(4) },
        Writer::Deletes { sync_every: Some(3) },
        Writer::Namespaces,
        Writer::Control,
    ];
    if cx.capabilities().atomic_batch {
        writers.push(Writer::Together { sync_every: Some(5) });
    }
    let orders = Work { seed: cx.seed, after: 0, writers, steps: Some(14) };
    work(Arc::clone(&store), orders, Arc::clone(&book)).await?;
    store.close().await?;
    disk.before_each_sync(None);
    drop(store);
    // And once after the last: closing is no sync, unless the store makes it one.
    let folder = cx.folder()?;
    let mut copied = Ok(());
    disk.look(&mut |platter| copied = platter.after(Loss::Unsynced, folder.path()));
    copied.map_err(|error| Violation::new(format!("what is left cannot be written: {error}")))?;
    let Collected { syncs, taken: mut all, failure } = std::mem::take(&mut *left.lock());
    if let Some(violation) = failure {
        return Err(violation);
    }
    holds(syncs > 0, || "power is promised, and nothing was ever synced".to_owned())?;
    let ledger = book.0.lock().clone();
    holds(ledger.promises_something(), || "nothing was promised".to_owned())?;
    all.push(Left { folder, ledger, loss: Loss::Unsynced, sync: syncs + 1 });
    for one in all {
        let what = format!("power lost before sync {} of {syncs}, {:?}", one.sync, one.loss);
        reopen(cx, one).await.map_err(|violation| violation.within(&what))?;
    }
    Ok(())
}

/// Opens what was left, twice: the second time nothing more may be missing.
async fn reopen(cx: &Cx, Left { folder, mut ledger, .. }: Left) -> Checked {
    for time in ["first", "second"] {
        let site = cx.site_in(folder.path())?;
        let store = cx.dressed(site.open().await.map_err(|error| {
            Violation::new(format!("the store does not open the {time} time: {error}"))
        })?);
        let found = found(&*store).await?;
        ledger.check(&found).map_err(|what| Violation::new(format!("opened {time}: {what}")))?;
        store.close().await?;
    }
    Ok(())
}

/// A store on a disk of its own that can be made to fail.
struct Failing {
    cx: Cx,
    // Before the disk, so that they are dropped before it.
    store: Arc<dyn Store>,
    rows: Arc<dyn pinstate_core::Namespace>,
    name: pinstate_core::NamespaceName,
    ledger: Ledger,
    next: u64,
    disk: Box<dyn Disk>,
}

/// The sizes of values: one that engines keep with others, and one that some keep apart.
const SIZES: [usize; 2] = [900, 40_000];

impl Failing {
    async fn new(cx: &Cx, promise: Promise) -> Checked<Self> {
        let disk = cx.disk()?;
        let store = cx.dressed(cx.site_in(disk.path())?.open().await?);
        let name = cx.name()?;
        store.create_namespace(&name).await?;
        let rows = store.open_namespace(&name).await?;
        let ledger = Ledger::new(promise);
        Ok(Self { cx: cx.clone(), store, rows, name, ledger, next: 1, disk })
    }

    /// One put, of which the ledger is told.
    async fn put(&mut self, size: usize) -> pinstate_core::Result<()> {
        let n = self.next;
        self.next += 1;
        let (key, token) = (format!("k{n:06}"), crate::kill::token(n, size));
        let value = crate::kill::value(&token);
        self.ledger.hear(&Event::Intent { n, changes: vec![(key.clone(), Some(token))] });
        let version = Version(i64::try_from(n).unwrap_or(i64::MAX));
        let put = Put::new(Key::copy_from(key.as_bytes()), value, version);
        match self.rows.put(put, WriteOptions::new()).await {
            Ok(_) => self.ledger.hear(&Event::Ack { n, firm: false }),
            Err(error) => {
                if error.outcome() == Outcome::NotApplied {
                    self.ledger.hear(&Event::NotApplied(n));
                }
                return Err(error);
            }
        }
        Ok(())
    }

    async fn sync(&mut self) -> pinstate_core::Result<()> {
        let id = self.next;
        self.next += 1;
        self.ledger.hear(&Event::Syncing(id));
        self.store.sync().await?;
        self.ledger.hear(&Event::Synced(id));
        Ok(())
    }

    /// Writes until it fails, or until barriers do; gives the failure.
    async fn until_failure(&mut self) -> Checked<pinstate_core::Error> {
        for i in 0..1_000 {
            let size = SIZES.get(usize::from(i % 16 == 15)).copied().unwrap_or(0);
            if let Err(error) = self.put(size).await {
                return Ok(error);
            }
            if i % 8 == 7
                && let Err(error) = self.sync().await
            {
                return Ok(error);
            }
        }
        Err(Violation::new("a disk that fails: expected an error, and all was acknowledged"))
    }

    /// What was acknowledged can be read, or it is said that it cannot: never is it absent.
    async fn reads(&self) -> Checked {
        for n in [1, 2, 3] {
            let key = Key::copy_from(format!("k{n:06}").as_bytes());
            if let Ok(record) = self.rows.get(&key, ReadOptions::new()).await {
                let record = some("a record while the disk fails", record)?;
                same(
                    "a record while the disk fails",
                    crate::kill::token_of(&record.value).map(|_| ()),
                    Ok(()),
                )?;
            }
        }
        Ok(())
    }

    /// What is there is what may be there, and from here on exactly that.
    async fn compare(&mut self) -> Checked {
        let rows = crate::kill::rows(&*self.store, self.name.as_str()).await?;
        let rows = some("the namespace once the disk is well again", rows)?;
        self.ledger
            .check(&rows)
            .map_err(|what| Violation::new(format!("once the disk is well again: {what}")))
    }

    /// After the disk is well again: the store works, at the latest when it is opened anew,
    /// and everything acknowledged is there.
    async fn recovers(mut self) -> Checked {
        self.disk.fail(None);
        // A store that a failed write has poisoned may say so once more.
        let _ = self.store.close().await;
        let site = self.cx.site_in(self.disk.path())?;
        self.store = self.cx.dressed(site.open().await.map_err(|error| {
            Violation::new(format!("once the disk is well again the store does not open: {error}"))
        })?);
        self.rows = self.store.open_namespace(&self.name).await?;
        self.compare().await?;
        self.put(900).await.map_err(|error| {
            Violation::new(format!("once the disk is well again a put fails: {error}"))
        })?;
        self.sync().await?;
        self.compare().await?;
        self.store.close().await?;
        Ok(())
    }
}

/// What outlives a failed write: the store may have to be opened anew, as after a kill.
fn reopened(cx: &Cx) -> Promise {
    Promise { acked: cx.capabilities().ack_durability != Durability::None, synced: true }
}

async fn full_disk(cx: Cx) -> Checked {
    for room in [40_000, 700_000] {
        let mut failing = Failing::new(&cx, reopened(&cx)).await?;
        for _ in 0..5 {
            failing.put(900).await?;
        }
        failing.sync().await?;
        failing.disk.fail(Some(Fault::Full { room }));
        let error = failing.until_failure().await?;
        same("the kind of failure on a full disk", error.kind(), ErrorKind::Full)
            .map_err(|violation| violation.within(&error.to_string()))?;
        failing.reads().await?;
        failing.recovers().await?;
    }
    Ok(())
}

async fn failing_writes(cx: Cx) -> Checked {
    let mut failing = Failing::new(&cx, reopened(&cx)).await?;
    for _ in 0..5 {
        failing.put(900).await?;
    }
    failing.sync().await?;
    failing.disk.fail(Some(Fault::WritesFail));
    let error = failing.until_failure().await?;
    holds(matches!(error.kind(), ErrorKind::Io | ErrorKind::Closed), || {
        format!("writes that fail: expected an error of kind 'input or output failed', got {error}")
    })?;
    failing.reads().await?;
    failing.recovers().await
}

async fn failed_sync(cx: Cx) -> Checked {
    for after in 0..4 {
        let mut failing = Failing::new(&cx, promise(&cx)).await?;
        failing.put(900).await?;
        failing.sync().await?;
        failing.disk.fail(Some(Fault::SyncFails { after }));
        // Longer than a page, so that what a failed sync has lost is not written again with
        // what comes after it.
        for size in [9_000, 900].into_iter().cycle().take(12) {
            // What fails is not promised, and that is all that is asked of it.
            let _ = failing.put(size).await;
            let _ = failing.sync().await;
        }
        let Failing { store, rows, ledger, disk, name, .. } = failing;
        let folder = cx.folder()?;
        let mut copied = Ok(());
        disk.look(&mut |platter| copied = platter.after(Loss::Unsynced, folder.path()));
        copied.map_err(|error| Violation::new(format!("cannot copy what is left: {error}")))?;
        drop(rows);
        let _ = store.close().await;
        drop(store);
        let store = cx.dressed(cx.site_in(folder.path())?.open().await.map_err(|error| {
            Violation::new(format!(
                "the sync after {after} others failed; power lost: the store does not open: {error}"
            ))
        })?);
        let rows = crate::kill::rows(&*store, name.as_str()).await?.unwrap_or_default();
        let mut ledger = ledger;
        ledger.check(&rows).map_err(|what| {
            Violation::new(format!("the sync after {after} others failed; power lost: {what}"))
        })?;
        store.close().await?;
    }
    Ok(())
}

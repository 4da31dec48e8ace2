//! The parent's side: starting a child, listening, killing it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::Arc;
use std::time::Duration;

use pinstate_core::{Capabilities, Durability, Error, ErrorKind, Operation, Store};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::event::{Event, heard};
use super::ledger::{Ledger, Promise};
use super::orders::{Orders, Task, is_child};
use super::work::{Work, Writer, found};
use crate::case::Cx;
use crate::check::{Checked, Violation};
use crate::plug::Site;
use crate::safety::Folder;

/// The variable that sets how often the storm kills.
const KILLS: &str = "PINSTATE_CONFORMANCE_KILLS";
/// How often it kills otherwise.
const FEW: u64 = 5;

/// How often a storm kills.
pub(crate) fn kills() -> u64 {
    std::env::var(KILLS).ok().and_then(|text| text.parse().ok()).unwrap_or(FEW).max(1)
}

/// What a store of these capabilities promises to outlive the death of its process.
pub(crate) fn promise(capabilities: &Capabilities) -> Promise {
    Promise {
        acked: capabilities.ack_durability != Durability::None,
        synced: capabilities.sync_durability != Durability::None,
    }
}

/// A store in a folder, which other processes open and are killed in.
pub(crate) struct Scene {
    cx: Cx,
    // Before the folder, so that it is dropped before it.
    site: Box<dyn Site>,
    folder: Folder,
}

impl Scene {
    pub(crate) fn new(cx: &Cx) -> Checked<Self> {
        let folder = cx.folder()?;
        let site = cx.site_in(folder.path())?;
        Ok(Self { cx: cx.clone(), site, folder })
    }

    /// Opens the store in this process, under the layers of the leg.
    pub(crate) async fn open(&self) -> pinstate_core::Result<Arc<dyn Store>> {
        Ok(self.cx.dressed(self.site.open().await?))
    }

    /// Starts a child.
    pub(crate) async fn child(&self, task: Task) -> Checked<Victim> {
        Victim::start(&self.cx, self.folder.path(), task).await
    }

    /// Opens the store after a crash, and compares it with what may be there.
    pub(crate) async fn judge(&self, ledger: &mut Ledger) -> Checked {
        let store = self.open().await.map_err(|error| {
            Violation::new(format!("after the crash the store does not open: {error}"))
        })?;
        let found = found(&*store).await?;
        store.close().await?;
        ledger.check(&found).map_err(|what| Violation::new(format!("after the crash: {what}")))
    }
}

/// When a child is killed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum When {
    /// So long after it began to open the store.
    Opening(Duration),
    /// As soon as the store is open.
    Opened,
    /// When it has told of so many acknowledgements.
    Acked(u64),
    /// So long after that: in the middle of what comes next.
    After(u64, Duration),
}

/// Writers that are killed again and again in one store, each time where `when` says, and
/// after each kill what is there is compared.
pub(crate) async fn storm(
    cx: &Cx,
    writers: &[Writer],
    kills: u64,
    mut when: impl FnMut(u64, &mut fastrand::Rng) -> When,
) -> Checked {
    let scene = Scene::new(cx)?;
    let mut ledger = Ledger::new(promise(cx.capabilities()));
    let mut random = cx.rng();
    for kill in 0..kills {
        let work = Work {
            seed: random.u64(..),
            // More than a child can write before it is killed.
            after: kill * 1_000_000_000,
            writers: writers.to_vec(),
            steps: None,
        };
        let when = when(kill, &mut random);
        let victim = scene.child(Task::Write(work)).await?;
        victim.kill_when(when, &mut ledger).await?;
        let judged = scene.judge(&mut ledger).await;
        judged.map_err(|violation| {
            let what = format!("kill {} of {kills}, {when:?}", kill + 1);
            violation.within(&what)
        })?;
    }
    if ledger.acks() == 0 {
        return Err(harness("no child had anything acknowledged before it was killed"));
    }
    Ok(())
}

/// A child that is there to be killed, which it is at the latest when this is dropped.
pub(crate) struct Victim {
    child: Child,
    events: UnboundedReceiver<Event>,
    // Closing it would end the child.
    _stdin: Option<ChildStdin>,
}

impl Drop for Victim {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Victim {
    async fn start(cx: &Cx, folder: &Path, task: Task) -> Checked<Self> {
        if is_child() {
            return Err(harness(
                "a child of the suite runs the suite: the program must ask Child::summoned first",
            ));
        }
        let orders = Orders {
            backend: cx.backend().to_owned(),
            leg: cx.leg().to_owned(),
            folder: folder.to_owned(),
            task,
        };
        let failed = |error: std::io::Error| harness(&format!("no child: {error}"));
        let mut command = orders.command().map_err(failed)?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(failed)?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let (sender, events) = unbounded_channel();
        // Ends with the child, which is killed when this is dropped.
        std::thread::spawn(move || {
            let Some(stdout) = stdout else { return };
            for line in BufReader::new(stdout).split(b'\n') {
                let Ok(line) = line else { return };
                let event = heard(&String::from_utf8_lossy(&line));
                if event.is_some_and(|event| sender.send(event).is_err()) {
                    return;
                }
            }
        });
        Ok(Self { child, events, _stdin: stdin })
    }

    /// The next thing that it tells; `None` once it is dead.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        self.events.recv().await
    }

    /// Waits until it has opened the store, or tells why not: the kind of the error, and
    /// all of it.
    pub(crate) async fn opened(&mut self) -> Checked<Result<(), (String, String)>> {
        loop {
            match self.next().await {
                Some(Event::Opening) => {}
                Some(Event::Opened) => return Ok(Ok(())),
                Some(Event::NotOpened(kind, error)) => return Ok(Err((kind, error))),
                Some(Event::Broken(what)) => return Err(Violation::new(what)),
                Some(other) => return Err(harness(&format!("a child told {other:?} too early"))),
                None => {
                    return Err(harness(
                        "a child ended before it opened the store: a program that runs the suite \
                         must begin with Suite::main, or ask Child::summoned first",
                    ));
                }
            }
        }
    }

    /// Kills it with the signal that no process can catch, and waits for its end.
    pub(crate) fn kill(&mut self) {
        // It fails for one that is dead already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    async fn kill_when(mut self, when: When, ledger: &mut Ledger) -> Checked {
        let before = ledger.acks();
        if let When::Opening(after) = when {
            match self.next().await {
                Some(Event::Opening) => tokio::time::sleep(after).await,
                other => return Err(harness(&format!("a child began with {other:?}"))),
            }
        } else {
            self.opened().await?.map_err(|(_, error)| {
                Violation::new(format!("a child cannot open the store: {error}"))
            })?;
            let (enough, after) = match when {
                When::Acked(acks) => (before + acks, Duration::ZERO),
                When::After(acks, after) => (before + acks, after),
                _ => (0, Duration::ZERO),
            };
            while ledger.acks() < enough {
                match self.next().await {
                    Some(Event::Broken(what)) => return Err(Violation::new(what)),
                    Some(event) => ledger.hear(&event),
                    None => return Err(Violation::new("a child died before it was killed")),
                }
            }
            tokio::time::sleep(after).await;
        }
        self.kill();
        // What it still told before it died.
        while let Some(event) = self.next().await {
            match event {
                Event::Broken(what) => return Err(Violation::new(what)),
                event => ledger.hear(&event),
            }
        }
        Ok(())
    }
}

/// The suite could not do its part.
#[track_caller]
fn harness(what: &str) -> Violation {
    let error = Error::new(ErrorKind::Internal, Operation::Open, "the suite's child processes");
    Violation::harness(what, &error)
}

//! Ctrl-C: the first one asks the work to stop at a record boundary, the second one ends
//! the program at once. And SIGHUP, which has services read their configuration anew.

use std::io::{IsTerminal, Write};
#[cfg(feature = "otlp")]
use std::sync::atomic::{AtomicBool, Ordering};

use pinstate_core::transfer::StopFlag;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit::Exit;

/// Whether a command watches for Ctrl-C itself.
#[cfg(feature = "otlp")]
static WATCHED: AtomicBool = AtomicBool::new(false);

/// Watches for Ctrl-C (and SIGTERM, which service managers send) from now on. Where the
/// system does not let itself be watched, a signal ends the program as it always did.
pub(crate) fn watch() -> StopFlag {
    let flag = StopFlag::new();
    #[cfg(feature = "otlp")]
    WATCHED.store(true, Ordering::Relaxed);
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return flag;
    };
    let stop = flag.clone();
    tokio::spawn(async move {
        either(&mut interrupt, &mut terminate).await;
        stop.stop();
        // Nobody may be there to read it.
        let _ = writeln!(
            std::io::stderr(),
            "interrupted: stopping at the next record; interrupt again to end at once"
        );
        either(&mut interrupt, &mut terminate).await;
        std::process::exit(Exit::Interrupted as i32);
    });
    flag
}

/// Does something before Ctrl-C ends a command that does not watch for it.
#[cfg(feature = "otlp")]
pub(crate) fn before_the_end(last: impl FnOnce() + Send + 'static) {
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return;
    };
    tokio::spawn(async move {
        either(&mut interrupt, &mut terminate).await;
        if !WATCHED.load(Ordering::Relaxed) {
            last();
            std::process::exit(Exit::Interrupted as i32);
        }
    });
}

/// Does something at every SIGHUP, until the guard is dropped. Where stderr is a terminal the
/// signal ends the program as it always did: the terminal was closed.
pub(crate) fn at_hangup(again: impl Fn() + Send + 'static) -> Option<AtHangup> {
    if std::io::stderr().is_terminal() {
        return None;
    }
    let mut hangup = signal(SignalKind::hangup()).ok()?;
    Some(AtHangup(tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            again();
        }
    })))
}

/// Ends what is done at SIGHUP.
#[derive(Debug)]
pub(crate) struct AtHangup(tokio::task::JoinHandle<()>);

impl Drop for AtHangup {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn either(one: &mut Signal, other: &mut Signal) {
    tokio::select! {
        _ = one.recv() => {}
        _ = other.recv() => {}
    }
}

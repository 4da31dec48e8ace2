//! Ctrl-C: the first one asks the work to stop at a record boundary, the second one ends
//! the program at once.

use std::io::Write;

use pinstate_core::transfer::StopFlag;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit::Exit;

/// Watches for Ctrl-C (and SIGTERM, which service managers send) from now on. Where the
/// system does not let itself be watched, a signal ends the program as it always did.
pub(crate) fn watch() -> StopFlag {
    let flag = StopFlag::new();
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

async fn either(one: &mut Signal, other: &mut Signal) {
    tokio::select! {
        _ = one.recv() => {}
        _ = other.recv() => {}
    }
}

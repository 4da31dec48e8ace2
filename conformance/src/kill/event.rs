//! What a writer tells while it works, and where it tells it.

use std::io::Write;

use serde::{Deserialize, Serialize};

/// One write: a key, and the token of the value that it gets, or none for a delete.
pub(crate) type Change = (String, Option<String>);

/// One thing that a writer tells: as a line of a pipe, or straight into the ledger.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Event {
    /// The store is about to be opened.
    Opening,
    /// The store is open.
    Opened,
    /// The store would not open: the kind of the error, and all of it.
    NotOpened(String, String),
    /// Write number `n` is about to begin.
    Intent { n: u64, changes: Vec<Change> },
    /// It was acknowledged; `firm` where that alone promises the level of a barrier.
    Ack { n: u64, firm: bool },
    /// It failed, and was certainly not applied.
    NotApplied(u64),
    /// A barrier with this number is about to begin.
    Syncing(u64),
    /// It was acknowledged.
    Synced(u64),
    /// Something went wrong that should not.
    Broken(String),
    /// The work is done.
    Done,
}

/// Where a writer tells what it does.
pub(crate) trait Tell: Send + Sync + 'static {
    /// Told when this returns: whatever befalls the writer after that.
    fn tell(&self, event: Event);
}

/// What each line begins with, so that nothing that a backend prints is taken for one.
const MARK: &str = "@pinstate-child ";

/// Tells through the standard output.
pub(crate) struct Pipe;

impl Tell for Pipe {
    fn tell(&self, event: Event) {
        let Ok(text) = serde_json::to_string(&event) else { std::process::exit(3) };
        let mut out = std::io::stdout().lock();
        // Nobody listens any more: the parent is gone.
        if writeln!(out, "{MARK}{text}").and_then(|()| out.flush()).is_err() {
            std::process::exit(3);
        }
    }
}

/// The event that a line of a child tells, if it tells one. What a kill has cut off tells
/// none.
pub(crate) fn heard(line: &str) -> Option<Event> {
    let (_, text) = line.split_once(MARK)?;
    serde_json::from_str(text).ok()
}

/// A token for write number `n`, which stands for a value of about this many bytes.
pub(crate) fn token(n: u64, size: usize) -> String {
    format!("{n}.{size}")
}

/// The value that a token stands for.
pub(crate) fn value(token: &str) -> Vec<u8> {
    let size = token.split_once('.').and_then(|(_, size)| size.parse().ok()).unwrap_or(0);
    let mut value = format!("{token}|").into_bytes();
    let filler = token.bytes().next_back().unwrap_or(b'x');
    value.resize(value.len() + size, filler);
    value
}

/// The token of a value that a writer wrote; what it did not write is told as it is.
pub(crate) fn token_of(bytes: &[u8]) -> Result<String, String> {
    let text = String::from_utf8_lossy(bytes);
    match text.split_once('|') {
        Some((token, _)) if value(token) == bytes => Ok(token.to_owned()),
        _ => {
            let begin: String = text.chars().take(40).collect();
            Err(format!("a value of {} bytes that nobody wrote: {begin:?}", bytes.len()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_known_by_their_tokens_and_half_ones_are_not() {
        for size in [0, 1, 300] {
            let token = token(17, size);
            let bytes = value(&token);
            assert_eq!(token_of(&bytes), Ok(token));
            assert!(token_of(&bytes[..bytes.len() - 1]).is_err());
        }
        assert!(token_of(b"").is_err());
    }

    #[test]
    fn a_line_that_was_cut_off_tells_nothing() {
        let event = Event::Ack { n: 3, firm: false };
        let line = format!("noise{MARK}{}", serde_json::to_string(&event).unwrap());
        assert_eq!(heard(&line), Some(event));
        assert_eq!(heard(&line[..line.len() - 1]), None);
        assert_eq!(heard("noise"), None);
    }
}

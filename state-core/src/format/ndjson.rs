//! Exports: one JSON document for each pin, as `ipfs-cluster-service state export` makes
//! them.
//!
//! Written is one document a line. Read is a stream: documents with any white space
//! between them or none, spread over lines or not. What a document may say, and what of it
//! a strict reader refuses, is told in the table of [`crate::pin::json`].
//!
//! A fault in a value does not hide where its document ends, so the next one is read as
//! if nothing had happened. After a document that is no JSON the reader goes on at the next
//! line that begins with `{`, or at the end; all that it passes is the faulty entry's
//! `raw`. If no such line comes within [`WINDOW`] bytes, or if the input ends within the
//! document, there is no going on.

use std::borrow::Cow;

use bytes::Bytes;

use super::{Decoder, Encoder, Entry, Fault, Leniency, Position};
use crate::pin::{ImportOverrides, JsonReader, JsonWriter, PinView, Read, Zone};

/// How many bytes are searched for the next document after a syntax error.
pub const WINDOW: usize = 1 << 20;

/// How many bytes a document may take, so that an input that is no export (pins wrapped in
/// one large object, say) does not fill the memory before it is refused. Go has no limit.
pub const LONGEST: usize = 16 << 20;

/// Writes an export.
pub struct NdjsonEncoder {
    writer: JsonWriter,
}

impl NdjsonEncoder {
    /// An encoder that shows times in `zone`.
    pub fn new(zone: Zone) -> Self {
        Self { writer: JsonWriter::new(zone) }
    }
}

impl Encoder for NdjsonEncoder {
    fn encode(&mut self, key: &[u8], value: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        self.writer.write(&PinView::new(key, value)?, out)?;
        out.push(b'\n');
        Ok(())
    }
}

/// Reads an export.
pub struct NdjsonDecoder {
    reader: JsonReader,
    /// Where the next entry begins, or was begun.
    next: Position,
    pending: Option<Pending>,
    ended: bool,
}

impl NdjsonDecoder {
    /// A decoder that is as lenient as told and sets `overrides` in each pin.
    pub fn new(leniency: Leniency, overrides: ImportOverrides) -> Self {
        Self {
            reader: JsonReader::new(leniency, overrides),
            next: Position { ordinal: 1, line: 1, offset: 0 },
            pending: None,
            ended: false,
        }
    }

    /// Counts bytes as used up.
    fn pass(&mut self, bytes: &[u8]) {
        self.next.line += memchr::memchr_iter(b'\n', bytes).count() as u64;
        self.next.offset += bytes.len() as u64;
    }

    /// Reads the entry at the start of `rest`; `None` if more bytes are needed.
    fn entry(&mut self, rest: &[u8], at_end: bool) -> Option<(usize, Entry)> {
        let (len, body, let_through) = match self.reader.read(rest, at_end) {
            Read::Document { len, body, let_through } => (len, body, let_through),
            Read::Incomplete if !at_end && rest.len() < LONGEST => {
                self.pending = Some(Pending::at(rest));
                return None;
            }
            Read::Incomplete => {
                let reason = if at_end {
                    "the input ends within this pin; it was cut short"
                } else {
                    "this is longer than the 16 MiB that a pin may take"
                };
                let found = next_line(rest);
                let fault = self.not_json(reason, None, found.is_some());
                (found.unwrap_or(rest.len()), Err(fault), Vec::new())
            }
            Read::Syntax { at, expected } => {
                let (len, fault) = self.syntax_error(rest, at, expected, at_end)?;
                (len, Err(fault), Vec::new())
            }
        };
        let body = body.map_err(|mut fault| {
            fault.offset = fault.offset.map(|offset| self.next.offset + offset);
            fault
        });
        let raw = match (&body, rest.get(..len)) {
            (Err(_), Some(raw)) => Bytes::copy_from_slice(raw),
            _ => Bytes::new(),
        };
        let entry = Entry { at: self.next, body, raw, let_through };
        Some((len, entry))
    }

    /// Looks for the document after one that is no JSON: the bytes before it, and the fault.
    fn syntax_error(
        &mut self,
        rest: &[u8],
        at: usize,
        expected: &'static str,
        at_end: bool,
    ) -> Option<(usize, Fault)> {
        let reason = match rest {
            [0xef, 0xbb, 0xbf, ..] => {
                "a byte order mark, which is no JSON; remove the first three bytes".to_owned()
            }
            _ => format!("this is no JSON: expected {expected}"),
        };
        let found = next_line(rest);
        let far = rest.len() >= WINDOW;
        if found.is_none() && !far && !at_end {
            self.pending = Some(Pending::until(rest.len() * 2));
            return None;
        }
        let fault = self.not_json(reason, Some(at), found.is_some() || !far);
        Some((found.unwrap_or(rest.len()), fault))
    }

    /// A fault of the whole document, after which nothing is read unless `recoverable`.
    fn not_json(
        &mut self,
        reason: impl Into<Cow<'static, str>>,
        at: Option<usize>,
        recoverable: bool,
    ) -> Fault {
        self.ended = !recoverable;
        Fault {
            field: "".into(),
            reason: reason.into(),
            offset: at.map(|at| at as u64),
            recoverable,
        }
    }
}

/// Where the next line begins that begins with `{`, if that is within the window.
///
/// It is looked for from the faulty document's start and not from where the fault showed:
/// a document that is cut after a colon swallows the next one before it fails.
fn next_line(rest: &[u8]) -> Option<usize> {
    let window = rest.get(..WINDOW).unwrap_or(rest);
    memchr::memchr_iter(b'\n', window)
        .map(|newline| newline + 1)
        .find(|&line| rest.get(line) == Some(&b'{'))
}

impl Decoder for NdjsonDecoder {
    fn decode(&mut self, input: &[u8], at_end: bool, limit: usize, out: &mut Vec<Entry>) -> usize {
        let mut rest = input;
        while !self.ended && out.len() < limit {
            let is_space = |byte: &&u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
            let (space, after) = rest.split_at(rest.iter().take_while(is_space).count());
            self.pass(space);
            rest = after;
            let ready = match &mut self.pending {
                Some(pending) => at_end || pending.ready(rest),
                None => true,
            };
            if rest.is_empty() || !ready {
                break;
            }
            self.pending = None;
            let Some((len, entry)) = self.entry(rest, at_end) else {
                break;
            };
            out.push(entry);
            let (used, after) = rest.split_at(len.min(rest.len()));
            self.pass(used);
            self.next.ordinal += 1;
            rest = after;
        }
        input.len() - rest.len()
    }
}

/// An entry whose end had not arrived: tells when to try again, so that a long document
/// that comes in small pieces is not read from its start with each of them.
struct Pending {
    /// Try once so many bytes are there.
    enough: usize,
    /// How far the search for the closing bracket has come; `None` if there is no such.
    scan: Option<Scan>,
}

struct Scan {
    passed: usize,
    depth: usize,
    in_string: bool,
    after_backslash: bool,
}

impl Pending {
    fn until(enough: usize) -> Self {
        Self { enough, scan: None }
    }

    fn at(rest: &[u8]) -> Self {
        let mut pending = Self::until((rest.len() * 2).min(LONGEST));
        let mut scan = Scan { passed: 0, depth: 0, in_string: false, after_backslash: false };
        scan.closes(rest);
        pending.scan = Some(scan);
        pending
    }

    fn ready(&mut self, rest: &[u8]) -> bool {
        rest.len() >= self.enough || self.scan.as_mut().is_some_and(|scan| scan.closes(rest))
    }
}

impl Scan {
    /// Whether the outermost bracket is closed in `rest`, whose first bytes are passed.
    fn closes(&mut self, rest: &[u8]) -> bool {
        for &byte in rest.get(self.passed..).unwrap_or_default() {
            self.passed += 1;
            if self.after_backslash {
                self.after_backslash = false;
                continue;
            }
            match byte {
                b'"' => self.in_string = !self.in_string,
                b'\\' => self.after_backslash = self.in_string,
                b'{' | b'[' if !self.in_string => self.depth += 1,
                b'}' | b']' if !self.in_string => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        return true;
                    }
                }
                // No string goes on over the end of a line.
                b'\n' if self.in_string => return true,
                _ => {}
            }
        }
        false
    }
}

//! `bench.json`.

use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Serializer;
use serde_json::ser::Formatter;

use crate::outcome::{Report, SCHEMA};

/// The report as JSON, for people to read as well.
///
/// # Errors
/// Never in practice: everything in it is text or a number.
pub(super) fn text(report: &Report) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    report.serialize(&mut Serializer::with_formatter(&mut text, Lines::default()))?;
    text.push(b'\n');
    Ok(text)
}

/// A line for each field, and one for all of a list of numbers: windows have thousands of them,
/// and with a line for each the file would be five times as large.
#[derive(Default)]
struct Lines {
    depth: usize,
    /// Whether what is open has lines of its own, for each that is.
    broken: Vec<bool>,
    /// In a list, before what is not known yet.
    in_list: bool,
}

impl Lines {
    fn open(&mut self) {
        self.depth += 1;
        self.broken.push(false);
    }

    fn close<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.depth -= 1;
        if self.broken.pop() == Some(true) {
            self.line(out)?;
        }
        Ok(())
    }

    fn line<W: ?Sized + Write>(&self, out: &mut W) -> io::Result<()> {
        write!(out, "\n{:1$}", "", self.depth * 2)
    }

    /// What comes next has a line of its own.
    fn next<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        if let Some(broken) = self.broken.last_mut() {
            *broken = true;
        }
        self.line(out)
    }

    /// An object or a text begins.
    fn large<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        if std::mem::take(&mut self.in_list) { self.next(out) } else { Ok(()) }
    }
}

impl Formatter for Lines {
    fn begin_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.large(out)?;
        self.open();
        out.write_all(b"{")
    }

    fn end_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.close(out)?;
        out.write_all(b"}")
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        if !first {
            out.write_all(b",")?;
        }
        self.next(out)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(b": ")
    }

    fn begin_string<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.large(out)?;
        out.write_all(b"\"")
    }

    fn begin_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.open();
        out.write_all(b"[")
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.in_list = true;
        out.write_all(if first { b"" } else { b"," })
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.in_list = false;
        Ok(())
    }

    fn end_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.close(out)?;
        out.write_all(b"]")
    }
}

/// Reads a report that [`write`](super::write) wrote.
///
/// # Errors
/// What the file system says; `InvalidData` where the file is no report, or one of a form that
/// this version does not know. Each names the file.
pub fn read(path: &Path) -> io::Result<Report> {
    #[derive(Deserialize)]
    struct Form {
        schema: u32,
    }
    let place = path.display();
    let refuse = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
    let text = std::fs::read_to_string(path)
        .map_err(|error| io::Error::new(error.kind(), format!("cannot read {place}: {error}")))?;
    let form: Form = serde_json::from_str(&text)
        .map_err(|error| refuse(format!("{place} is no report of a benchmark: {error}")))?;
    if form.schema != SCHEMA {
        let by = if form.schema > SCHEMA { "a newer" } else { "an older" };
        return Err(refuse(format!(
            "{place} was written by {by} version: it has the form {}, and this version reads the \
             form {SCHEMA}",
            form.schema
        )));
    }
    serde_json::from_str(&text)
        .map_err(|error| refuse(format!("the report {place} is damaged: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_numbers_stand_on_one_line() {
        let value = serde_json::json!({
            "a": [1, [2, 3], null, true],
            "b": [{"c": "d"}, {}, 5],
            "e": [],
            "f": ["x", "y"],
            "g": [[1, {"h": [4]}], 2, "z"],
        });
        let mut text = Vec::new();
        value.serialize(&mut Serializer::with_formatter(&mut text, Lines::default())).unwrap();
        let text = String::from_utf8(text).unwrap();
        let expected = r#"{
  "a": [1,[2,3],null,true],
  "b": [
    {
      "c": "d"
    },
    {},5
  ],
  "e": [],
  "f": [
    "x",
    "y"
  ],
  "g": [[1,
      {
        "h": [4]
      }
    ],2,
    "z"
  ]
}"#;
        assert_eq!(text, expected);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }
}

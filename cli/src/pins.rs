//! Pins as the program shows them.

use std::fmt::Write;

use pinstate_core::format::Fault;
use pinstate_core::pin::{Cid, JsonWriter, Origin, PeerId, PinView, UnixSeconds, Zone};
use pinstate_core::state::StoredPin;

use crate::exit::Outcome;
use crate::output::{Lines, Output};

/// How much of a pin is shown as text. JSON always has all of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Detail {
    /// One line.
    Line,
    /// Every field that is set, one a line.
    Full,
}

/// Shows many pins: in JSON the lines of an export, in UTC.
pub(crate) struct PinPrinter {
    out: Output,
    lines: Lines,
    json: JsonWriter,
    buffer: Vec<u8>,
    detail: Detail,
}

impl PinPrinter {
    /// A printer to stdout.
    pub(crate) fn new(out: Output, detail: Detail) -> Self {
        let json = JsonWriter::new(Zone::Utc);
        Self { out, lines: out.lines(), json, buffer: Vec::new(), detail }
    }

    /// Shows a pin. False where it cannot be shown, which was then reported.
    pub(crate) fn pin(&mut self, pin: &StoredPin) -> Outcome<bool> {
        match self.render(pin) {
            Ok(()) => self.lines.raw(&self.buffer).map(|()| true),
            Err(fault) => {
                self.lines.flush()?;
                self.out.unreadable(pin.key.as_bytes(), &fault);
                Ok(false)
            }
        }
    }

    /// Whatever else belongs between the pins.
    pub(crate) fn lines(&mut self) -> &mut Lines {
        &mut self.lines
    }

    /// Writes what is still collected.
    pub(crate) fn finish(self) -> Outcome<()> {
        self.lines.finish()
    }

    fn render(&mut self, pin: &StoredPin) -> Result<(), Fault> {
        self.buffer.clear();
        let view = pin.view()?;
        if self.out.is_json() {
            self.json.write(&view, &mut self.buffer)?;
        } else {
            let text = match self.detail {
                Detail::Line => line(&view),
                Detail::Full => full(&view),
            };
            self.buffer.extend_from_slice(text.as_bytes());
        }
        self.buffer.push(b'\n');
        Ok(())
    }
}

/// A pin in one line: CID, type, mode, replication, peers, name.
fn line(pin: &PinView<'_>) -> String {
    let mut text = format!(
        "{}  {}  {}  {}",
        pin.cid(),
        pin.pin_type(),
        pin.mode(),
        replication(pin.replication_factor_min(), pin.replication_factor_max()),
    );
    let peers = pin.allocations().len();
    let _ = write!(text, "  {peers} peer{}", if peers == 1 { "" } else { "s" });
    if !pin.name().is_empty() {
        let _ = write!(text, "  {}", printable(pin.name()));
    }
    if let Some(end) = pin.expire_at() {
        let _ = write!(text, "  until {end}");
    }
    text
}

/// A pin with every field that is set.
fn full(pin: &PinView<'_>) -> String {
    let mut text = pin.cid().to_string();
    let mut field = |name: &str, value: &str| {
        let _ = write!(text, "\n  {:<12} {value}", format!("{name}:"));
    };
    field("type", pin.pin_type().name());
    field("mode", pin.mode().name());
    if !matches!(pin.max_depth(), -1 | 0) {
        field("depth", &pin.max_depth().to_string());
    }
    if !pin.name().is_empty() {
        field("name", &printable(pin.name()));
    }
    field("replication", &replication(pin.replication_factor_min(), pin.replication_factor_max()));
    for peer in pin.allocations().filter_map(|bytes| PeerId::from_bytes(bytes).ok()) {
        field("allocation", &peer.to_string());
    }
    for (name, value) in pin.metadata() {
        field("meta", &format!("{}={}", printable(name), printable(value)));
    }
    for origin in pin.origins().filter_map(|bytes| Origin::from_bytes(bytes).ok()) {
        field("origin", &origin.to_string());
    }
    for (name, bytes) in [("reference", pin.reference()), ("update of", pin.pin_update())] {
        if let Some(cid) = bytes.and_then(|bytes| Cid::from_bytes(bytes).ok()) {
            field(name, &cid.to_string());
        }
    }
    if pin.shard_size() > 0 {
        field("shard size", &pin.shard_size().to_string());
    }
    for (name, time) in [("expires", pin.expire_at()), ("submitted", pin.timestamp())] {
        if let Some(time) = time {
            field(name, &UnixSeconds::to_string(&time));
        }
    }
    text
}

fn replication(min: i32, max: i32) -> String {
    match (min, max) {
        (-1, -1) => "everywhere".to_owned(),
        (0, 0) => "default".to_owned(),
        (min, max) if min == max => format!("{min}"),
        (min, max) => format!("{min}-{max}"),
    }
}

/// Text from a pin as it may be sent to a terminal: control characters escaped.
fn printable(text: &str) -> String {
    if !text.chars().any(char::is_control) {
        return text.to_owned();
    }
    let escape = |c: char| match c.is_control() {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    };
    text.chars().map(escape).collect()
}

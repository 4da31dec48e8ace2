//! One line of `ipfs-cluster-service state export`, byte for byte.

use crate::format::Fault;
use crate::pin::peer::ByteCache;
use crate::pin::time::{UnixSeconds, Zone, push_rfc3339};
use crate::pin::{PinView, base, cid, fault::fault, origin};

use super::escape::{push_bytes, push_string};

/// Writes pins as JSON documents.
///
/// A writer remembers the text of the peers it has met, so one writer should be used for
/// many pins.
pub struct JsonWriter {
    zone: Zone,
    peers: ByteCache,
    text: Vec<u8>,
}

impl JsonWriter {
    /// A writer that shows times in `zone`.
    pub fn new(zone: Zone) -> Self {
        Self { zone, peers: ByteCache::new(), text: Vec::new() }
    }

    /// Appends the pin's document, without a newline.
    ///
    /// # Errors
    /// If a time is outside the years 0 to 9999 in the writer's zone: JSON has no text for
    /// it. `out` is then as it was.
    pub fn write(&mut self, pin: &PinView<'_>, out: &mut Vec<u8>) -> Result<(), Fault> {
        let start = out.len();
        let written = self.document(pin, out);
        if written.is_err() {
            out.truncate(start);
        }
        written
    }

    fn document(&mut self, pin: &PinView<'_>, out: &mut Vec<u8>) -> Result<(), Fault> {
        let mut number = itoa::Buffer::new();
        out.extend_from_slice(b"{\"replication_factor_min\":");
        out.extend_from_slice(number.format(pin.replication_factor_min()).as_bytes());
        out.extend_from_slice(b",\"replication_factor_max\":");
        out.extend_from_slice(number.format(pin.replication_factor_max()).as_bytes());
        out.extend_from_slice(b",\"name\":");
        push_string(pin.name(), out);
        out.extend_from_slice(b",\"mode\":\"");
        out.extend_from_slice(pin.mode().name().as_bytes());
        out.extend_from_slice(b"\",\"shard_size\":");
        out.extend_from_slice(number.format(pin.shard_size()).as_bytes());
        out.extend_from_slice(b",\"user_allocations\":null,\"expire_at\":");
        self.time("expire_at", pin.expire_at(), out)?;
        out.extend_from_slice(b",\"metadata\":");
        metadata(pin, out);
        out.extend_from_slice(b",\"pin_update\":");
        optional_cid(pin.pin_update(), out);
        out.extend_from_slice(b",\"origins\":[");
        self.origins(pin, out);
        out.extend_from_slice(b"],\"cid\":");
        optional_cid(Some(pin.key()), out);
        out.extend_from_slice(b",\"type\":\"");
        out.extend_from_slice(pin.pin_type().name().as_bytes());
        out.extend_from_slice(b"\",\"allocations\":[");
        self.allocations(pin, out);
        out.extend_from_slice(b"],\"max_depth\":");
        out.extend_from_slice(number.format(pin.max_depth()).as_bytes());
        out.extend_from_slice(b",\"reference\":");
        optional_cid(pin.reference(), out);
        out.extend_from_slice(b",\"timestamp\":");
        self.time("timestamp", pin.timestamp(), out)?;
        out.push(b'}');
        Ok(())
    }

    fn time(
        &self,
        field: &'static str,
        time: Option<UnixSeconds>,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let Some(time) = time else {
            // Go's zero time has no zone: it reads the same everywhere.
            out.extend_from_slice(b"\"0001-01-01T00:00:00Z\"");
            return Ok(());
        };
        out.push(b'"');
        push_rfc3339(time, &self.zone, out).map_err(|no_text| fault(field, no_text.reason))?;
        out.push(b'"');
        Ok(())
    }

    fn allocations(&mut self, pin: &PinView<'_>, out: &mut Vec<u8>) {
        for (index, peer) in pin.allocations().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            let quoted = self.peers.get_or(peer, |peer| {
                let mut quoted = vec![b'"'];
                base::push_base58(peer, &mut quoted);
                quoted.push(b'"');
                Some(quoted)
            });
            out.extend_from_slice(quoted.unwrap_or_default());
        }
    }

    fn origins(&mut self, pin: &PinView<'_>, out: &mut Vec<u8>) {
        for (index, bytes) in pin.origins().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            self.text.clear();
            origin::push_text(bytes, &mut self.text);
            push_bytes(&self.text, out);
        }
    }
}

fn metadata(pin: &PinView<'_>, out: &mut Vec<u8>) {
    let mut open = b'{';
    for (key, value) in pin.metadata() {
        out.push(open);
        open = b',';
        push_string(key, out);
        out.push(b':');
        push_string(value, out);
    }
    match open {
        b',' => out.push(b'}'),
        _ if pin.has_metadata_map() => out.extend_from_slice(b"{}"),
        _ => out.extend_from_slice(b"null"),
    }
}

fn optional_cid(bytes: Option<&[u8]>, out: &mut Vec<u8>) {
    match bytes {
        None => out.extend_from_slice(b"null"),
        Some(bytes) => {
            out.push(b'"');
            cid::push_text(bytes, out);
            out.push(b'"');
        }
    }
}

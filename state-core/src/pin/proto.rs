//! The stored value of a pin, written as ipfs-cluster v1.1.6 writes it.
//!
//! Source: `api/pb/types.proto` and `Pin.ProtoMarshal` there. Fields ascend, zero numbers
//! and empty bytes are left out, the options are always present even when empty, and
//! metadata is a list sorted by the keys' bytes instead of a map.

use super::wire::{
    bytes_len, number_len, push_bytes, push_number, push_varint, varint_len, zigzag,
};
use super::{Cid, Pin, UnixSeconds};

/// Everything that the stored value says, as it is to be written.
#[derive(Clone, Copy, Default)]
pub(crate) struct Parts<'a> {
    pub(crate) cid: &'a [u8],
    pub(crate) pin_type: u8,
    /// The allocations' fields, ready made.
    pub(crate) allocations: &'a [u8],
    pub(crate) max_depth: i32,
    pub(crate) reference: &'a [u8],
    pub(crate) timestamp: u64,
    pub(crate) replication_factor_min: i32,
    pub(crate) replication_factor_max: i32,
    pub(crate) name: &'a [u8],
    pub(crate) shard_size: u64,
    pub(crate) pin_update: &'a [u8],
    pub(crate) expire_at: u64,
    /// The origins' fields, ready made.
    pub(crate) origins: &'a [u8],
    /// The sorted metadata's fields, ready made.
    pub(crate) metadata: &'a [u8],
}

/// Appends one allocation's field to the allocations of [`Parts`].
pub(crate) fn push_allocation(peer: &[u8], out: &mut Vec<u8>) {
    push_bytes(3, peer, out);
}

/// Appends one origin's field to the origins of [`Parts`].
pub(crate) fn push_origin(origin: &[u8], out: &mut Vec<u8>) {
    push_bytes(9, origin, out);
}

/// Appends one entry's field to the metadata of [`Parts`].
pub(crate) fn push_metadata(key: &[u8], value: &[u8], out: &mut Vec<u8>) {
    let length = optional_len(key) + optional_len(value);
    out.push(10 << 3 | 2);
    push_varint(length as u64, out);
    push_optional(1, key, out);
    push_optional(2, value, out);
}

fn push_optional(number: u8, bytes: &[u8], out: &mut Vec<u8>) {
    if !bytes.is_empty() {
        push_bytes(number, bytes, out);
    }
}

fn optional_len(bytes: &[u8]) -> usize {
    if bytes.is_empty() { 0 } else { bytes_len(bytes.len()) }
}

impl Parts<'_> {
    fn options_len(&self) -> usize {
        number_len(zigzag(self.replication_factor_min))
            + number_len(zigzag(self.replication_factor_max))
            + optional_len(self.name)
            + number_len(self.shard_size)
            + optional_len(self.pin_update)
            + number_len(self.expire_at)
            + self.origins.len()
            + self.metadata.len()
    }

    /// Bytes that [`Parts::write`] appends.
    fn len(&self, options_len: usize) -> usize {
        optional_len(self.cid)
            + number_len(u64::from(self.pin_type))
            + self.allocations.len()
            + number_len(zigzag(self.max_depth))
            + optional_len(self.reference)
            + 1
            + varint_len(options_len as u64)
            + options_len
            + number_len(self.timestamp)
    }

    /// Appends the value, growing `out` at most once.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let options_len = self.options_len();
        out.reserve_exact(self.len(options_len));
        push_optional(1, self.cid, out);
        push_number(2, u64::from(self.pin_type), out);
        out.extend_from_slice(self.allocations);
        push_number(4, zigzag(self.max_depth), out);
        push_optional(5, self.reference, out);
        out.push(6 << 3 | 2);
        push_varint(options_len as u64, out);
        push_number(1, zigzag(self.replication_factor_min), out);
        push_number(2, zigzag(self.replication_factor_max), out);
        push_optional(3, self.name, out);
        push_number(4, self.shard_size, out);
        push_optional(7, self.pin_update, out);
        push_number(8, self.expire_at, out);
        out.extend_from_slice(self.origins);
        out.extend_from_slice(self.metadata);
        push_number(7, self.timestamp, out);
    }
}

/// Appends the stored value of a pin to `out`.
///
/// The bytes are those that ipfs-cluster v1.1.6 stores for the pin. What storage has no
/// place for is left out; [`Pin::validate`] tells whether there is such.
pub fn encode(pin: &Pin, out: &mut Vec<u8>) {
    let mut allocations = Vec::new();
    for peer in &pin.allocations {
        push_allocation(peer.as_bytes(), &mut allocations);
    }
    let mut origins = Vec::new();
    for origin in &pin.origins {
        push_origin(origin.as_bytes(), &mut origins);
    }
    let mut metadata = Vec::new();
    for (key, value) in &pin.metadata {
        push_metadata(key.as_bytes(), value.as_bytes(), &mut metadata);
    }
    let bytes = |cid| Option::map_or(cid, &[][..], Cid::as_bytes);
    Parts {
        cid: pin.cid.as_bytes(),
        pin_type: pin.pin_type.stored(),
        allocations: &allocations,
        max_depth: pin.max_depth,
        reference: bytes(pin.reference.as_ref()),
        timestamp: UnixSeconds::stored(pin.timestamp),
        replication_factor_min: pin.replication_factor_min,
        replication_factor_max: pin.replication_factor_max,
        name: pin.name.as_bytes(),
        shard_size: pin.shard_size,
        pin_update: bytes(pin.pin_update.as_ref()),
        expire_at: UnixSeconds::stored(pin.expire_at),
        origins: &origins,
        metadata: &metadata,
    }
    .write(out);
}

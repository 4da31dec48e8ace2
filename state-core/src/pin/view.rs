//! A pin seen through its stored bytes.
//!
//! [`PinView`] checks a record once, from end to end, and then answers from the bytes
//! themselves: scans, filters and exports build no [`Pin`] and, for the records that
//! ipfs-cluster writes, take no memory. What is tolerated is what `Pin.ProtoUnmarshal` of
//! ipfs-cluster v1.1.6 tolerates: unknown fields and known ones of another wire type are
//! passed over, the last of several numbers holds, several options are merged, a reference
//! or update that is no CID counts as none. Malformed fields, text that is not UTF-8, an
//! allocation that is no multihash and an origin that is no multiaddress are errors.

use std::collections::{BTreeMap, btree_map};
use std::iter::FusedIterator;

use crate::format::Fault;

use super::fault::{element, fault};
use super::wire::{Fields, Malformed, Value, sint32};
use super::{Cid, Origin, PeerId, Pin, PinMode, PinType, UnixSeconds};
use super::{cid, multi, origin};

/// A stored pin, checked and not copied.
#[derive(Clone, Copy)]
pub struct PinView<'a> {
    key: &'a [u8],
    value: &'a [u8],
    pin_type: i32,
    allocations: Repeated<'a>,
    max_depth: i32,
    reference: &'a [u8],
    timestamp: u64,
    options: Options<'a>,
}

#[derive(Clone, Copy, Default)]
struct Options<'a> {
    /// How many messages they are spread over.
    parts: u32,
    replication_factor_min: i32,
    replication_factor_max: i32,
    name: &'a str,
    shard_size: u64,
    pin_update: &'a [u8],
    expire_at: u64,
    origins: Repeated<'a>,
    metadata: Repeated<'a>,
    last_key: Option<&'a str>,
    /// Entries of the map that older versions wrote.
    map_entries: u32,
    /// Whether there is a field of the map's number, be it an entry or not.
    map_seen: bool,
    /// Whether the sorted entries are out of order or name a key twice.
    unsorted: bool,
}

/// The fields of one number within a message.
#[derive(Clone, Copy, Default)]
struct Repeated<'a> {
    /// The message from the first of them on.
    from: &'a [u8],
    count: u32,
}

impl<'a> Repeated<'a> {
    fn count(&mut self, from: &'a [u8]) {
        if self.count == 0 {
            self.from = from;
        }
        self.count += 1;
    }
}

const ALLOCATIONS: u32 = 3;
const OPTIONS: u32 = 6;
const METADATA_MAP: u32 = 6;
const ORIGINS: u32 = 9;
const SORTED_METADATA: u32 = 10;

fn malformed(field: &'static str) -> impl Fn(Malformed) -> Fault {
    move |Malformed| fault(field, "the bytes are no protocol buffer, or they are cut short")
}

fn text<'a>(field: &'static str, bytes: &'a [u8]) -> Result<&'a str, Fault> {
    std::str::from_utf8(bytes).map_err(|_| fault(field, "is not UTF-8"))
}

/// Key and value of one metadata entry, by whichever of its two messages.
fn entry(bytes: &[u8]) -> Result<(&str, &str), Fault> {
    let mut fields = Fields::new(bytes);
    let (mut key, mut value) = ("", "");
    while let Some((number, content)) = fields.next().map_err(malformed("metadata"))? {
        match (number, content) {
            (1, Value::Bytes(bytes)) => key = text("metadata", bytes)?,
            (2, Value::Bytes(bytes)) => value = text("metadata", bytes)?,
            _ => {}
        }
    }
    Ok((key, value))
}

impl<'a> Options<'a> {
    fn read(&mut self, message: &'a [u8]) -> Result<(), Fault> {
        self.parts += 1;
        let mut fields = Fields::new(message);
        loop {
            let from = fields.rest();
            let Some((number, value)) = fields.next().map_err(malformed("options"))? else {
                return Ok(());
            };
            match (number, value) {
                (1, Value::Varint(n)) => self.replication_factor_min = sint32(n),
                (2, Value::Varint(n)) => self.replication_factor_max = sint32(n),
                (3, Value::Bytes(bytes)) => self.name = text("name", bytes)?,
                (4, Value::Varint(n)) => self.shard_size = n,
                (METADATA_MAP, content) => {
                    self.map_seen = true;
                    if let Value::Bytes(bytes) = content {
                        entry(bytes)?;
                        self.map_entries += 1;
                    }
                }
                (7, Value::Bytes(bytes)) => self.pin_update = bytes,
                (8, Value::Varint(n)) => self.expire_at = n,
                (ORIGINS, Value::Bytes(bytes)) => {
                    if !origin::is_valid(bytes) {
                        let index = self.origins.count as usize;
                        return Err(fault(element("origins", index), "is no multiaddress"));
                    }
                    self.origins.count(from);
                }
                (SORTED_METADATA, Value::Bytes(bytes)) => {
                    let (key, _) = entry(bytes)?;
                    self.unsorted |= self.last_key.is_some_and(|last| last >= key);
                    self.last_key = Some(key);
                    self.metadata.count(from);
                }
                _ => {}
            }
        }
    }
}

impl<'a> PinView<'a> {
    /// Checks a record: `key` is the CID, `value` the stored bytes. The CID within the
    /// value is not looked at, as in Go.
    ///
    /// # Errors
    /// If the key is no CID, or if Go could not decode the value. The fault names the
    /// field.
    pub fn new(key: &'a [u8], value: &'a [u8]) -> Result<Self, Fault> {
        if !Cid::is_valid(key) {
            return Err(fault("key", "these bytes are no CID"));
        }
        let mut view = Self {
            key,
            value,
            pin_type: 0,
            allocations: Repeated::default(),
            max_depth: 0,
            reference: &[],
            timestamp: 0,
            options: Options::default(),
        };
        let mut fields = Fields::new(value);
        loop {
            let from = fields.rest();
            let Some((number, content)) = fields.next().map_err(malformed("value"))? else {
                return Ok(view);
            };
            match (number, content) {
                (2, Value::Varint(n)) => view.pin_type = n as i32,
                (ALLOCATIONS, Value::Bytes(bytes)) => {
                    if !multi::is_multihash(bytes) {
                        let index = view.allocations.count as usize;
                        return Err(fault(element("allocations", index), "is no multihash"));
                    }
                    view.allocations.count(from);
                }
                (4, Value::Varint(n)) => view.max_depth = sint32(n),
                (5, Value::Bytes(bytes)) => view.reference = bytes,
                (OPTIONS, Value::Bytes(bytes)) => view.options.read(bytes)?,
                (7, Value::Varint(n)) => view.timestamp = n,
                _ => {}
            }
        }
    }

    /// The record's key: the CID's bytes.
    pub fn key(&self) -> &'a [u8] {
        self.key
    }

    /// The record's value, as stored.
    pub fn value(&self) -> &'a [u8] {
        self.value
    }

    /// The CID, copied.
    pub fn cid(&self) -> Cid {
        Cid::from_valid(self.key)
    }

    /// Appends the CID's canonical text.
    pub fn push_cid_text(&self, out: &mut Vec<u8>) {
        cid::push_text(self.key, out);
    }

    /// What the pin stands for.
    pub fn pin_type(&self) -> PinType {
        PinType::from_stored(self.pin_type)
    }

    /// The peers that hold the content, each as a multihash.
    pub fn allocations(&self) -> Occurrences<'a> {
        Occurrences {
            outer: Fields::default(),
            inner: Fields::new(self.allocations.from),
            number: ALLOCATIONS,
            left: self.allocations.count,
        }
    }

    /// Levels that are pinned: -1 for all, 0 for the root alone.
    pub fn max_depth(&self) -> i32 {
        self.max_depth
    }

    /// The mode, which follows from the depth.
    pub fn mode(&self) -> PinMode {
        PinMode::from_depth(self.max_depth)
    }

    /// The bytes of the CID that the pin hangs on.
    pub fn reference(&self) -> Option<&'a [u8]> {
        Some(self.reference).filter(|bytes| Cid::is_valid(bytes))
    }

    /// When the pin was submitted.
    pub fn timestamp(&self) -> Option<UnixSeconds> {
        UnixSeconds::from_stored(self.timestamp)
    }

    /// The smallest number of peers to hold the content.
    pub fn replication_factor_min(&self) -> i32 {
        self.options.replication_factor_min
    }

    /// The largest number of peers to hold the content.
    pub fn replication_factor_max(&self) -> i32 {
        self.options.replication_factor_max
    }

    /// The name.
    pub fn name(&self) -> &'a str {
        self.options.name
    }

    /// Bytes in a shard.
    pub fn shard_size(&self) -> u64 {
        self.options.shard_size
    }

    /// When the pin ends; `None` for never.
    pub fn expire_at(&self) -> Option<UnixSeconds> {
        UnixSeconds::from_stored(self.options.expire_at)
    }

    /// Whether the pin has ended by `now`.
    pub fn expired(&self, now: UnixSeconds) -> bool {
        self.expire_at().is_some_and(|end| end <= now)
    }

    /// The bytes of the CID of the pin that this one takes over from.
    pub fn pin_update(&self) -> Option<&'a [u8]> {
        Some(self.options.pin_update).filter(|bytes| Cid::is_valid(bytes))
    }

    /// Where the content may be fetched from, each as a binary multiaddress.
    pub fn origins(&self) -> Occurrences<'a> {
        self.in_options(self.options.origins, ORIGINS)
    }

    /// Names and values of the user's own, sorted by the names' bytes.
    ///
    /// Where the stored entries are neither sorted nor unique, or where there is a map of
    /// an older version beside them, they are put in order first, which takes memory.
    pub fn metadata(&self) -> Metadata<'a> {
        let entries = self.in_options(self.options.metadata, SORTED_METADATA);
        if !self.options.unsorted && self.options.map_entries == 0 {
            return Metadata(Order::Stored(entries));
        }
        // An entry of the sorted list takes precedence over one of the map.
        let map = Repeated { from: &[], count: self.options.map_entries };
        let map =
            Occurrences { outer: Fields::new(self.value), ..self.in_options(map, METADATA_MAP) };
        let merged: BTreeMap<_, _> =
            map.chain(entries).filter_map(|bytes| entry(bytes).ok()).collect();
        Metadata(Order::Merged(merged.into_iter()))
    }

    /// Whether Go reads an empty map where there is no metadata, and not none: so it does
    /// after a field of the map's number that is no entry. Only JSON shows the difference.
    pub(crate) fn has_metadata_map(&self) -> bool {
        self.options.map_seen
    }

    fn in_options(&self, fields: Repeated<'a>, number: u32) -> Occurrences<'a> {
        let (outer, inner) =
            if self.options.parts > 1 { (self.value, &[][..]) } else { (&[][..], fields.from) };
        Occurrences {
            outer: Fields::new(outer),
            inner: Fields::new(inner),
            number,
            left: fields.count,
        }
    }

    /// The typed pin that Go would read.
    pub fn to_pin(&self) -> Pin {
        Pin {
            cid: self.cid(),
            pin_type: self.pin_type(),
            allocations: self.allocations().map(PeerId::from_valid).collect(),
            max_depth: self.max_depth,
            reference: self.reference().map(Cid::from_valid),
            timestamp: self.timestamp(),
            replication_factor_min: self.options.replication_factor_min,
            replication_factor_max: self.options.replication_factor_max,
            name: self.options.name.to_owned(),
            shard_size: self.options.shard_size,
            user_allocations: Vec::new(),
            expire_at: self.expire_at(),
            metadata: self
                .metadata()
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
            pin_update: self.pin_update().map(Cid::from_valid),
            origins: self.origins().map(Origin::from_valid).collect(),
        }
    }
}

impl std::fmt::Debug for PinView<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("PinView").field(&self.to_pin()).finish()
    }
}

/// The values of a repeated field, read from the stored bytes as they are asked for.
#[derive(Clone)]
pub struct Occurrences<'a> {
    /// Options still to be entered, where they are spread over several messages.
    outer: Fields<'a>,
    inner: Fields<'a>,
    number: u32,
    left: u32,
}

impl<'a> Iterator for Occurrences<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        // The view has checked every field, so none is malformed here.
        while self.left > 0 {
            match self.inner.next().ok().flatten() {
                Some((number, Value::Bytes(bytes))) if number == self.number => {
                    self.left -= 1;
                    return Some(bytes);
                }
                Some(_) => {}
                None => loop {
                    if let (OPTIONS, Value::Bytes(message)) = self.outer.next().ok().flatten()? {
                        self.inner = Fields::new(message);
                        break;
                    }
                },
            }
        }
        None
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

impl ExactSizeIterator for Occurrences<'_> {}
impl FusedIterator for Occurrences<'_> {}

/// The entries of a pin's metadata, sorted by the bytes of their names.
pub struct Metadata<'a>(Order<'a>);

enum Order<'a> {
    Stored(Occurrences<'a>),
    Merged(btree_map::IntoIter<&'a str, &'a str>),
}

impl<'a> Iterator for Metadata<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Order::Stored(entries) => entry(entries.next()?).ok(),
            Order::Merged(entries) => entries.next(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.0 {
            Order::Stored(entries) => entries.size_hint(),
            Order::Merged(entries) => entries.size_hint(),
        }
    }
}

impl ExactSizeIterator for Metadata<'_> {}
impl FusedIterator for Metadata<'_> {}

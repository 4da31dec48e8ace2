//! One pinset, in every form that an operation takes.

use std::path::Path;

use bytes::Bytes;
use pinstate_core::Key;
use pinstate_core::format::ndjson::NdjsonDecoder;
use pinstate_core::format::{Decoder, Leniency};
use pinstate_core::pin::{Cid, ImportOverrides, Pin, PinView};
use pinstate_core::transfer::Entries;

/// The pins as Go's generator wrote them.
pub(crate) struct Pins {
    pub(crate) ndjson: Vec<u8>,
    pub(crate) snapshot: Vec<u8>,
    /// Keys and stored values, in the file's order.
    pub(crate) records: Vec<(Bytes, Bytes)>,
    pub(crate) pins: Vec<Pin>,
    /// The CIDs, and the keys, in the order in which they are asked for: another one, so that
    /// nothing lies in memory as it is needed, except for these lists themselves.
    pub(crate) asked: Vec<Cid>,
    pub(crate) asked_keys: Vec<Key>,
}

impl Pins {
    pub(crate) async fn load(folder: &Path) -> Self {
        let ndjson = std::fs::read(folder.join("export.ndjson")).unwrap();
        let snapshot = std::fs::read(folder.join("state.snapshot")).unwrap();
        let decoder: Box<dyn Decoder> =
            Box::new(NdjsonDecoder::new(Leniency::Strict, ImportOverrides::default()));
        let mut entries = Entries::new(Box::new(std::io::Cursor::new(ndjson.clone())), decoder);
        let mut records = Vec::new();
        while let Some(read) = entries.next().await.unwrap() {
            for entry in read {
                let (key, value) = entry.body.unwrap();
                records.push((Bytes::from(key.to_vec()), value));
            }
        }
        let pin = |(key, value): &(Bytes, Bytes)| PinView::new(key, value).unwrap().to_pin();
        let pins: Vec<Pin> = records.iter().map(pin).collect();
        let mut asked: Vec<Cid> = pins.iter().map(|pin| pin.cid.clone()).collect();
        fastrand::Rng::with_seed(1).shuffle(&mut asked);
        // So that they lie in memory in that order: to read them is no part of what is measured.
        let asked: Vec<Cid> =
            asked.iter().map(|cid| Cid::from_bytes(cid.as_bytes()).unwrap()).collect();
        let asked_keys = asked.iter().map(|cid| Key::copy_from(cid.as_bytes())).collect();
        Self { ndjson, snapshot, records, pins, asked, asked_keys }
    }

    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }
}

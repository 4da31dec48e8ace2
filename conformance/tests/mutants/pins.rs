//! What broken stores make of the pins that they are given: each takes a pin apart and puts
//! it together again, as a store with columns of its own would, and gets something wrong.

use bytes::Bytes;
use pinstate_core::pin::{Pin, PinType, PinView, UnixSeconds, encode};
use pinstate_core::{Key, Record};

use crate::Bug;

/// What the store keeps of a value.
pub(crate) fn kept(bug: Bug, key: &Key, value: &Bytes) -> Bytes {
    let change: fn(&mut Pin) = match bug {
        Bug::UnknownFieldsDropped => |_| {},
        Bug::TimesInSinglePrecision => |pin| {
            let rounded = |time: UnixSeconds| UnixSeconds(time.0 as f32 as i64);
            pin.timestamp = pin.timestamp.map(rounded);
        },
        Bug::ExpiryShiftsZone => |pin| {
            pin.expire_at = pin.expire_at.map(|time| UnixSeconds(time.0.saturating_sub(3_600)));
        },
        Bug::DepthUnsigned => |pin| pin.max_depth = pin.max_depth.max(0),
        Bug::EmptyIsNull => |pin| pin.metadata.retain(|_, value| !value.is_empty()),
        Bug::AllocationsSorted => |pin| {
            pin.allocations.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
            pin.allocations.dedup();
        },
        Bug::NamesNormalised => |pin| pin.name = pin.name.replace("e\u{301}", "é"),
        Bug::NamesTrimmed => |pin| pin.name = pin.name.trim().to_owned(),
        Bug::MetadataCut => |pin| {
            pin.metadata = std::mem::take(&mut pin.metadata).into_iter().take(1_000).collect();
        },
        Bug::ShardSizeSigned => |pin| pin.shard_size = pin.shard_size.min(i64::MAX as u64),
        _ => return value.clone(),
    };
    let Ok(view) = PinView::new(key.as_bytes(), value) else { return value.clone() };
    let (mut pin, mut out) = (view.to_pin(), Vec::new());
    change(&mut pin);
    encode(&pin, &mut out);
    out.into()
}

/// Whether a scan shows this row.
pub(crate) fn is_listed(bug: Bug, row: &Record) -> bool {
    bug != Bug::UndecodableSkipped || PinView::new(row.key.as_bytes(), &row.value).is_ok()
}

/// The value as a scan shows it.
pub(crate) fn listed(bug: Bug, row: &mut Record) {
    if bug != Bug::TypesLostInLists {
        return;
    }
    if let Ok(view) = PinView::new(row.key.as_bytes(), &row.value) {
        let (mut pin, mut out) = (view.to_pin(), Vec::new());
        pin.pin_type = PinType::DATA;
        encode(&pin, &mut out);
        row.value = out.into();
    }
}

fn pin_of(record: &Record) -> Option<Pin> {
    Some(PinView::new(record.key.as_bytes(), &record.value).ok()?.to_pin())
}

/// The value that is stored in the place of one that replaces another.
pub(crate) fn replacing(bug: Bug, old: Option<&Record>, new: &Record) -> Bytes {
    let Some(mut pin) = pin_of(new) else { return new.value.clone() };
    match bug {
        Bug::ExpiryKept if pin.expire_at.is_none() => {
            pin.expire_at = old.and_then(pin_of).and_then(|old| old.expire_at);
        }
        Bug::ExpiryInMinutes => {
            pin.expire_at = pin.expire_at.map(|at| UnixSeconds(at.0.div_euclid(60) * 60));
        }
        _ => return new.value.clone(),
    }
    let mut value = Vec::new();
    encode(&pin, &mut value);
    value.into()
}

/// Whether the pin of a record ended long ago.
pub(crate) fn has_expired(record: &Record) -> bool {
    pin_of(record).is_some_and(|pin| pin.expired(UnixSeconds(1_500_000_000)))
}

//! Promises about pins: `State` over the backend.

use std::collections::{BTreeMap, BTreeSet};

use futures::TryStreamExt;
use pinstate_core::pin::{Cid, Origin, PeerId, Pin, PinType, UnixSeconds, encode};
use pinstate_core::{
    CountOptions, ErrorKind, Key, ListOptions, NOT_FOUND_TEXT, PinFilter, Put, State, Version,
    WriteOptions,
};

use super::list::cid_like;
use crate::case::Cx;
use crate::check::{Checked, Violation, holds, refused, same};
use crate::clause::clauses;

clauses! {
    C1: "put then get returns the same bytes and version",
        "a field that is lost changes what is pinned, where, and for how long",
        [plainest_and_fullest_pin];
    C4: "keys are the full bytes of CIDs",
        "one CID has many spellings, and they are one pin",
        [spellings_are_one_pin];
    C5: "fields that this version does not know survive",
        "a newer ipfs-cluster's pins must not lose what it added",
        [unknown_fields_survive];
    C6: "times keep their second and do not shift",
        "a pin must not expire an hour early for a zone",
        [times_keep_their_second];
    C7: "negative, zero and absent are kept apart",
        "a depth of -1 is the whole DAG and one of 0 is its root; 0 replicas are the default and -1 \
         are all",
        [signs_and_absences];
    C8: "the order of allocations and origins is kept, and metadata comes sorted",
        "two encodings of one pin would never compare equal",
        [orders_are_kept];
    R1: "a put replaces the whole record, and a namespace is replaced as a whole",
        "what is left of an old pin (metadata, an expiry) acts on the new one",
        [pin_is_replaced_whole];
    N1: "get of an absent key is nothing, never a default and never a failure",
        "ipfs-cluster's REST layer recognises a missing pin by its text",
        [missing_pin_is_not_found];
    L8: "a record that is no pin is an item of the list, and the list goes on",
        "ipfs-cluster logs and skips it, and its export loses it",
        [bad_pins_are_listed];
    L12: "filters show what filtering the whole list by hand shows",
        "a filter after the limit, or one that misreads a field, hides pins",
        [filters_equal_filtering_by_hand, limits_and_cursors];
    B1: "writes of a batch are not visible before its commit",
        "a caller that stops in between must have changed nothing",
        [invisible_before_commit];
    B5: "a batch that is dropped leaves nothing",
        "errors on the way drop it",
        [dropped_batch];
    B6: "a batch can be used again after its commit, and does not apply twice",
        "a batch that is written again undoes what came in between",
        [batch_used_again];
    S3: "metadata of 10,000 entries come back",
        "nothing in the format forbids it",
        [much_metadata];
    U2: "names are kept as they are, whatever they are made of",
        "normalising them makes two pins' names one",
        [names_are_kept];
}

pub(super) fn cid(i: usize) -> Checked<Cid> {
    Cid::from_bytes(&cid_like(i)).map_err(|fault| Violation::new(fault.to_string()))
}

fn peer(i: u8) -> Checked<PeerId> {
    PeerId::from_bytes(&[0, 1, i]).map_err(|fault| Violation::new(fault.to_string()))
}

fn origin(i: u8) -> Checked<Origin> {
    let text = format!("/ip4/10.0.0.{i}/tcp/4001");
    text.parse::<Origin>().map_err(|fault| Violation::new(fault.to_string()))
}

/// A pin with every field away from its default.
pub(super) fn full(i: usize) -> Checked<Pin> {
    let mut pin = Pin::new(cid(i)?);
    pin.pin_type = PinType::SHARD;
    pin.allocations = vec![peer(3)?, peer(1)?, peer(2)?];
    pin.max_depth = i32::MAX;
    pin.reference = Some(cid(i + 1)?);
    pin.timestamp = Some(UnixSeconds(1_700_000_000));
    pin.replication_factor_min = i32::MIN;
    pin.replication_factor_max = i32::MAX;
    pin.name = "name".repeat(100);
    pin.shard_size = u64::MAX;
    pin.expire_at = Some(UnixSeconds(253_402_300_799));
    pin.metadata = BTreeMap::from([("b".into(), "2".into()), (String::new(), String::new())]);
    pin.pin_update = Some(cid(i + 2)?);
    pin.origins = vec![origin(2)?, origin(1)?];
    Ok(pin)
}

async fn kept(state: &State, pin: &Pin) -> Checked {
    state.add(pin).await?;
    same("a pin that was added", &state.get(&pin.cid).await?, pin)?;
    let listed: Vec<_> = state.list(ListOptions::new()).await?.into_stream().try_collect().await?;
    for item in listed {
        let stored = item.map_err(|bad| Violation::new(format!("expected a pin, got {bad:?}")))?;
        let view = stored.view().map_err(|fault| Violation::new(fault.to_string()))?;
        if view.cid() == pin.cid {
            return same("a pin that was listed", &view.to_pin(), pin);
        }
    }
    Err(Violation::new(format!("the pin {} is not listed", pin.cid)))
}

async fn plainest_and_fullest_pin(cx: Cx) -> Checked {
    let state = cx.state().await?;
    kept(&state, &Pin::new(cid(1)?)).await?;
    kept(&state, &full(2)?).await?;
    // One over the other, both ways.
    kept(&state, &full(1)?).await?;
    kept(&state, &Pin::new(cid(2)?)).await?;
    same("the count", state.count(CountOptions::new()).await?.value(), 2)
}

async fn spellings_are_one_pin(cx: Cx) -> Checked {
    let state = cx.state().await?;
    let base32 = cid(1)?;
    state.add(&Pin::new(base32.clone())).await?;
    let text = base32.to_string();
    let again: Cid =
        text.parse().map_err(|fault| Violation::new(format!("{text} is no CID: {fault}")))?;
    same("has by text", state.has(&again).await?, true)?;
    let hex =
        base32.as_bytes().iter().fold("f".to_owned(), |text, byte| format!("{text}{byte:02x}"));
    if let Ok(hex) = hex.parse::<Cid>() {
        same("has by another base", state.has(&hex).await?, true)?;
        state.add(&Pin::new(hex)).await?;
    }
    same("the count", state.count(CountOptions::new()).await?.value(), 1)
}

async fn unknown_fields_survive(cx: Cx) -> Checked {
    let state = cx.state().await?;
    let mut value = Vec::new();
    encode(&full(1)?, &mut value);
    // Field 1,000, length-delimited, as a later version may add it.
    value.extend_from_slice(&[0xc2, 0x3e, 0x03, b'n', b'e', b'w']);
    let key = Key::copy_from(cid(1)?.as_bytes());
    let put = Put::new(key, value.clone(), cx.version());
    state.namespace().put(put, WriteOptions::new()).await?;
    let stored = state.get_stored(&cid(1)?).await?;
    same("the stored bytes", stored.value.as_ref(), value.as_slice())?;
    same("the pin", state.get(&cid(1)?).await?, full(1)?)?;
    let mut page = state.list(ListOptions::new()).await?;
    let listed = page.next_page().await?.map(|page| page.items).unwrap_or_default();
    let values: Vec<_> = listed.into_iter().flatten().map(|stored| stored.value).collect();
    same("the listed bytes", values, vec![value.into()])
}

async fn times_keep_their_second(cx: Cx) -> Checked {
    let state = cx.state().await?;
    let times = [1, -1, 86_399, 1_700_000_000, 4_102_444_800, 253_402_300_799, -62_135_596_799];
    for seconds in times {
        let mut pin = Pin::new(cid(1)?);
        pin.timestamp = Some(UnixSeconds(seconds));
        pin.expire_at = Some(UnixSeconds(seconds));
        kept(&state, &pin).await?;
    }
    Ok(())
}

async fn signs_and_absences(cx: Cx) -> Checked {
    let state = cx.state().await?;
    for number in [-1, 0, 1, i32::MIN, i32::MAX] {
        let mut pin = Pin::new(cid(1)?);
        pin.max_depth = number;
        kept(&state, &pin).await?;
        pin.replication_factor_min = number;
        pin.replication_factor_max = number;
        kept(&state, &pin).await?;
    }
    let mut pin = Pin::new(cid(2)?);
    pin.metadata = BTreeMap::from([("empty".into(), String::new())]);
    kept(&state, &pin).await?;
    pin.reference = Some(cid(1)?);
    pin.origins = vec![origin(1)?];
    kept(&state, &pin).await?;
    pin.reference = None;
    pin.origins = Vec::new();
    pin.metadata = BTreeMap::new();
    kept(&state, &pin).await
}

async fn orders_are_kept(cx: Cx) -> Checked {
    let state = cx.state().await?;
    let mut pin = Pin::new(cid(1)?);
    pin.allocations = vec![peer(9)?, peer(1)?, peer(5)?, peer(1)?];
    pin.origins = vec![origin(9)?, origin(1)?, origin(5)?];
    let names = ["z", "a", "M", "aa", "é", ""];
    pin.metadata = names.iter().map(|name| ((*name).into(), (*name).into())).collect();
    kept(&state, &pin).await?;
    let stored = state.get_stored(&pin.cid).await?.value;
    let mut canonical = Vec::new();
    encode(&pin, &mut canonical);
    same("the stored bytes", stored.as_ref(), canonical.as_slice())
}

async fn pin_is_replaced_whole(cx: Cx) -> Checked {
    let state = cx.state().await?;
    kept(&state, &full(1)?).await?;
    let mut pin = Pin::new(cid(1)?);
    pin.metadata = BTreeMap::from([("c".into(), "3".into())]);
    kept(&state, &pin).await?;
    same("its metadata", state.get(&pin.cid).await?.metadata, pin.metadata)?;
    same("its expiry", state.get(&pin.cid).await?.expire_at, None)?;
    same("the count", state.count(CountOptions::new()).await?.value(), 1)
}

async fn missing_pin_is_not_found(cx: Cx) -> Checked {
    let state = cx.state().await?;
    state.add(&full(1)?).await?;
    let error = refused("a missing pin", state.get(&cid(2)?).await, ErrorKind::NotFound)?;
    same("its text", error.to_string(), NOT_FOUND_TEXT.to_owned())?;
    same("has", state.has(&cid(2)?).await?, false)?;
    state.rm(&cid(2)?).await?;
    state.rm(&cid(1)?).await?;
    refused("a removed pin", state.get(&cid(1)?).await, ErrorKind::NotFound)?;
    Ok(())
}

async fn bad_pins_are_listed(cx: Cx) -> Checked {
    let state = cx.state().await?;
    for i in 0..20 {
        state.add(&Pin::new(cid(i)?)).await?;
    }
    let bad: [(Vec<u8>, &[u8]); 3] = [
        // A length beyond the end, in a CID's place; bytes that are no CID; both.
        (cid_like(100), &[0x0a, 0x7f]),
        (vec![0xff, 0xff], &[]),
        (vec![0x00], &[0xff]),
    ];
    for (key, value) in &bad {
        let put = Put::new(Key::copy_from(key), value.to_vec(), cx.version());
        state.namespace().put(put, WriteOptions::new()).await?;
    }
    let items: Vec<_> = state.list(ListOptions::new()).await?.into_stream().try_collect().await?;
    same("items of the list", items.len(), 23)?;
    same("good pins", items.iter().filter(|item| item.is_ok()).count(), 20)?;
    for bad_pin in items.into_iter().filter_map(Result::err) {
        let expected = bad.iter().find(|(key, _)| key == bad_pin.key.as_bytes());
        let raw = expected.map(|(_, value)| *value);
        same("the raw bytes of a bad pin", Some(bad_pin.raw.as_ref()), raw)?;
    }
    same("the count", state.count(CountOptions::new()).await?.value(), 23)?;
    same("has of a bad pin", state.has(&cid(100)?).await?, true)?;
    refused("get of a bad pin", state.get(&cid(100)?).await, ErrorKind::Corrupt)?;
    Ok(())
}

fn varied(i: usize, rng: &mut fastrand::Rng) -> Checked<Pin> {
    let mut pin = Pin::new(cid(i)?);
    let types = [PinType::DATA, PinType::META, PinType::CLUSTER_DAG, PinType::SHARD];
    pin.pin_type = rng.choice(types).unwrap_or(PinType::DATA);
    pin.name = format!("{}-{}", rng.choice(["data", "Data", "meta", ""]).unwrap_or(""), i % 7);
    for peer_number in 1..4 {
        if rng.bool() {
            pin.allocations.push(peer(peer_number)?);
        }
    }
    pin.expire_at = rng.bool().then(|| UnixSeconds(rng.i64(1..2_000)));
    Ok(pin)
}

type ByHand<'a> = Box<dyn Fn(&Pin) -> bool + Send + Sync + 'a>;

async fn filters_equal_filtering_by_hand(cx: Cx) -> Checked {
    let state = cx.state().await?;
    let mut rng = cx.rng();
    let mut pins = Vec::new();
    let mut batch = state.batch();
    for i in 0..300 {
        let pin = varied(i, &mut rng)?;
        batch.add(&pin)?;
        pins.push(pin);
    }
    batch.commit().await?;
    let now = UnixSeconds(1_000);
    let someone = peer(2)?;
    let filter = PinFilter::new;
    let filters: Vec<(&str, PinFilter, ByHand<'_>)> = vec![
        ("none", filter(), Box::new(|_| true)),
        ("type", filter().with_type(PinType::META), Box::new(|p| p.pin_type == PinType::META)),
        (
            "two types",
            filter().with_type(PinType::META).with_type(PinType::SHARD),
            Box::new(|p| p.pin_type == PinType::META || p.pin_type == PinType::SHARD),
        ),
        ("name", filter().with_name("data-*")?, Box::new(|p| p.name.starts_with("data-"))),
        (
            "allocation",
            filter().with_allocation(someone.clone()),
            Box::new(|p| p.allocations.contains(&someone)),
        ),
        ("expired", filter().with_expired(true, now), Box::new(|p| p.expired(now))),
        ("not expired", filter().with_expired(false, now), Box::new(|p| !p.expired(now))),
        (
            "type, name and expiry",
            filter().with_type(PinType::DATA).with_name("*-3")?.with_expired(false, now),
            Box::new(|p| p.pin_type == PinType::DATA && p.name.ends_with("-3") && !p.expired(now)),
        ),
    ];
    for (what, filter, by_hand) in filters {
        let expected: BTreeSet<Vec<u8>> =
            pins.iter().filter(|pin| by_hand(pin)).map(|pin| pin.cid.as_bytes().to_vec()).collect();
        let listed = listed_keys(&state, ListOptions::new().with_filter(filter)).await?;
        let shown: BTreeSet<Vec<u8>> = listed.iter().cloned().collect();
        same(&format!("pins listed twice, filter {what}"), listed.len(), shown.len())?;
        same(&format!("pins shown, filter {what}"), shown, expected)?;
    }
    Ok(())
}

async fn listed_keys(state: &State, options: ListOptions) -> Checked<Vec<Vec<u8>>> {
    let items: Vec<_> = state.list(options).await?.into_stream().try_collect().await?;
    Ok(items.into_iter().flatten().map(|stored| stored.key.as_bytes().to_vec()).collect())
}

async fn limits_and_cursors(cx: Cx) -> Checked {
    let state = cx.state().await?;
    let mut rng = cx.rng();
    let mut batch = state.batch();
    for i in 0..200 {
        batch.add(&varied(i, &mut rng)?)?;
    }
    batch.commit().await?;
    let filter = PinFilter::new().with_type(PinType::DATA);
    let options = || ListOptions::new().with_filter(filter.clone());
    let all = listed_keys(&state, options()).await?;
    for limit in [1, 7, 1_000] {
        let mut options_now = options().with_limit(limit);
        let mut seen = Vec::new();
        loop {
            let mut list = state.list(options_now).await?;
            let (mut got, mut last) = (0, None);
            while let Some(page) = list.next_page().await? {
                got += page.items.len() as u64;
                let keys = page.items.into_iter().flatten().map(|stored| stored.key);
                seen.extend(keys.map(|key| key.as_bytes().to_vec()));
                last = Some(page.cursor);
            }
            holds(got <= limit, || format!("a list of at most {limit}: got {got}"))?;
            match last {
                Some(cursor) if got > 0 => {
                    options_now = options().with_limit(limit).with_after(cursor);
                }
                _ => break,
            }
        }
        same(&format!("pins in lists of {limit}"), &seen, &all)?;
    }
    Ok(())
}

async fn invisible_before_commit(cx: Cx) -> Checked {
    let state = cx.state().await?;
    state.add(&Pin::new(cid(1)?)).await?;
    let mut batch = state.batch();
    batch.add(&full(2)?)?;
    batch.rm(&cid(1)?);
    same("has of a pin in the batch", state.has(&cid(2)?).await?, false)?;
    same("has of one that the batch removes", state.has(&cid(1)?).await?, true)?;
    same("the count", state.count(CountOptions::new()).await?.value(), 1)?;
    same("writes committed", batch.commit().await?, 2)?;
    same("has afterwards", state.has(&cid(2)?).await?, true)?;
    same("has of the removed one", state.has(&cid(1)?).await?, false)
}

async fn dropped_batch(cx: Cx) -> Checked {
    let state = cx.state().await?;
    let mut batch = state.batch();
    for i in 0..2_000 {
        batch.add(&Pin::new(cid(i)?))?;
    }
    drop(batch);
    same("the count", state.count(CountOptions::new()).await?.value(), 0)
}

async fn batch_used_again(cx: Cx) -> Checked {
    let state = cx.state().await?;
    let mut batch = state.batch();
    batch.add(&Pin::new(cid(1)?))?;
    batch.commit().await?;
    state.rm(&cid(1)?).await?;
    same("writes left after a commit", batch.len(), 0)?;
    batch.add(&Pin::new(cid(2)?))?;
    same("writes committed", batch.commit().await?, 1)?;
    same("has of the first commit's pin", state.has(&cid(1)?).await?, false)?;
    same("has of the second's", state.has(&cid(2)?).await?, true)?;
    same("writes of a commit of nothing", batch.commit().await?, 0)?;
    same("the count", state.count(CountOptions::new()).await?.value(), 1)
}

async fn much_metadata(cx: Cx) -> Checked {
    let state = cx.state().await?;
    let mut pin = Pin::new(cid(1)?);
    pin.metadata = (0..10_000).map(|i| (format!("key {i}"), format!("value {i}"))).collect();
    let mut value = Vec::new();
    encode(&pin, &mut value);
    if value.len() as u64 > state.namespace().capabilities().max_value_bytes {
        refused("a pin over the limit", state.add(&pin).await, ErrorKind::TooLarge)?;
        return Ok(());
    }
    kept(&state, &pin).await
}

async fn names_are_kept(cx: Cx) -> Checked {
    let state = cx.state().await?;
    let names = [
        "é",
        "e\u{301}",
        "𝒳😀",
        "\u{202e}txt.exe",
        "\u{7}\u{1b}[31m",
        "'; DROP TABLE pins; --",
        "a\0b",
        " padded ",
        "",
    ];
    for (i, name) in names.iter().enumerate() {
        let mut pin = Pin::new(cid(i)?);
        pin.name = (*name).to_owned();
        pin.metadata = BTreeMap::from([((*name).to_owned(), (*name).to_owned())]);
        kept(&state, &pin).await?;
    }
    for (i, name) in names.iter().enumerate() {
        same("a name", state.get(&cid(i)?).await?.name.as_str(), *name)?;
    }
    same("versions are drawn", state.clock().draw().await? > Version(0), true)
}

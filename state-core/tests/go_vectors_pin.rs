//! The pin codecs against what ipfs-cluster's own code made of the same input.
//!
//! The vectors are written by the Go module in `interop/`.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::path::Path;

use data_encoding::{BASE64, HEXLOWER};
use pinstate_core::format::ndjson::NdjsonDecoder;
use pinstate_core::format::{Decoder, Entry, Leniency};
use pinstate_core::pin::{
    self, ImportOverrides, JsonWriter, Origin, PeerId, PinType, PinView, Zone,
};
use serde_json::Value;

/// The vectors of one file, each with its name.
fn vectors(file: &str) -> Vec<(String, Value)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../interop/testdata").join(file);
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let vectors: Vec<_> = text
        .lines()
        .map(|line| {
            let vector: Value = serde_json::from_str(line).unwrap();
            (vector["name"].as_str().unwrap().to_owned(), vector)
        })
        .collect();
    assert!(!vectors.is_empty(), "{file} has no vectors");
    vectors
}

/// Runs `check` on every vector, and fails with all that it finds.
fn all_pass(vectors: &[(String, Value)], check: fn(&Value) -> Result<(), String>) {
    let failed: Vec<_> = vectors
        .iter()
        .filter_map(|(name, vector)| Some(format!("{name}: {}", check(vector).err()?)))
        .collect();
    assert!(
        failed.is_empty(),
        "{} of {} failed:\n{}",
        failed.len(),
        vectors.len(),
        failed.join("\n")
    );
}

fn hex(value: &Value) -> Vec<u8> {
    HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap()
}

/// What went wrong with one vector, or nothing.
fn check_pin(vector: &Value) -> Result<(), String> {
    let (key, value) = (hex(&vector["key_hex"]), hex(&vector["value_hex"]));
    let view = match PinView::new(&key, &value) {
        Ok(view) => view,
        Err(fault) if vector["decode_error"].is_string() => {
            return match fault.reason.is_empty() {
                true => Err("a fault without a reason".to_owned()),
                false => Ok(()),
            };
        }
        Err(fault) => return Err(format!("Go decodes it, but: {fault}")),
    };
    if let Some(error) = vector["decode_error"].as_str() {
        return Err(format!("Go does not decode it: {error}"));
    }
    let mut again = Vec::new();
    pin::encode(&view.to_pin(), &mut again);
    if again != hex(&vector["reencoded_hex"]) {
        return Err(format!("encoded again as {}", HEXLOWER.encode(&again)));
    }
    let zone = Zone::named(vector["tz"].as_str().unwrap()).map_err(|fault| fault.to_string())?;
    let mut line = Vec::new();
    let written = JsonWriter::new(zone).write(&view, &mut line);
    match (written, vector["json"].as_str()) {
        (Ok(()), Some(json)) if json.as_bytes() == line => Ok(()),
        (Err(_), None) if line.is_empty() => Ok(()),
        (written, _) => Err(format!("{written:?}, written as {}", String::from_utf8_lossy(&line))),
    }
}

#[test]
fn every_stored_pin_is_read_and_written_as_in_go() {
    all_pass(&vectors("pins.jsonl"), check_pin);
}

/// All entries of an input, read in one piece.
fn decode(input: &[u8], leniency: Leniency, overrides: ImportOverrides) -> Vec<Entry> {
    let mut decoder = NdjsonDecoder::new(leniency, overrides);
    let mut entries = Vec::new();
    decoder.decode(input, true, usize::MAX, &mut entries);
    entries
}

/// Whether ipfs-cluster refuses the document for being of the dialect of v0.11 to v0.14.5,
/// which is read here: CIDs as objects, types as numbers.
fn is_legacy(vector: &Value) -> bool {
    let error = vector["error"].as_str().unwrap_or_default();
    error == "json: cannot unmarshal number into Go struct field Pin.type of type string"
        || error == "json: cannot unmarshal object into Go struct field Pin.cid of type string"
}

/// The options of an import, where the vector has them. Go drops what is no peer ID.
fn overrides(vector: &Value) -> ImportOverrides {
    let number = |key: &str| i32::try_from(vector[key].as_i64().unwrap_or(0)).unwrap();
    let peers = vector["allocations"].as_array();
    ImportOverrides {
        replication_factor_min: number("replication_min"),
        replication_factor_max: number("replication_max"),
        allocations: peers
            .into_iter()
            .flatten()
            .filter_map(|peer| peer.as_str()?.parse().ok())
            .collect(),
    }
}

fn check_import(vector: &Value) -> Result<(), String> {
    let input = BASE64.decode(vector["input_b64"].as_str().unwrap().as_bytes()).unwrap();
    let mut stored = BTreeMap::new();
    let mut fault = None;
    for entry in decode(&input, Leniency::Compat, overrides(vector)) {
        match entry.body {
            Ok((key, value)) => drop(stored.insert(key.to_vec(), value.to_vec())),
            // ipfs-cluster stores this under the namespace's key, where no list finds it.
            Err(missing) if missing.field == "cid" && missing.reason.starts_with("is missing") => {}
            Err(other) => {
                fault = Some(other);
                break;
            }
        }
    }
    let ok = vector["ok"].as_bool().unwrap();
    if is_legacy(vector) && fault.is_none() && !stored.is_empty() {
        return Ok(());
    }
    if ok != fault.is_none() {
        return Err(format!("Go: {}, here: {fault:?}", vector["error"]));
    }
    let expected: BTreeMap<_, _> = vector["stored"]
        .as_array()
        .unwrap()
        .iter()
        .map(|record| (hex(&record["key_hex"]), hex(&record["value_hex"])))
        .filter(|(key, _)| !key.is_empty())
        .collect();
    if stored != expected {
        return Err(format!("stored {stored:02x?}\n  instead of {expected:02x?}"));
    }
    Ok(())
}

#[test]
fn every_import_stores_what_go_stores() {
    let mut vectors = vectors("json_reader.jsonl");
    vectors.extend(self::vectors("import_options.jsonl"));
    all_pass(&vectors, check_import);
}

/// Whether JSON has no way to say what the pin says: Go writes every type without a name
/// as `bad-type`, broken text as U+FFFD, and peer IDs that it does not read itself.
fn is_beyond_json(vector: &Value) -> bool {
    let (key, value) = (hex(&vector["key_hex"]), hex(&vector["value_hex"]));
    let pin = PinView::new(&key, &value).unwrap().to_pin();
    let unread = |peer: &PeerId| peer.to_string().parse::<PeerId>().is_err();
    let broken = |origin: &Origin| origin.to_string().contains('\u{fffd}');
    pin.pin_type.stored() > PinType::SHARD.stored()
        || pin.allocations.iter().any(unread)
        || pin.origins.iter().any(broken)
}

/// Whatever Go exports is taken by a strict reader, and in UTC it gives the same record.
fn check_reimport(vector: &Value) -> Result<(), String> {
    let Some(line) = vector["json"].as_str() else {
        return Ok(());
    };
    if is_beyond_json(vector) {
        return Ok(());
    }
    let mut entries = decode(line.as_bytes(), Leniency::Strict, ImportOverrides::default());
    if entries.len() != 1 {
        return Err(format!("{} entries", entries.len()));
    }
    let (key, value) = entries.remove(0).body.map_err(|fault| fault.to_string())?;
    if vector["tz"] == "UTC" && value != hex(&vector["reencoded_hex"]) {
        return Err(format!("stored as {}", HEXLOWER.encode(&value)));
    }
    match key == hex(&vector["key_hex"]) {
        true => Ok(()),
        false => Err(format!("stored under {}", HEXLOWER.encode(&key))),
    }
}

#[test]
fn every_line_go_exports_is_imported_strictly() {
    all_pass(&vectors("pins.jsonl"), check_reimport);
}

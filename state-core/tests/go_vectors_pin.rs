//! The pin codecs against what ipfs-cluster's own code made of the same input.
//!
//! The vectors are written by the Go module in `interop/`.

use std::path::Path;

use data_encoding::HEXLOWER;
use pinstate_core::pin::{self, JsonWriter, PinView, Zone};
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
    assert!(vectors.len() > 100, "{file} has hardly any vectors");
    vectors
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
    let vectors = vectors("pins.jsonl");
    let failed: Vec<_> = vectors
        .iter()
        .filter_map(|(name, vector)| Some(format!("{name}: {}", check_pin(vector).err()?)))
        .collect();
    assert!(
        failed.is_empty(),
        "{} of {} failed:\n{}",
        failed.len(),
        vectors.len(),
        failed.join("\n")
    );
}

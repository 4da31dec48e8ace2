//! `backends`: what this program can store pins in.

use std::fmt::Write;

use serde_json::json;

use crate::backends::registry;
use crate::exit::{Exit, Outcome};
use crate::output::Output;

/// Shows the backends, those that were left out too, and what each can do.
pub(crate) fn run(out: Output) -> Outcome {
    let registry = registry();
    let mut lines = out.lines();
    for backend in registry.backends() {
        let capabilities = backend.capabilities();
        let mut text = format!("{}  {}", backend.name(), backend.about());
        let (aliases, description) = (backend.aliases(), backend.description());
        let keys: Vec<String> = description.keys().into_iter().map(|key| key.name).collect();
        if !aliases.is_empty() {
            let _ = write!(text, "\n  {:<18} {}", "also called", aliases.join(", "));
        }
        let _ = write!(text, "\n  {:<18} {}", "keys", keys.join(", "));
        let json = serde_json::to_value(&capabilities).unwrap_or_default();
        for (name, value) in json.as_object().into_iter().flatten() {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let _ = write!(text, "\n  {name:<18} {value}");
        }
        lines.result(
            text,
            &json!({
                "backend": backend.name(),
                "about": backend.about(),
                "included": true,
                "aliases": aliases,
                "keys": keys,
                "capabilities": capabilities,
            }),
        )?;
    }
    for (backend, feature) in registry.left_out() {
        lines.result(
            format_args!("{backend}  left out: build with the feature '{feature}' to have it"),
            &json!({ "backend": backend, "included": false, "feature": feature }),
        )?;
    }
    lines.finish()?;
    Ok(Exit::Done)
}

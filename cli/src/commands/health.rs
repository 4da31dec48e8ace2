//! `health`.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use crate::args::Global;
use crate::exit::{Exit, Outcome};
use crate::output::Output;
use crate::session::{Access, Session};

/// Says how the store is; exit 1 if it cannot be expected to work.
pub(crate) async fn run(global: &Global, out: Output) -> Outcome {
    let session = Session::open(global, out, Access::Read).await?;
    let identity = session.store.identity().clone();
    let result = async { Ok(session.store.health().await?) }.await;
    let health = session.close(result).await?;

    let mut text =
        format!("{}  {}", if health.ready { "ready" } else { "not ready" }, identity.location);
    let mut details = Map::new();
    let facts = [
        ("backend".into(), identity.backend.to_owned()),
        ("store".into(), identity.uuid.to_string()),
        ("format".into(), identity.format.to_string()),
    ];
    let facts: Vec<_> = facts.into_iter().chain(health.details).collect();
    let width = facts.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    for (name, value) in facts {
        let _ = write!(text, "\n  {name:<width$} {value}");
        details.insert(name.into_owned(), Value::String(value));
    }
    let json = json!({
        "ready": health.ready,
        "location": identity.location,
        "details": details,
    });
    out.result(text, &json)?;
    Ok(if health.ready { Exit::Done } else { Exit::Failed })
}

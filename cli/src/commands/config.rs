//! `config`.

use std::fmt::Write;

use clap::Subcommand;
use pinstate_core::ErrorKind;
use pinstate_core::config::OpenOptions;
use serde_json::{Map, Value, json};

use crate::args::Global;
use crate::exit::{Exit, Failure, Outcome};
use crate::output::Output;
use crate::session::Choice;

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Show it: the file, the default store, and every store with its settings
    Show,
    /// Open every configured store that exists, and say what is wrong
    Check,
}

/// Runs one of them.
pub(crate) async fn run(global: &Global, command: ConfigCommand, out: Output) -> Outcome {
    let choice = Choice::new(global)?;
    match command {
        ConfigCommand::Show => show(&choice, out),
        ConfigCommand::Check => check(&choice, out).await,
    }
}

fn show(choice: &Choice, out: Output) -> Outcome {
    let file = choice.file.as_ref().map(|file| file.display().to_string());
    let used = choice.store()?;
    let mut text = format!("file:  {}", file.as_deref().unwrap_or("none"));
    let _ = write!(text, "\nstore: {used}");
    let mut stores = Map::new();
    for (name, store) in &choice.config.stores {
        let _ = write!(text, "\n\n{name}\n  {:<18} {}", "backend", store.backend);
        let mut settings = Map::new();
        for (key, value) in store.settings.shown() {
            let _ = write!(text, "\n  {key:<18} {value}  ({})", store.settings.place(key));
            settings.insert(key.to_owned(), Value::String(value));
        }
        stores.insert(name.clone(), json!({ "backend": store.backend, "settings": settings }));
    }
    let json = json!({
        "file": file,
        "store": used,
        "default_store": choice.config.default_store,
        "stores": stores,
    });
    out.result(text, &json)?;
    Ok(Exit::Done)
}

/// Every store is tried, so that one mistake does not hide another.
async fn check(choice: &Choice, out: Output) -> Outcome {
    let mut exit = Exit::Done;
    let mut lines = out.lines();
    for name in choice.config.stores.keys() {
        let opened = choice.registry.open(&choice.config, name, OpenOptions::new()).await;
        let (state, wrong) = match opened {
            Ok(store) => {
                store.close().await?;
                ("good".to_owned(), None)
            }
            Err(error) if error.kind() == ErrorKind::NoStore => {
                ("not created yet".to_owned(), None)
            }
            Err(error) if error.kind() == ErrorKind::Locked => ("in use".to_owned(), None),
            Err(error) => (error.message().to_owned(), Some(error)),
        };
        lines.result(
            format_args!("{name}  {state}"),
            &json!({ "store": name, "good": wrong.is_none(), "state": state }),
        )?;
        if let Some(error) = wrong {
            exit = Failure::from(error).exit();
        }
    }
    lines.finish()?;
    if choice.config.stores.is_empty() {
        out.note("no store is configured");
    }
    Ok(exit)
}

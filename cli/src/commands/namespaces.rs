//! `namespaces`.

use clap::Subcommand;
use pinstate_core::NamespaceName;
use serde_json::json;

use crate::args::{Global, namespace};
use crate::exit::{Exit, Failure, Outcome};
use crate::output::Output;
use crate::session::{Access, Session};

/// What to do with namespaces.
#[derive(Debug, Subcommand)]
pub(crate) enum NamespacesCommand {
    /// Show the namespaces of the store
    List,
    /// Make an empty namespace; a missing store is created
    Create {
        /// 1 to 48 of a-z, 0-9, '_' and '-', beginning with a letter or digit
        #[arg(value_parser = namespace)]
        name: NamespaceName,
    },
    /// Remove a namespace with all its pins
    Drop {
        /// Its name
        #[arg(value_parser = namespace)]
        name: NamespaceName,
        /// Really do it
        #[arg(long)]
        yes: bool,
    },
}

/// Runs one of them.
pub(crate) async fn run(global: &Global, command: NamespacesCommand, out: Output) -> Outcome {
    match command {
        NamespacesCommand::List => list(global, out).await,
        NamespacesCommand::Create { name } => create(global, &name, out).await,
        NamespacesCommand::Drop { name, yes } => drop(global, &name, yes, out).await,
    }
}

async fn list(global: &Global, out: Output) -> Outcome {
    let session = Session::open(global, out, Access::Read).await?;
    let result = async { Ok(session.store.list_namespaces().await?) }.await;
    let mut lines = out.lines();
    for namespace in session.close(result).await? {
        lines.result(&namespace.name, &json!({ "namespace": namespace.name }))?;
    }
    lines.finish()?;
    Ok(Exit::Done)
}

async fn create(global: &Global, name: &NamespaceName, out: Output) -> Outcome {
    let session = Session::open(global, out, Access::Create).await?;
    let result = async { Ok(session.store.create_namespace(name).await?) }.await;
    session.close(result).await?;
    out.result(format_args!("created {name}"), &json!({ "created": name }))?;
    Ok(Exit::Done)
}

async fn drop(global: &Global, name: &NamespaceName, yes: bool, out: Output) -> Outcome {
    if !yes {
        return Err(Failure::usage(format!(
            "this removes the namespace '{name}' and all pins in it: say --yes to do it"
        )));
    }
    let session = Session::open(global, out, Access::Modify).await?;
    let result = async { Ok(session.store.drop_namespace(name).await?) }.await;
    session.close(result).await?;
    out.result(format_args!("dropped {name}"), &json!({ "dropped": name }))?;
    Ok(Exit::Done)
}

//! `schema`: keyspaces and tables of a store on a CQL cluster.

use std::fmt::Write;

use crate::backends::cql::{Dialect, SchemaReport, ScyllaConfig};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use crate::args::Global;
use crate::backends::cql;
use crate::exit::{Exit, Outcome};
use crate::output::Output;
use crate::session::Choice;

/// What to do with the schema.
#[derive(Debug, Subcommand)]
pub(crate) enum SchemaCommand {
    /// Print the CQL that makes it, for a database administrator to run
    Show(ShowArgs),
    /// Make what is missing: both keyspaces, the table of control records, the namespace
    /// 'default'. Doing it again changes nothing
    Create(Replicated),
    /// Compare it with what this program needs, and list what nothing uses
    Check,
    /// Bring it to what this program needs, and remove tables that died processes have left
    Upgrade,
}

/// Options of what makes keyspaces.
#[derive(Debug, Args)]
pub(crate) struct Replicated {
    /// Replicas in each datacenter, such as dc1=3,dc2=3 [default: as configured]
    #[arg(long, value_name = "DC=N,…")]
    replication: Option<String>,
}

/// Options of `schema show`.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    replicated: Replicated,
    /// For which server; without it the cluster is asked
    #[arg(long, value_enum)]
    dialect: Option<For>,
}

/// Which server the text is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum For {
    /// ScyllaDB
    Scylla,
    /// Apache Cassandra
    Cassandra,
}

impl From<For> for Dialect {
    fn from(server: For) -> Self {
        match server {
            For::Scylla => Self::Scylla,
            For::Cassandra => Self::Cassandra,
        }
    }
}

/// Runs one of them.
pub(crate) async fn run(global: &Global, command: SchemaCommand, out: Output) -> Outcome {
    let mut config = Choice::new(global)?.scylla()?;
    match command {
        SchemaCommand::Show(args) => show(config, args, out).await,
        SchemaCommand::Create(args) => {
            take(&mut config, args);
            told(cql::create_schema(&config).await?, &[], out)
        }
        SchemaCommand::Check => told(cql::check_schema(&config).await?, &[], out),
        SchemaCommand::Upgrade => {
            let (report, removed) = cql::upgrade_schema(&config).await?;
            told(report, &removed, out)
        }
    }
}

fn take(config: &mut ScyllaConfig, args: Replicated) {
    if args.replication.is_some() {
        config.replication = args.replication;
    }
}

async fn show(mut config: ScyllaConfig, args: ShowArgs, out: Output) -> Outcome {
    take(&mut config, args.replicated);
    let dialect = args.dialect.map(Dialect::from);
    let mut lines = out.lines();
    for statement in cql::show_schema(&config, dialect).await? {
        lines.result(format_args!("{statement};"), &json!({ "cql": statement }))?;
    }
    lines.finish()?;
    Ok(Exit::Done)
}

fn told(report: SchemaReport, removed: &[String], out: Output) -> Outcome {
    let good = report.problems.is_empty();
    let mut text = format!(
        "{}  {} on {}, schema {}",
        if good { "good" } else { "not good" },
        report.keyspace,
        report.dialect,
        report.schema
    );
    let mut fact = |name: &str, value: &dyn std::fmt::Display| {
        let _ = write!(text, "\n  {name:<12} {value}");
    };
    fact("store", &report.store);
    fact("control", &report.control_keyspace);
    fact("replication", &report.replication);
    for (name, table) in &report.namespaces {
        fact("namespace", &format_args!("{name} in {table}"));
    }
    for table in report.left_over.iter().filter(|table| !removed.contains(table)) {
        fact("unused", table);
    }
    for table in removed {
        fact("removed", table);
    }
    for problem in &report.problems {
        fact("problem", problem);
    }
    let mut json = serde_json::to_value(&report).unwrap_or_default();
    if let Some(object) = json.as_object_mut() {
        object.insert("removed".to_owned(), json!(removed));
    }
    out.result(text, &json)?;
    Ok(if good { Exit::Done } else { Exit::Failed })
}

//! `mirror start`: a mirror in a process of its own, for batch jobs and to try it out.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use pinstate_core::{NamespaceName, Store};
use pinstate_migrate::mirror::{Control, Mirror, MirrorOptions, Policy};

use crate::args::{Global, namespace};
use crate::exit::{Exit, Failure, Outcome};
use crate::observe::MetricsArgs;
use crate::output::Output;
use crate::session::{Access, Choice, Session, reload_at_hangup};
use crate::signal;

/// Open both stores and do what is asked through the job's folder, until interrupted.
///
/// It writes nothing of its own but copies and repairs, so it moves a pinset that nobody else
/// writes to, or is there to try the steps. A service moves its own with the library inside.
#[derive(Debug, Args)]
pub(crate) struct StartArgs {
    /// The store that is left, by URI or name
    #[arg(long, value_name = "NAME|URI")]
    from: String,
    /// The store that is entered, by URI or name
    #[arg(long, value_name = "NAME|URI")]
    to: String,
    /// The job's folder. One that is there goes on where it was
    #[arg(long, value_name = "DIR")]
    job: PathBuf,
    /// Namespace of the target [default: that of --namespace]
    #[arg(long, value_name = "NAME", value_parser = namespace)]
    to_namespace: Option<NamespaceName>,
    /// When a write is acknowledged
    #[arg(long, value_enum, default_value_t)]
    policy: Acknowledged,
    #[command(flatten)]
    metrics: MetricsArgs,
    /// Begin although the target has records. What the source has not is deleted there
    #[arg(long)]
    overwrite: bool,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Acknowledged {
    /// When both stores have it
    #[default]
    Strict,
    /// When the store that answers has it; the other is repaired later
    Journal,
}

pub(super) async fn run(global: &Global, args: StartArgs, out: Output) -> Outcome {
    if args.from == args.to {
        return Err(Failure::usage("a mirror needs two stores"));
    }
    let _metrics = args.metrics.serve(global, out).await?;
    let stop = signal::watch();
    let _reload = reload_at_hangup(global, [args.from.clone(), args.to.clone()], out);
    let open = async |what: &str, access: Access| {
        let mut choice = Choice::new(global)?;
        choice.named = Some(what.to_owned());
        Session::open_choice(choice, global, out, access).await
    };
    let source = open(&args.from, Access::Modify).await?;
    let target = match open(&args.to, Access::Create).await {
        Ok(target) => target,
        Err(failure) => return source.close(Err(failure)).await,
    };
    let mut options = MirrorOptions::new().with_policy(match args.policy {
        Acknowledged::Strict => Policy::Strict,
        Acknowledged::Journal => Policy::Journal,
    });
    options.overwrite = args.overwrite;
    let result = async {
        // Says what to do where there is none.
        source.namespace().await?;
        let side = |session: &Session, name: &NamespaceName| -> (Arc<dyn Store>, NamespaceName) {
            (Arc::clone(&session.store), name.clone())
        };
        let to = args.to_namespace.as_ref().unwrap_or(&global.namespace);
        let mirror =
            Mirror::open(side(&source, &global.namespace), side(&target, to), &args.job, options)
                .await?;
        let control = Control::listen(&mirror)?;
        out.note(format_args!(
            "the mirror is in the phase '{}' and listens in {}",
            mirror.status().phase,
            args.job.display()
        ));
        tokio::select! {
            () = control.serve() => {}
            () = stop.stopped() => {}
        }
        mirror.close().await;
        Ok(Exit::Done)
    }
    .await;
    let result = target.close(result).await;
    source.close(result).await
}

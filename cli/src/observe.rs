//! Metrics of commands that run for long.

use std::net::SocketAddr;
use std::sync::Arc;

use clap::Args;
use pinstate_core::Operation;
use pinstate_core::layer::Layers;
use pinstate_metrics::{Endpoint, Metrics};

use crate::args::Global;
use crate::exit::{Failure, Outcome};
use crate::output::Output;
use crate::session::Choice;

/// Where they are.
#[derive(Debug, Args)]
pub(crate) struct MetricsArgs {
    /// Serve metrics for Prometheus on this address, under /metrics, while this runs [default:
    /// 'metrics.listen' of the configuration, else none are served]
    #[arg(long, value_name = "ADDR")]
    metrics: Option<SocketAddr>,
}

impl MetricsArgs {
    /// Serves metrics until what is given back is dropped, if anybody asked for them: of the
    /// stores that are opened from now on.
    pub(crate) async fn serve(&self, global: &Global, out: Output) -> Outcome<Option<Endpoint>> {
        let configured = || Ok::<_, Failure>(Choice::new(global)?.config.metrics.listen);
        let Some(address) = self.metrics.map_or_else(configured, |address| Ok(Some(address)))?
        else {
            return Ok(None);
        };
        let metrics = Arc::clone(global.metrics.get_or_init(Arc::default));
        let endpoint = Endpoint::listen(address, metrics).await.map_err(|error| {
            let what = format!("metrics cannot be served on {address}");
            Failure::file(Operation::Configure, what, error)
        })?;
        out.note(format_args!("metrics are at http://{}/metrics", endpoint.address()));
        Ok(Some(endpoint))
    }
}

/// Layers that tell of what a store does, if anybody asked for it.
pub(crate) fn observed(layers: Layers, global: &Global) -> Layers {
    let metrics = global.metrics.get();
    layers.with_observer(metrics.map(|metrics| Arc::<Metrics>::clone(metrics) as _))
}

//! What stores do, as traces for OpenTelemetry: the spans of the layers around a store
//! ([`Layers::with_spans`](pinstate_core::layer::Layers::with_spans)), sent to a collector as OTLP
//! over HTTP with protobuf.
//!
//! Sending is somebody else's work: a thread of its own sends what stands in a bounded queue, and
//! what does not fit in is dropped and counted. A collector that cannot be reached is told once,
//! as a warning, and holds nobody up.
//!
//! [`TracesConfig`] says where spans go, and where it does not the variables do that every program
//! with OpenTelemetry knows: `OTEL_EXPORTER_OTLP_ENDPOINT`, `_HEADERS`, `_TIMEOUT` and
//! `_PROTOCOL` (`http/protobuf` alone), each also as `OTEL_EXPORTER_OTLP_TRACES_…`;
//! `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES`; `OTEL_TRACES_SAMPLER` and its `_ARG`;
//! `OTEL_BSP_…` for queue and batches; `OTEL_TRACES_EXPORTER` and `OTEL_SDK_DISABLED`.
//!
//! ```no_run
//! use pinstate_core::config::TracesConfig;
//! use pinstate_traces::{Traces, is_ours};
//! use tracing_subscriber::filter::{FilterFn, LevelFilter};
//! use tracing_subscriber::layer::{Layer, SubscriberExt};
//! use tracing_subscriber::util::SubscriberInitExt;
//!
//! # fn main() -> Result<(), pinstate_core::Error> {
//! let traces = Traces::start(&TracesConfig::default())?;
//! let ours = FilterFn::new(is_ours).with_max_level_hint(LevelFilter::DEBUG);
//! let spans = traces.as_ref().map(|traces| traces.layer().with_filter(ours));
//! tracing_subscriber::registry().with(spans).init();
//! // … open a store, put `Layers::standard()` around it, work with it …
//! if let Some(traces) = traces {
//!     traces.end();
//! }
//! # Ok(())
//! # }
//! ```

mod client;
mod counted;
mod setup;

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use pinstate_core::Result;
use pinstate_core::config::TracesConfig;
use tracing::{Metadata, Subscriber, warn};
use tracing_subscriber::Layer;
use tracing_subscriber::registry::LookupSpan;

use self::counted::Counts;
use self::setup::Setup;

/// Spans under way to a collector.
#[derive(Debug)]
pub struct Traces {
    provider: SdkTracerProvider,
    counts: Arc<Counts>,
    timeout: Duration,
}

/// Whether something is a span of this house. Its events are what logs are for: they name keys.
#[must_use]
pub fn is_ours(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.target().starts_with("pinstate")
}

impl Traces {
    /// Begins to send, if the configuration or the environment says where to: `None` where
    /// neither does.
    ///
    /// # Errors
    /// `Config` for what makes no sense. A collector that cannot be reached is none.
    pub fn start(config: &TracesConfig) -> Result<Option<Self>> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Setup::read(config, variable)?.map(Setup::start).transpose()
    }

    /// What takes the spans in.
    #[must_use]
    pub fn layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer("pinstate"))
            .with_context_activation(false)
            .with_location(false)
            .with_target(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
    }

    /// Sends what is left, for at most as long as one request may take (3 s unless the
    /// environment says another time). What was lost is told as a warning, and given back: how
    /// many spans were not sent, of how many.
    pub fn end(&self) -> (u64, u64) {
        let _ = self.provider.shutdown_with_timeout(self.timeout);
        let (lost, all) = self.counts.lost();
        if lost > 0 {
            warn!("{lost} of {all} spans have not been sent");
        }
        (lost, all)
    }
}

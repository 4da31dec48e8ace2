//! The traces of a command, from the moment the configuration was read to its end.

use std::sync::OnceLock;

use pinstate_core::config::TracesConfig;
use pinstate_traces::{Traces, is_ours};
use tracing::level_filters::LevelFilter;
use tracing::{Metadata, warn};
use tracing_subscriber::filter::FilterFn;
use tracing_subscriber::{Layer, Registry, reload};

use crate::signal;

type Spans = Box<dyn Layer<Registry> + Send + Sync>;
type Which = FilterFn<fn(&Metadata<'_>) -> bool>;

/// Begins to listen to spans.
struct Listen {
    spans: reload::Handle<Option<Spans>, Registry>,
    which: reload::Handle<Which, Registry>,
}

static LISTEN: OnceLock<Listen> = OnceLock::new();

/// What is sent, once the configuration was read; none where nobody wants it.
static TRACES: OnceLock<Option<Traces>> = OnceLock::new();

fn which(which: fn(&Metadata<'_>) -> bool, most: LevelFilter) -> Which {
    FilterFn::new(which).with_max_level_hint(most)
}

/// The layer that spans are sent through, which lets none in until somebody wants them.
pub(crate) fn layer() -> impl Layer<Registry> + Send + Sync {
    let (spans, listen) = reload::Layer::new(None);
    let (filter, filters) = reload::Layer::new(which(|_| false, LevelFilter::OFF));
    let _ = LISTEN.set(Listen { spans: listen, which: filters });
    spans.with_filter(filter)
}

/// Sends spans from now on, if the configuration or the environment says where to. What was read
/// first holds.
pub(crate) fn configure(config: &TracesConfig) {
    TRACES.get_or_init(|| {
        // The work is more important than what is said of it.
        let traces = Traces::start(config).inspect_err(|error| warn!("no traces: {error}"));
        let traces = traces.ok()??;
        let listen = LISTEN.get()?;
        // Both fail only where the subscriber is gone, and it is there to the end.
        let _ = listen.spans.reload(Some(traces.layer().boxed()));
        let _ = listen.which.reload(which(is_ours, LevelFilter::DEBUG));
        signal::before_the_end(end);
        Some(traces)
    });
}

/// Whether spans are sent.
pub(crate) fn wanted() -> bool {
    TRACES.get().is_some_and(Option::is_some)
}

/// Sends what is left.
pub(crate) fn end() {
    if let Some(Some(traces)) = TRACES.get() {
        traces.end();
    }
}

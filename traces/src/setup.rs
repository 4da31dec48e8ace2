//! Where spans go, from what the configuration and the environment say.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::{Key, KeyValue};
use opentelemetry_otlp::{Protocol, RetryPolicy, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchSpanProcessor, Sampler, SdkTracerProvider};
use pinstate_core::Result;
use pinstate_core::config::{TracesConfig, invalid};

use crate::Traces;
use crate::client::Client;
use crate::counted::{Counted, Counts, Told};

/// Longest time for a request, where the environment does not say it.
const TIMEOUT: Duration = Duration::from_secs(3);

/// The one protocol.
const PROTOCOL: &str = "http/protobuf";

/// What is known before anything is begun. What is said nowhere here the libraries read from the
/// environment themselves.
#[derive(Debug)]
pub(crate) struct Setup {
    config: TracesConfig,
    timeout: Duration,
}

impl Setup {
    /// Reads the configuration, and the variables of the environment where it says nothing.
    pub(crate) fn read(
        config: &TracesConfig,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>> {
        // What a variable says of traces, or else the one that says it of everything.
        let otlp = |name: &str| {
            variable(&format!("OTEL_EXPORTER_OTLP_TRACES_{name}"))
                .or_else(|| variable(&format!("OTEL_EXPORTER_OTLP_{name}")))
        };
        if variable("OTEL_SDK_DISABLED").is_some_and(|it| it.eq_ignore_ascii_case("true")) {
            return Ok(None);
        }
        if config.endpoint.is_none() {
            let elsewhere = variable("OTEL_TRACES_EXPORTER").is_some_and(|name| name != "otlp");
            if elsewhere || otlp("ENDPOINT").is_none() {
                return Ok(None);
            }
            if let Some(protocol) = otlp("PROTOCOL").filter(|protocol| protocol != PROTOCOL) {
                return Err(invalid(format!(
                    "OTEL_EXPORTER_OTLP_PROTOCOL is '{protocol}', and spans are sent as \
                     {PROTOCOL} alone: set it to that, with the port that the collector takes it on"
                )));
            }
        }
        let timeout = match otlp("TIMEOUT") {
            None => TIMEOUT,
            Some(ms) => Duration::from_millis(ms.parse().map_err(|_| {
                invalid(format!("OTEL_EXPORTER_OTLP_TIMEOUT is '{ms}', and no whole milliseconds"))
            })?),
        };
        Ok(Some(Self { config: config.clone(), timeout }))
    }

    /// Begins to send.
    pub(crate) fn start(self) -> Result<Traces> {
        let Self { config, timeout } = self;
        let counts = Arc::new(Counts::default());
        let headers = config.headers.iter().flatten();
        let headers = headers.map(|(name, value)| (name.clone(), value.expose().to_owned()));
        let mut builder = SpanExporter::builder()
            .with_http()
            .with_http_client(Client::new(timeout, Arc::clone(&counts.cause)))
            .with_protocol(Protocol::HttpBinary)
            .with_timeout(timeout)
            // The next batch is the next try: whoever waits for the end is not kept waiting.
            .with_retry_policy(RetryPolicy::default().with_max_retries(1))
            .with_headers(headers.collect());
        if let Some(url) = config.url() {
            builder = builder.with_endpoint(url);
        }
        let inner = builder.build().map_err(|error| invalid(error.to_string()))?;
        let inner = Told { inner, counts: Arc::clone(&counts) };
        // Its queue is bounded, and what does not fit in is dropped: nobody waits for it.
        let inner = BatchSpanProcessor::builder(inner).build();
        let builder = SdkTracerProvider::builder()
            .with_resource(resource(&config))
            .with_span_processor(Counted { inner, counts: Arc::clone(&counts) });
        let provider = match config.sample {
            // An attempt is traced where its operation is.
            Some(part) => builder
                .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(part)))),
            None => builder,
        };
        Ok(Traces { provider: provider.build(), counts, timeout })
    }
}

/// Who sends.
fn resource(config: &TracesConfig) -> Resource {
    // The environment may name the service and more.
    let environment = Resource::builder().build();
    let named = environment.get(&Key::from_static_str("service.name"));
    let named = named.map(|name| name.to_string()).filter(|name| !name.starts_with("unknown_"));
    let name = config.service_name.clone().or(named).unwrap_or_else(|| "pinstate".to_owned());
    Resource::builder()
        .with_service_name(name)
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attribute(KeyValue::new("service.instance.id", uuid::Uuid::new_v4().to_string()))
        .build()
}

#[cfg(test)]
mod tests;

//! Whether spans are sent, and how.

use super::*;

/// What comes of an environment and an endpoint in the configuration: nothing, a time for each
/// request in milliseconds, or an error.
fn read(endpoint: Option<&str>, variables: &[(&str, &str)]) -> Result<Option<u128>> {
    let mut config = TracesConfig::default();
    config.endpoint = endpoint.map(str::to_owned);
    let variable = |name: &str| {
        variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    };
    Ok(Setup::read(&config, variable)?.map(|setup| setup.timeout.as_millis()))
}

const COLLECTOR: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");

#[test]
fn nothing_is_sent_unless_somebody_says_where_to() {
    assert_eq!(read(None, &[]).unwrap(), None);
    assert_eq!(read(None, &[("OTEL_TRACES_EXPORTER", "otlp")]).unwrap(), None);
    let usual = Some(TIMEOUT.as_millis());
    assert_eq!(read(Some("http://here:4318"), &[]).unwrap(), usual);
    assert_eq!(read(None, &[COLLECTOR]).unwrap(), usual);
    let traces = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://collector:4318/v1/traces");
    assert_eq!(read(None, &[traces]).unwrap(), usual);
}

#[test]
fn the_environment_can_turn_it_off() {
    for name in ["none", "zipkin"] {
        let exporter = ("OTEL_TRACES_EXPORTER", name);
        assert_eq!(read(None, &[COLLECTOR, exporter]).unwrap(), None);
        // What the configuration says comes first.
        assert!(read(Some("http://here:4318"), &[exporter]).unwrap().is_some());
    }
    let off = ("OTEL_SDK_DISABLED", "true");
    assert_eq!(read(Some("http://here:4318"), &[COLLECTOR, off]).unwrap(), None);
}

#[test]
fn a_protocol_that_is_not_spoken_is_refused_where_it_is_meant() {
    let grpc = ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    let error = read(None, &[COLLECTOR, grpc]).unwrap_err().to_string();
    assert!(error.contains("'grpc'") && error.contains(PROTOCOL), "{error}");
    let traces = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", PROTOCOL);
    assert!(read(None, &[COLLECTOR, grpc, traces]).unwrap().is_some());
    assert!(read(Some("http://here:4318"), &[grpc]).unwrap().is_some());
}

#[test]
fn a_request_takes_as_long_as_the_environment_says() {
    let all = ("OTEL_EXPORTER_OTLP_TIMEOUT", "700");
    assert_eq!(read(None, &[COLLECTOR, all]).unwrap(), Some(700));
    let traces = ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "70");
    assert_eq!(read(None, &[COLLECTOR, all, traces]).unwrap(), Some(70));
    let wrong = ("OTEL_EXPORTER_OTLP_TIMEOUT", "3s");
    assert!(read(None, &[COLLECTOR, wrong]).unwrap_err().to_string().contains("'3s'"));
}

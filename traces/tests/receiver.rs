//! Spans as they arrive: a store under its layers, and a receiver that reads what is sent to it
//! with OpenTelemetry's own types.

#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use pinstate_core::config::{Config, TracesConfig};
use pinstate_core::layer::Layers;
use pinstate_core::*;
use pinstate_memory::{MemoryConfig, MemoryStore};
use pinstate_traces::{Traces, is_ours};
use prost::Message;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::FilterFn;
use tracing_subscriber::layer::{Layer, SubscriberExt};

const CID: &str = "bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e";

/// A request: its head, with all names in lower case, and its body.
struct Request {
    head: Vec<String>,
    body: Vec<u8>,
}

/// What the last connection to a receiver says.
const ENOUGH: [u8; 6] = *b"enough";

/// Takes connections until one says that it is enough.
fn receive(listener: TcpListener, status: &'static str) -> JoinHandle<Vec<Request>> {
    receive_within(listener, status, |stream| stream)
}

/// The same within another protocol.
fn receive_within<S: Read + Write>(
    listener: TcpListener,
    status: &'static str,
    within: impl Fn(TcpStream) -> S + Send + 'static,
) -> JoinHandle<Vec<Request>> {
    std::thread::spawn(move || {
        let mut requests = Vec::new();
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            let mut first = [0; ENOUGH.len()];
            if stream.peek(&mut first).is_ok() && first == ENOUGH {
                return requests;
            }
            let mut stream = BufReader::new(within(stream));
            while let Some(request) = read(&mut stream) {
                requests.push(request);
                let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
                stream.get_mut().write_all(answer.as_bytes()).unwrap();
            }
        }
        requests
    })
}

fn read(stream: &mut BufReader<impl Read>) -> Option<Request> {
    let head: Vec<String> = stream
        .by_ref()
        .lines()
        .map_while(std::result::Result::ok)
        .take_while(|line| !line.is_empty())
        .map(|line| line.to_lowercase())
        .collect();
    head.first()?;
    let length = head.iter().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).unwrap();
    Some(Request { head, body })
}

/// Puts a pin and looks for another one while spans are sent, and gives the counts of those that
/// were lost, and of all.
fn work(traces: &Traces) -> (u64, u64) {
    // What is to be recorded is decided once for each place in the code, for all subscribers there
    // are: one that comes at that moment may miss a span. A program has one from its beginning on.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let ours = FilterFn::new(is_ours).with_max_level_hint(LevelFilter::DEBUG);
    let subscriber = tracing_subscriber::registry().with(traces.layer().with_filter(ours));
    let _default = tracing::subscriber::set_default(subscriber);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = MemoryStore::open(&MemoryConfig::default()).unwrap();
        let store = Layers::standard().apply(Arc::new(store));
        let name = NamespaceName::default();
        store.open_namespace(&name).await.unwrap_err();
        store.create_namespace(&name).await.unwrap();
        let pins = store.open_namespace(&name).await.unwrap();
        let key = Key::copy_from(CID.parse::<pin::Cid>().unwrap().as_bytes());
        let put = Put::new(key, "a-value", Version(1));
        pins.put(put, WriteOptions::new()).await.unwrap();
    });
    traces.end()
}

/// The configuration, as a file says it.
fn config(text: &str) -> TracesConfig {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    std::fs::write(&file, format!("[traces]\n{text}")).unwrap();
    let config = Config::load(Some(&file), &[]).unwrap();
    config.traces
}

fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

/// Ends a receiver.
fn enough(address: &str) {
    TcpStream::connect(address).unwrap().write_all(&ENOUGH).unwrap();
}

/// Attributes by name, as they are.
fn attributes(of: &[KeyValue]) -> BTreeMap<&str, Value> {
    of.iter().map(|one| (one.key.as_str(), one.value.clone().unwrap().value.unwrap())).collect()
}

fn text(text: &str) -> Value {
    Value::StringValue(text.to_owned())
}

#[test]
fn spans_arrive_as_a_tree_with_numbers_outcomes_and_who_sent_them() {
    let (listener, address) = listen();
    let receiver = receive(listener, "200 OK");
    let config = config(&format!(
        "endpoint = \"http://{address}\"\nservice_name = \"test\"\n\
         headers = {{ authorization = \"Bearer hunter2\" }}\n"
    ));
    let traces = Traces::start(&config).unwrap().unwrap();
    assert_eq!(work(&traces), (0, 8));
    enough(&address);
    let requests = receiver.join().unwrap();
    let [Request { head, body }] = &requests[..] else { panic!("{} requests", requests.len()) };
    assert_eq!(head[0], "post /v1/traces http/1.1");
    for line in ["content-type: application/x-protobuf", "authorization: bearer hunter2"] {
        assert!(head.iter().any(|known| known == line), "{line} in {head:?}");
    }

    let sent = ExportTraceServiceRequest::decode(&body[..]).unwrap().resource_spans;
    let [sent] = &sent[..] else { panic!("{sent:?}") };
    let who = attributes(&sent.resource.as_ref().unwrap().attributes);
    assert_eq!(who["service.name"], text("test"));
    assert_eq!(who["service.version"], text(env!("CARGO_PKG_VERSION")));
    let spans: Vec<&Span> = sent.scope_spans.iter().flat_map(|scope| &scope.spans).collect();
    let (operations, attempts): (Vec<&Span>, Vec<&Span>) =
        spans.iter().partition(|span| span.parent_span_id.is_empty());
    let names: Vec<&str> = operations.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["open_namespace", "create_namespace", "open_namespace", "put"]);
    assert_eq!(attempts.len(), 4);
    for (operation, attempt) in operations.iter().zip(&attempts) {
        assert_eq!(attempt.name, "attempt");
        assert_eq!(attempt.parent_span_id, operation.span_id);
        assert_eq!(attempt.trace_id, operation.trace_id);
        assert_eq!(attributes(&attempt.attributes)["attempt"], Value::IntValue(1));
        assert!(operation.start_time_unix_nano <= attempt.start_time_unix_nano);
        assert!(attempt.end_time_unix_nano <= operation.end_time_unix_nano);
    }
    let (failed, put) = (operations[0], operations[3]);
    assert_eq!(
        attributes(&put.attributes),
        BTreeMap::from([
            ("operation", text("put")),
            ("backend", text("memory")),
            ("namespace", text("default")),
            ("records", Value::IntValue(1)),
            ("attempts", Value::IntValue(1)),
            ("success", Value::BoolValue(true)),
        ])
    );
    let why = attributes(&failed.attributes);
    assert_eq!(why["success"], Value::BoolValue(false));
    assert_eq!(why["kind"], text("no such namespace"));
    assert_eq!(why["outcome"], text("not-applied"));
    // 2 is an error, 0 says nothing.
    let status = |span: &Span| span.status.as_ref().map_or(0, |status| status.code);
    assert_eq!((status(failed), status(put)), (2, 0));

    let key = Key::copy_from(CID.parse::<pin::Cid>().unwrap().as_bytes());
    let all = String::from_utf8_lossy(body);
    for secret in [CID, &key.to_string(), &key.short(), "a-value", "hunter2"] {
        assert!(!all.contains(secret), "{secret}");
    }
    assert!(!format!("{config:?}{traces:?}").contains("hunter2"));
}

#[test]
fn a_part_of_the_operations_is_sent_each_with_its_attempts() {
    let (listener, address) = listen();
    let receiver = receive(listener, "200 OK");
    let config = config(&format!("endpoint = \"http://{address}/\"\nsample = 0.000001\n"));
    let traces = Traces::start(&config).unwrap().unwrap();
    assert_eq!(work(&traces), (0, 0));
    enough(&address);
    assert!(receiver.join().unwrap().is_empty());
}

#[test]
fn what_a_receiver_refuses_is_lost_and_counted() {
    let (listener, address) = listen();
    let receiver = receive(listener, "401 Unauthorized");
    let config = config(&format!("endpoint = \"http://{address}/elsewhere\"\n"));
    let traces = Traces::start(&config).unwrap().unwrap();
    assert_eq!(work(&traces), (8, 8));
    enough(&address);
    let requests = receiver.join().unwrap();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].head[0], "post /elsewhere http/1.1");
}

/// Where a process of this test is to send its spans.
const COLLECTOR: &str = "COLLECTOR_OF_TEST";

/// A certificate for this machine that nobody else has signed, and a server's side with it.
fn certificate() -> (String, Arc<ServerConfig>) {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from(certificate.der().to_vec())],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    (certificate.pem(), Arc::new(config))
}

#[test]
fn spans_go_by_https_to_a_receiver_that_is_trusted_and_to_no_other() {
    if let Ok(endpoint) = std::env::var(COLLECTOR) {
        let traces = Traces::start(&config(&format!("endpoint = \"{endpoint}\"\n")));
        println!("lost and all: {:?}", work(&traces.unwrap().unwrap()));
        return;
    }
    let (pem, server) = certificate();
    let (stranger, _) = certificate();
    let folder = tempfile::tempdir().unwrap();
    // Whom a process trusts is read from its environment, so each has a process.
    for (trusted, counts, arrive) in [(pem, "(0, 8)", 1), (stranger, "(8, 8)", 0)] {
        let file = folder.path().join("trusted.pem");
        std::fs::write(&file, trusted).unwrap();
        let (listener, address) = listen();
        let server = Arc::clone(&server);
        let receiver = receive_within(listener, "200 OK", move |stream| {
            StreamOwned::new(ServerConnection::new(Arc::clone(&server)).unwrap(), stream)
        });
        let name = "spans_go_by_https_to_a_receiver_that_is_trusted_and_to_no_other";
        let told = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(COLLECTOR, format!("https://{address}"))
            .env("SSL_CERT_FILE", &file)
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&told.stdout).into_owned();
        assert!(told.contains(&format!("lost and all: {counts}")), "{told}");
        enough(&address);
        assert_eq!(receiver.join().unwrap().len(), arrive);
    }
}

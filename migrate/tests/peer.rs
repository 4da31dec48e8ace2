//! Reading a peer's stream: what counts as all of it, and what a job keeps of it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use pinstate_core::format::ndjson::{NdjsonDecoder, NdjsonEncoder};
use pinstate_core::format::{Decoder, Encoder, Leniency};
use pinstate_core::pin::{ImportOverrides, Zone};
use pinstate_core::transfer::StopFlag;
use pinstate_core::{Error, ErrorKind, Result, Store};
use pinstate_migrate::job::{
    FileSource, Job, JobFolder, Phase, Settings, Step, Tuning, Watch, plan,
};
use pinstate_migrate::{OpenFile, Peer, PinFile, Pinset};
use rcgen::{CertificateParams, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use support::{all, default, memory, record, target};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// The documents of these pins, as a peer sends them.
fn documents(numbers: std::ops::Range<u64>) -> String {
    let mut text = Vec::new();
    for n in numbers {
        let (key, value) = record(n);
        NdjsonEncoder::new(Zone::Utc).encode(key.as_bytes(), &value, &mut text).unwrap();
    }
    String::from_utf8(text).unwrap()
}

/// An answer in chunks, each of a document, and what stands behind the last.
fn chunked(numbers: std::ops::Range<u64>, end: &str) -> String {
    let mut text = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
                    Trailer: X-Stream-Error\r\nTransfer-Encoding: chunked\r\n\r\n"
        .to_owned();
    for document in documents(numbers).split_inclusive('\n') {
        text.push_str(&format!("{:x}\r\n{document}\r\n", document.len()));
    }
    text + end
}

/// What is behind the last chunk of a stream that is whole.
const WHOLE: &str = "0\r\nX-Stream-Error: \r\n\r\n";

/// Answers one request after the other, and says what was asked first.
async fn serve(mut wire: impl AsyncRead + AsyncWrite + Unpin, answer: &str) -> String {
    let mut asked = Vec::new();
    while !asked.ends_with(b"\r\n\r\n") && wire.read_buf(&mut asked).await.unwrap_or(0) > 0 {}
    let _ = wire.write_all(answer.as_bytes()).await;
    let _ = wire.shutdown().await;
    String::from_utf8_lossy(&asked).into_owned()
}

/// A server on 127.0.0.1 that gives this answer to whoever asks; its port, and what it was
/// asked last.
async fn server(answer: String) -> (u16, Arc<parking_lot::Mutex<String>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Arc::new(parking_lot::Mutex::new(String::new()));
    let told = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((wire, _)) = listener.accept().await {
            *told.lock() = serve(wire, &answer).await;
        }
    });
    (port, asked)
}

async fn count(address: &str) -> Result<u64> {
    PinFile::new("the peer", Box::new(Peer::new(address)?)).count().await
}

async fn count_of(answer: String) -> Result<u64> {
    let (port, _) = server(answer).await;
    count(&format!("http://127.0.0.1:{port}")).await
}

#[tokio::test]
async fn a_stream_counts_once_it_says_that_it_is_whole() {
    assert_eq!(count_of(chunked(0..50, WHOLE)).await.unwrap(), 50);
    // A header may be in any case.
    let lower = "0\r\nx-stream-error:\r\n\r\n";
    assert_eq!(count_of(chunked(0..1, lower)).await.unwrap(), 1);
    let nothing = "HTTP/1.1 204 No Content\r\nTrailer: X-Stream-Error\r\n\r\n";
    assert_eq!(count_of(nothing.to_owned()).await.unwrap(), 0);
}

#[tokio::test]
async fn a_stream_that_was_cut_anywhere_is_an_error() {
    let whole = chunked(0..3, WHOLE);
    let body = whole.find("\r\n\r\n").unwrap() + 4;
    for length in 0..whole.len() {
        let result = count_of(whole[..length].to_owned()).await;
        let error = result.expect_err(&format!("cut at {length} of {}", whole.len()));
        let kind = if length < body { ErrorKind::Unavailable } else { ErrorKind::Io };
        assert_eq!(error.kind(), kind, "cut at {length}: {error}");
    }
}

#[tokio::test]
async fn a_stream_that_ends_well_without_its_trailer_is_an_error() {
    let document = documents(0..1);
    let with_length = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{document}",
        document.len()
    );
    let until_closed = format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{document}");
    for answer in [
        chunked(0..3, "0\r\n\r\n"),
        chunked(0..3, "0\r\nX-Other: \r\n\r\n"),
        chunked(0..3, "0\r\nX-Stream-Error: context canceled\r\n\r\n"),
        with_length,
        until_closed,
    ] {
        let error = count_of(answer.clone()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io, "{answer}: {error}");
        let told = error.to_string();
        assert!(told.contains("X-Stream-Error") || told.contains("context canceled"), "{told}");
    }
}

#[tokio::test]
async fn a_refusal_says_what_to_do() {
    let answer = |status: &str, more: &str, body: &str| {
        format!("HTTP/1.1 {status}\r\n{more}Content-Length: {}\r\n\r\n{body}", body.len())
    };
    let message = r#"{"code":500,"message":"the consensus\nis gone"}"#;
    for (answer, kind, told) in [
        (
            answer("500 Internal Server Error", "", message),
            ErrorKind::Unavailable,
            "the consensus\\n",
        ),
        (answer("401 Unauthorized", "", ""), ErrorKind::PermissionDenied, "USER"),
        (answer("404 Not Found", "", "<html>"), ErrorKind::InvalidInput, "9094"),
        (
            answer("307 Temporary Redirect", "Location: /elsewhere\r\n", ""),
            ErrorKind::InvalidInput,
            "/elsewhere",
        ),
        ("SSH-2.0-OpenSSH_9.2\r\n".to_owned(), ErrorKind::Unavailable, "does not answer"),
    ] {
        let error = count_of(answer).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(told), "{error}");
    }
    let nobody = count("http://127.0.0.1:1").await.unwrap_err();
    assert_eq!(nobody.kind(), ErrorKind::Unavailable, "{nobody}");
}

#[tokio::test]
async fn a_peer_that_is_silent_is_given_up() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let error = count(&format!("http://127.0.0.1:{port}?timeout=1")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
}

#[tokio::test]
async fn a_user_is_named_and_the_password_is_nowhere_else() {
    let (port, asked) = server(chunked(0..1, WHOLE)).await;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, "hunter2\n").unwrap();
    let basic = data_encoding::BASE64.encode(b"me:hunter2");
    for address in [
        format!("http://me:hunter2@127.0.0.1:{port}/api"),
        format!("http://me@127.0.0.1:{port}/api?password_file={}", file.display()),
    ] {
        assert_eq!(count(&address).await.unwrap(), 1);
        let asked = asked.lock().to_lowercase();
        assert!(asked.starts_with("get /api/allocations?filter=all http/1.1\r\n"), "{asked}");
        assert!(asked.contains(&format!("authorization: basic {}", basic.to_lowercase())));
        assert!(asked.contains("te: trailers"), "{asked}");
        let peer = Peer::new(&address).unwrap();
        assert!(!format!("{peer:?} {}", peer.location()).contains("hunter2"));
    }
    std::fs::remove_file(&file).unwrap();
    let address = format!("http://me@127.0.0.1:{port}?password_file={}", file.display());
    let error = count(&address).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
}

/// A server with a certificate of its own for 127.0.0.1, and the file of its authority.
async fn encrypted(folder: &Path, answer: String) -> (u16, String) {
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().self_signed(&key).unwrap();
    let path = folder.join("ca.pem");
    std::fs::write(&path, certificate.pem()).unwrap();
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
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((wire, _)) = listener.accept().await {
            if let Ok(wire) = acceptor.accept(wire).await {
                serve(wire, &answer).await;
            }
        }
    });
    (port, path.display().to_string())
}

#[tokio::test]
async fn an_encrypted_peer_is_checked() {
    let folder = TempDir::new().unwrap();
    let (port, authority) = encrypted(folder.path(), chunked(0..5, WHOLE)).await;
    let at = |host: &str| format!("https://{host}:{port}?ca_file={authority}");
    assert_eq!(count(&at("127.0.0.1")).await.unwrap(), 5);
    let (_, other) = {
        let elsewhere = folder.path().join("other");
        std::fs::create_dir(&elsewhere).unwrap();
        encrypted(&elsewhere, String::new()).await
    };
    for wrong in [at("localhost"), format!("https://127.0.0.1:{port}?ca_file={other}")] {
        let error = count(&wrong).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert!(error.to_string().contains("certificate"), "{error}");
    }
    let error = count(&format!("https://127.0.0.1:{port}?ca_file=/nowhere")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
}

/// A stream that has other pins each time that it is read.
struct Passing {
    times: AtomicU64,
    fails: bool,
}

impl OpenFile for Passing {
    fn open(&self) -> Result<(Box<dyn AsyncRead + Send + Unpin>, Box<dyn Decoder>)> {
        let first = self.times.fetch_add(1, Ordering::Relaxed) * 1_000;
        let text = std::io::Cursor::new(documents(first..first + 500).into_bytes());
        let decoder = Box::new(NdjsonDecoder::new(Leniency::Strict, ImportOverrides::default()));
        if self.fails {
            let end = tokio_util::io::StreamReader::new(futures::stream::iter([Err::<
                std::io::Cursor<Vec<u8>>,
                _,
            >(
                std::io::Error::other(cut()),
            )]));
            return Ok((Box::new(text.chain(end)), decoder));
        }
        Ok((Box::new(text), decoder))
    }
}

fn cut() -> Error {
    Error::new(ErrorKind::Io, pinstate_core::Operation::ReadPins, "the stream was cut")
}

fn passing(fails: bool) -> Arc<FileSource> {
    let stream = Passing { times: AtomicU64::new(0), fails };
    Arc::new(FileSource::of_stream("a peer", "http://a-peer:9094", Arc::new(stream)))
}

async fn job(jobs: &Path, to: &Arc<dyn Store>, fails: bool, stop: &StopFlag) -> Result<Job> {
    let mut tuning = Tuning::new();
    tuning.page_rows = 50;
    tuning.stop = stop.clone();
    Job::open(jobs, passing(fails), target(to), &Settings::new(), tuning).await
}

/// Stops after so many checkpoints.
struct StopAfter(AtomicU64, StopFlag);

impl Watch for StopAfter {
    fn at(&self, step: Step) {
        if step == Step::Remembered && self.0.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.1.stop();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_goes_on_with_the_stream_that_it_began_with() {
    let (to, jobs) = (memory(), TempDir::new().unwrap());
    let stop = StopFlag::new();
    let watch = Arc::new(StopAfter(AtomicU64::new(2), stop.clone()));
    let begun = job(jobs.path(), &to, false, &stop).await.unwrap();
    let kept = begun.folder().path().join("source");
    let error = begun.watched(watch).run().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    let before = std::fs::read_to_string(&kept).unwrap();

    // Each of these would read other pins if it asked the peer.
    let report = job(jobs.path(), &to, false, &StopFlag::new()).await.unwrap();
    assert!(report.is_continued());
    let report = report.run().await.unwrap();
    assert_eq!((report.phase, report.counts.read), (Phase::Done, 500));
    assert!(report.verified.unwrap().equal);
    let there = all(&to, &default()).await;
    assert_eq!((there.len(), before.lines().count()), (500, 500));
    assert!(!kept.exists(), "a pinset that was moved needs no room any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_cut_leaves_no_job_and_no_claim() {
    let (to, jobs) = (memory(), TempDir::new().unwrap());
    let error = job(jobs.path(), &to, true, &StopFlag::new()).await.unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Io, "the stream was cut"));
    assert_eq!(std::fs::read_dir(jobs.path()).unwrap().count(), 0);
    assert!(to.list_namespaces().await.unwrap().is_empty());

    // Nor does one that died meanwhile, once the next is begun.
    let died = jobs.path().join("0d1a4b1e-7c7b-4f5e-9d55-3f2d1f6a1c11");
    std::fs::create_dir(&died).unwrap();
    std::fs::write(died.join("lock"), "").unwrap();
    std::fs::write(died.join("source.new"), "{").unwrap();
    let done = job(jobs.path(), &to, false, &StopFlag::new()).await.unwrap().run().await.unwrap();
    assert_eq!(done.phase, Phase::Done);
    assert_eq!(JobFolder::all(jobs.path()).unwrap(), [done.folder]);
    assert!(!died.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_keeps_nothing() {
    let (to, jobs) = (memory(), TempDir::new().unwrap());
    let plan =
        plan(jobs.path(), &*passing(false), Some(&target(&to)), &Settings::new()).await.unwrap();
    assert!(plan.is_possible() && plan.record_bytes.is_some(), "{plan:?}");
    assert_eq!(std::fs::read_dir(jobs.path()).unwrap().count(), 0);
}

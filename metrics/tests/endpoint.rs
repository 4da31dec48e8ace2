//! The endpoint, asked by hand.

#![allow(missing_docs, clippy::unwrap_used)]

use std::sync::Arc;

use pinstate_metrics::{CONTENT_TYPE, Endpoint, Metrics};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn endpoint() -> Endpoint {
    let any = "127.0.0.1:0".parse().unwrap();
    Endpoint::listen(any, Arc::new(Metrics::new())).await.unwrap()
}

async fn asked(endpoint: &Endpoint, request: &str) -> String {
    let mut stream = TcpStream::connect(endpoint.address()).await.unwrap();
    let request = format!("{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn it_serves_metrics_says_that_it_is_there_and_nothing_else() {
    let endpoint = endpoint().await;
    let metrics = asked(&endpoint, "GET /metrics").await;
    assert!(metrics.starts_with("HTTP/1.1 200 OK\r\n"), "{metrics}");
    assert!(metrics.contains(&format!("content-type: {CONTENT_TYPE}\r\n")), "{metrics}");
    assert!(metrics.contains("\npinstate_build_info{version="), "{metrics}");
    let head = asked(&endpoint, "HEAD /metrics").await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    let health = asked(&endpoint, "GET /healthz").await;
    assert!(health.starts_with("HTTP/1.1 200 OK\r\n") && health.ends_with("ok\n"), "{health}");
    assert!(asked(&endpoint, "GET /").await.starts_with("HTTP/1.1 404 "));
    assert!(asked(&endpoint, "POST /metrics").await.starts_with("HTTP/1.1 405 "));
}

#[tokio::test]
async fn clients_that_say_nothing_do_not_keep_others_out() {
    let endpoint = endpoint().await;
    let mut silent = Vec::new();
    for _ in 0..32 {
        silent.push(TcpStream::connect(endpoint.address()).await.unwrap());
    }
    assert!(asked(&endpoint, "GET /healthz").await.ends_with("ok\n"));
}

#[tokio::test]
async fn it_ends_with_its_connections_when_it_is_dropped() {
    let endpoint = endpoint().await;
    let mut open = TcpStream::connect(endpoint.address()).await.unwrap();
    assert!(asked(&endpoint, "GET /healthz").await.ends_with("ok\n"));
    drop(endpoint);
    assert_eq!(open.read(&mut [0; 1]).await.unwrap_or(0), 0);
}

#[tokio::test]
async fn an_address_that_is_taken_is_refused() {
    let endpoint = endpoint().await;
    let again = Endpoint::listen(endpoint.address(), Arc::new(Metrics::new())).await;
    assert_eq!(again.unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
}

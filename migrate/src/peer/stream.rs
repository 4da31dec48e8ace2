//! What a peer answers, and whether that was all of it.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, stream};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use hyper::header::{ACCEPT, AUTHORIZATION, HOST, HeaderMap, LOCATION, TE, USER_AGENT};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use pinstate_core::{Error, ErrorKind, Operation, Result};
use serde::Deserialize;

use super::address::Address;
use super::connection::connect;

/// The trailer behind a stream that has come to its own end.
const STREAM_ERROR: &str = "x-stream-error";
/// As much of a refusal is read as may be its reason.
const REASON_BYTES: usize = 64 << 10;

/// Where the reading is.
enum At {
    Before,
    Within(Box<Incoming>),
    Behind,
}

/// The bytes of a peer's pinset, piece by piece. Without an error it has ended as the peer
/// wanted it to.
pub(super) fn pieces(
    address: Arc<Address>,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    stream::try_unfold(At::Before, move |at| {
        let address = Arc::clone(&address);
        async move { next(&address, at).await.map_err(io::Error::other) }
    })
}

async fn next(address: &Address, at: At) -> Result<Option<(Bytes, At)>> {
    let mut body = match at {
        At::Behind => return Ok(None),
        At::Within(body) => body,
        At::Before => match timely(address, ask(address)).await? {
            None => return Ok(None),
            Some(body) => Box::new(body),
        },
    };
    loop {
        let frame = async { Ok(body.frame().await) };
        let Some(frame) = timely(address, frame).await? else {
            let message = "it ended without the trailer X-Stream-Error, so pins may be missing: a \
                           proxy may have left it out, or the stream was cut";
            return Err(cut(address, message));
        };
        let frame = frame.map_err(|error| cut(address, "it was cut").with_source(error))?;
        match frame.into_data() {
            Ok(data) if data.is_empty() => {}
            Ok(data) => return Ok(Some((data, At::Within(body)))),
            Err(frame) => {
                if let Ok(trailers) = frame.into_trailers() {
                    whole(address, &trailers)?;
                    return Ok(Some((Bytes::new(), At::Behind)));
                }
            }
        }
    }
}

/// Refuses a stream whose trailers do not say that it is whole.
fn whole(address: &Address, trailers: &HeaderMap) -> Result<()> {
    let Some(said) = trailers.get(STREAM_ERROR) else {
        return Err(cut(address, "it ended without the trailer X-Stream-Error"));
    };
    if said.is_empty() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(said.as_bytes());
    Err(cut(address, format!("the peer stopped: {}", said.escape_debug())))
}

/// Asks for the pinset. Without a body there are no pins.
async fn ask(address: &Address) -> Result<Option<Incoming>> {
    let credentials = address.settings.credentials()?;
    let wire = TokioIo::new(connect(address).await?);
    let lost = |error: hyper::Error| {
        let message = format!("the peer at {} does not answer as one", address.shown);
        Error::new(ErrorKind::Unavailable, Operation::ReadPins, message).with_source(error)
    };
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(wire).await.map_err(lost)?;
    // It ends when the body has been read or is dropped.
    tokio::spawn(connection);
    let mut request = Request::get(format!("{}/allocations?filter=all", address.path))
        .header(HOST, host(address))
        .header(USER_AGENT, concat!("pinstate/", env!("CARGO_PKG_VERSION")))
        .header(ACCEPT, "application/json")
        .header(TE, "trailers");
    if let Some((user, password)) = &credentials {
        let both = format!("{user}:{}", password.expose());
        let basic = format!("Basic {}", data_encoding::BASE64.encode(both.as_bytes()));
        request = request.header(AUTHORIZATION, basic);
    }
    let request = request.body(Empty::<Bytes>::new()).map_err(|_| {
        // What was wrong is not quoted: it may be the password.
        pinstate_core::config::invalid("the peer cannot be asked with this path, user or password")
    })?;
    let response = sender.send_request(request).await.map_err(lost)?;
    match response.status() {
        StatusCode::OK => Ok(Some(response.into_body())),
        StatusCode::NO_CONTENT => Ok(None),
        _ => Err(refused(address, response).await),
    }
}

fn host(address: &Address) -> String {
    let host = if address.host.contains(':') {
        format!("[{}]", address.host)
    } else {
        address.host.clone()
    };
    format!("{host}:{}", address.port)
}

/// An answer that is no pinset, as an error.
async fn refused(address: &Address, response: Response<Incoming>) -> Error {
    #[derive(Deserialize)]
    struct Said {
        message: String,
    }

    let status = response.status();
    let moved = response.headers().get(LOCATION).map(|to| to.as_bytes().escape_ascii().to_string());
    let body = Limited::new(response.into_body(), REASON_BYTES).collect().await;
    let said = body.ok().map(http_body_util::Collected::to_bytes);
    let said = said.and_then(|said| serde_json::from_slice::<Said>(&said).ok());
    let mut message = format!("the peer at {} answers {status}", address.shown);
    if let Some(said) = said {
        message.push_str(&format!(": {}", said.message.escape_debug()));
    }
    let (kind, hint) = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            (ErrorKind::PermissionDenied, "name a user of its API: http://USER:PASSWORD@HOST")
        }
        StatusCode::NOT_FOUND => (
            ErrorKind::InvalidInput,
            "is this the REST API of ipfs-cluster, which listens at port 9094 unless told otherwise?",
        ),
        status if status.is_redirection() => (ErrorKind::InvalidInput, "name the address it is at"),
        _ => (ErrorKind::Unavailable, ""),
    };
    if let Some(to) = moved {
        message.push_str(&format!(" to {to}"));
    }
    if !hint.is_empty() {
        message.push_str(&format!("; {hint}"));
    }
    Error::new(kind, Operation::ReadPins, message)
}

/// Gives up on what takes too long.
async fn timely<T>(address: &Address, work: impl Future<Output = Result<T>>) -> Result<T> {
    let limit = address.settings.timeout;
    match tokio::time::timeout(limit, work).await {
        Ok(done) => done,
        Err(_) => {
            let message = format!("the peer at {} is silent", address.shown);
            Err(Error::new(ErrorKind::Timeout, Operation::ReadPins, message)
                .with_context("seconds", limit.as_secs()))
        }
    }
}

fn cut(address: &Address, what: impl Into<String>) -> Error {
    let message = format!("the stream of {} is not whole: {}", address.shown, what.into());
    Error::new(ErrorKind::Io, Operation::ReadPins, message)
}

//! The client that requests to a collector go through: one that blocks, as suits the thread that
//! the exporter has for itself.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use parking_lot::Mutex;
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// Longest answer that is read.
const LONGEST_ANSWER: u64 = 64 << 10;

#[derive(Debug)]
pub(crate) struct Client {
    agent: Agent,
    /// Why the last request had no answer.
    cause: Cause,
}

/// Why a request had no answer, for the one who tells of it: the exporter keeps that to itself.
pub(crate) type Cause = Arc<Mutex<Option<String>>>;

impl Client {
    /// A client whose requests take at most so long. The system's certificates, or those that
    /// `SSL_CERT_FILE` names, say whom it trusts.
    pub(crate) fn new(timeout: Duration, cause: Cause) -> Self {
        let certificates = rustls_native_certs::load_native_certs().certs;
        let certificates =
            certificates.iter().map(|one| Certificate::from_der(one).to_owned()).collect();
        let tls = TlsConfig::builder()
            .unversioned_rustls_crypto_provider(Arc::new(
                rustls::crypto::aws_lc_rs::default_provider(),
            ))
            .root_certs(RootCerts::Specific(Arc::new(certificates)))
            .build();
        let agent = Agent::config_builder()
            .tls_config(tls)
            .timeout_global(Some(timeout))
            .http_status_as_error(false)
            // A header may be a password, and goes nowhere but where it was sent.
            .max_redirects(0)
            .build()
            .new_agent();
        Self { agent, cause }
    }

    fn answer(&self, request: Request<Bytes>) -> Result<Response<Bytes>, ureq::Error> {
        let (head, mut body) = self.agent.run(request.map(Vec::from))?.into_parts();
        let body = body.with_config().limit(LONGEST_ANSWER).read_to_vec()?;
        Ok(Response::from_parts(head, body.into()))
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let answer = self.answer(request);
        *self.cause.lock() = answer.as_ref().err().map(ToString::to_string);
        Ok(answer?)
    }
}

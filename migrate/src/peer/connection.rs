//! A connection to a peer, encrypted where its address says so.

use std::path::Path;
use std::sync::Arc;

use pinstate_core::config::invalid;
use pinstate_core::{Error, ErrorKind, Operation, Result};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::address::Address;

/// Bytes both ways.
pub(super) trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

pub(super) async fn connect(address: &Address) -> Result<Box<dyn Wire>> {
    let unreachable = |error: std::io::Error| {
        let message = format!("the peer at {} cannot be reached", address.shown);
        Error::new(ErrorKind::Unavailable, Operation::ReadPins, message).with_source(error)
    };
    // Before anything is sent: what is wrong with the files is no matter of the peer.
    let tls = if address.encrypted { Some(client(address)?) } else { None };
    let plain = TcpStream::connect((&*address.host, address.port)).await.map_err(unreachable)?;
    let Some(tls) = tls else { return Ok(Box::new(plain)) };
    let name = ServerName::try_from(address.host.clone())
        .map_err(|_| invalid(format!("'{}' is no name of a host", address.host)))?;
    Ok(Box::new(TlsConnector::from(tls).connect(name, plain).await.map_err(unreachable)?))
}

fn client(address: &Address) -> Result<Arc<ClientConfig>> {
    let roots = match &address.settings.ca_file {
        Some(path) => of_file(path)?,
        None => of_system()?,
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| invalid("TLS cannot be set up").with_source(error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(client))
}

fn of_file(path: &Path) -> Result<RootCertStore> {
    let unusable = || invalid(format!("'ca_file' {} cannot be used", path.display()));
    let mut roots = RootCertStore::empty();
    let certificates =
        CertificateDer::pem_file_iter(path).map_err(|e| unusable().with_source(e))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| unusable().with_source(error))?;
        roots.add(certificate).map_err(|error| unusable().with_source(error))?;
    }
    if roots.is_empty() {
        return Err(invalid(format!("'ca_file' {} has no certificate", path.display())));
    }
    Ok(roots)
}

fn of_system() -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let message = "this system has no authorities that the peer could be checked against: \
                       name one with ?ca_file=FILE";
        return Err(invalid(message));
    }
    Ok(roots)
}

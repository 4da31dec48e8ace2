//! Encryption: what may be set, and the client configuration that comes of it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pinstate_core::Result;
use pinstate_core::config::invalid;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use schemars::{JsonSchema, Schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::json;

use crate::error::BACKEND;

/// Encryption of the connections. In a configuration it is a table of these keys, of which
/// `enabled` has to be there, or `true` or `false` alone.
#[derive(Clone, PartialEq, Eq, Debug, Default, JsonSchema)]
#[schemars(default, deny_unknown_fields, transform = or_a_truth_value)]
#[schemars(extend("required" = ["enabled"]))]
#[non_exhaustive]
pub struct TlsConfig {
    /// Encrypts.
    #[schemars(example = true)]
    pub enabled: bool,
    /// The client's certificate and what leads to its authority, as PEM.
    #[schemars(example = &"/etc/pinstate/cert.pem")]
    pub cert_file: Option<PathBuf>,
    /// The client's key, as PEM.
    #[schemars(example = &"/etc/pinstate/key.pem")]
    pub key_file: Option<PathBuf>,
    /// The authorities that servers' certificates are checked against, as PEM.
    #[schemars(example = &"/etc/pinstate/ca.pem")]
    pub ca_file: Option<PathBuf>,
    /// Takes any certificate. Whoever is in between can then read and change everything,
    /// so every start warns of it.
    pub insecure_skip_verify: bool,
    /// Names, one of which a server's certificate must have. Without them it must have the
    /// address that the driver connects to.
    pub server_names: Vec<String>,
}

/// The other form that it has in a configuration.
fn or_a_truth_value(schema: &mut Schema) {
    let description = schema.remove("description");
    let table = schema.clone();
    *schema = schemars::json_schema!({ "anyOf": [table, json!({ "type": "boolean" })] });
    if let Some(description) = description {
        schema.insert("description".to_owned(), description);
    }
}

/// As it stands in a configuration.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Table {
    enabled: Option<bool>,
    cert_file: Option<PathBuf>,
    key_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    insecure_skip_verify: bool,
    server_names: Vec<String>,
}

impl<'de> Deserialize<'de> for TlsConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;

        impl<'de> Visitor<'de> for Form {
            type Value = TlsConfig;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "true, false or the keys 'enabled', 'ca_file', 'cert_file', 'key_file', \
                     'server_names' and 'insecure_skip_verify'",
                )
            }

            fn visit_bool<E: de::Error>(self, enabled: bool) -> Result<TlsConfig, E> {
                Ok(TlsConfig { enabled, ..TlsConfig::default() })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<TlsConfig, A::Error> {
                let table = Table::deserialize(MapAccessDeserializer::new(map))?;
                // Nobody who names an authority expects that everything goes in the clear.
                let enabled = table.enabled.ok_or_else(|| {
                    de::Error::custom("'enabled' is not set: true encrypts, false does not")
                })?;
                let named = |path: Option<PathBuf>| path.filter(|p| !p.as_os_str().is_empty());
                Ok(TlsConfig {
                    enabled,
                    cert_file: named(table.cert_file),
                    key_file: named(table.key_file),
                    ca_file: named(table.ca_file),
                    insecure_skip_verify: table.insecure_skip_verify,
                    server_names: table.server_names,
                })
            }
        }

        deserializer.deserialize_any(Form)
    }
}

impl TlsConfig {
    /// Refuses what cannot work.
    pub(super) fn check(&self) -> Result<()> {
        let refuse = |text: &'static str| Err(invalid(text).with_backend(BACKEND));
        if !self.enabled {
            if self.cert_file.is_some() || self.key_file.is_some() {
                return refuse("'tls.cert_file' or 'tls.key_file' is set and 'tls.enabled' is not");
            }
            return Ok(());
        }
        match (&self.cert_file, &self.key_file) {
            (Some(_), None) => return refuse("'tls.cert_file' is set without 'tls.key_file'"),
            (None, Some(_)) => return refuse("'tls.key_file' is set without 'tls.cert_file'"),
            _ => {}
        }
        if self.ca_file.is_none() && !self.insecure_skip_verify {
            return refuse(
                "'tls.enabled' is on without 'tls.ca_file': name the authority that the servers' \
                 certificates are checked against",
            );
        }
        Ok(())
    }

    /// The client configuration, if there is to be encryption.
    ///
    /// # Errors
    /// `Config` for files that cannot be read or used, naming key and path.
    pub(crate) fn client(&self) -> Result<Option<Arc<ClientConfig>>> {
        if !self.enabled {
            return Ok(None);
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|e| invalid("TLS cannot be set up").with_backend(BACKEND).with_source(e))?;
        let verifier: Arc<dyn ServerCertVerifier> = if self.insecure_skip_verify {
            tracing::warn!(
                "'tls.insecure_skip_verify' is on: servers are not checked, and whoever is in \
                 between can read and change everything"
            );
            Arc::new(Anybody(provider))
        } else {
            let chain = WebPkiServerVerifier::builder_with_provider(
                Arc::new(self.authorities()?),
                Arc::clone(&provider),
            )
            .build()
            .map_err(|e| unusable("tls.ca_file", self.ca_file.as_deref(), e))?;
            if self.server_names.is_empty() {
                chain
            } else {
                Arc::new(Named { chain, names: self.names()? })
            }
        };
        let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
        let client = match (&self.cert_file, &self.key_file) {
            (Some(cert), Some(key)) => {
                let chain = certificates("tls.cert_file", cert)?;
                let key_der = PrivateKeyDer::from_pem_file(key)
                    .map_err(|e| unusable("tls.key_file", Some(key), e))?;
                builder
                    .with_client_auth_cert(chain, key_der)
                    .map_err(|e| unusable("tls.cert_file", Some(cert), e))?
            }
            _ => builder.with_no_client_auth(),
        };
        Ok(Some(Arc::new(client)))
    }

    fn authorities(&self) -> Result<RootCertStore> {
        let mut roots = RootCertStore::empty();
        let path = self.ca_file.as_deref().unwrap_or(Path::new(""));
        for certificate in certificates("tls.ca_file", path)? {
            roots.add(certificate).map_err(|e| unusable("tls.ca_file", Some(path), e))?;
        }
        Ok(roots)
    }

    fn names(&self) -> Result<Vec<ServerName<'static>>> {
        let name = |name: &String| {
            ServerName::try_from(name.clone()).map_err(|_| {
                invalid(format!(
                    "'tls.server_names' has '{}', which is neither a host's name nor an address",
                    name.escape_debug()
                ))
                .with_backend(BACKEND)
            })
        };
        self.server_names.iter().map(name).collect()
    }
}

fn certificates(key: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let all = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| unusable(key, Some(path), e))?;
    if all.is_empty() {
        return Err(invalid(format!("'{key}' has no certificate in it"))
            .with_backend(BACKEND)
            .with_context("file", path.display()));
    }
    Ok(all)
}

fn unusable(
    key: &'static str,
    path: Option<&Path>,
    source: impl std::error::Error + Send + Sync + 'static,
) -> pinstate_core::Error {
    let error = invalid(format!("'{key}' cannot be used")).with_backend(BACKEND);
    let error = match path {
        Some(path) => error.with_context("file", path.display()),
        None => error,
    };
    error.with_source(source)
}

/// Checks the chain, and that the certificate has one of the configured names instead of
/// the address that was connected to.
#[derive(Debug)]
struct Named {
    chain: Arc<WebPkiServerVerifier>,
    names: Vec<ServerName<'static>>,
}

impl ServerCertVerifier for Named {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _address: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let mut refusal = rustls::Error::General("no name to check".to_owned());
        for name in &self.names {
            let chain = &self.chain;
            match chain.verify_server_cert(end_entity, intermediates, name, ocsp_response, now) {
                Ok(verified) => return Ok(verified),
                Err(error) => refusal = error,
            }
        }
        Err(refusal)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain.verify_tls12_signature(message, cert, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain.verify_tls13_signature(message, cert, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

/// Takes any certificate whose key signed the handshake.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _address: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

//! Certificates made on the fly, the good ones and those that a client must refuse.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, date_time_ymd,
};
use serde::{Deserialize, Serialize};

use crate::access::TlsFiles;
use crate::error::{Error, Result};

/// What the certificate of a node is like.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub enum NodeCertificate {
    /// Names the node's address and `nodeN.testbed`; valid.
    #[default]
    Good,
    /// Names `nodeN.testbed` alone, as many real clusters have it.
    DnsOnly,
    /// Good, but its time was over years ago.
    Expired,
    /// Good, but signed by the authority that nobody trusts.
    WrongAuthority,
}

/// The PEM files of one cluster.
#[derive(Clone, Debug)]
pub(crate) struct Certificates {
    folder: PathBuf,
}

const CA: &str = "ca.pem";
const OTHER_CA: &str = "other-ca.pem";

impl Certificates {
    /// Makes an authority, another one that signs nothing by default, a certificate for a
    /// client and one for each node.
    pub(crate) fn make(folder: &Path, nodes: &[(IpAddr, NodeCertificate)]) -> Result<Self> {
        fs::create_dir_all(folder).map_err(Error::io("cannot create", folder))?;
        let certificates = Self { folder: folder.to_path_buf() };
        let (ca_pem, ca) = authority("testbed CA")?;
        let (other_pem, other) = authority("another CA")?;
        certificates.write(CA, &ca_pem)?;
        certificates.write(OTHER_CA, &other_pem)?;
        let (client, key) = issue(client_params(), &ca)?;
        certificates.write("client.pem", &client)?;
        certificates.write("client.key", &key)?;
        for (place, (address, kind)) in nodes.iter().enumerate() {
            let issuer = if *kind == NodeCertificate::WrongAuthority { &other } else { &ca };
            let (certificate, key) = issue(node_params(place, *address, *kind)?, issuer)?;
            // One file for Cassandra's keystore, two for ScyllaDB.
            certificates.write(
                &format!("node{}.keystore.pem", place + 1),
                &format!("{key}{certificate}{ca_pem}"),
            )?;
            certificates.write(&format!("node{}.pem", place + 1), &certificate)?;
            certificates.write(&format!("node{}.key", place + 1), &key)?;
        }
        Ok(certificates)
    }

    /// What a client needs; the certificate of its own is for those who are asked for one.
    pub(crate) fn client(&self) -> TlsFiles {
        let client = (self.folder.join("client.pem"), self.folder.join("client.key"));
        TlsFiles { ca: self.authority(), client: Some(client) }
    }

    pub(crate) fn authority(&self) -> PathBuf {
        self.folder.join(CA)
    }

    pub(crate) fn keystore(&self, place: usize) -> PathBuf {
        self.folder.join(format!("node{}.keystore.pem", place + 1))
    }

    /// Certificate and key of a node.
    pub(crate) fn pair(&self, place: usize) -> (PathBuf, PathBuf) {
        let file = |end: &str| self.folder.join(format!("node{}.{end}", place + 1));
        (file("pem"), file("key"))
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.folder.join(name);
        fs::write(&path, text).map_err(Error::io("cannot write", &path))
    }
}

impl TlsFiles {
    /// The CA of another authority beside the good one: a client that trusts only this one
    /// must refuse every node.
    #[must_use]
    pub fn other_ca(&self) -> PathBuf {
        self.ca.with_file_name(OTHER_CA)
    }
}

/// The name in the certificate of node `number`, beside its address.
#[must_use]
pub fn node_name(number: usize) -> String {
    format!("node{number}.testbed")
}

fn authority(name: &str) -> Result<(String, Issuer<'static, KeyPair>)> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate().map_err(failed)?;
    let certificate = params.self_signed(&key).map_err(failed)?;
    Ok((certificate.pem(), Issuer::new(params, key)))
}

fn client_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "client");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}

fn node_params(place: usize, address: IpAddr, kind: NodeCertificate) -> Result<CertificateParams> {
    let name = node_name(place + 1);
    let mut params = CertificateParams::new([name.clone()]).map_err(failed)?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    if kind != NodeCertificate::DnsOnly {
        params.subject_alt_names.push(SanType::IpAddress(address));
    }
    if kind == NodeCertificate::Expired {
        params.not_before = date_time_ymd(2019, 1, 1);
        params.not_after = date_time_ymd(2020, 1, 1);
    }
    Ok(params)
}

/// Certificate and key, as PEM.
fn issue(mut params: CertificateParams, issuer: &Issuer<'_, KeyPair>) -> Result<(String, String)> {
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate().map_err(failed)?;
    let certificate = params.signed_by(&key, issuer).map_err(failed)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

fn failed(why: rcgen::Error) -> Error {
    Error::failed(format!("a certificate cannot be made: {why}"))
}

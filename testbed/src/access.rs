//! How a client gets in: addresses, and what a server that asks for it wants to see.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use scylla::client::session_builder::SessionBuilder;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::external;
use crate::tls;

/// How a client gets in.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Access {
    /// Every node that was started, or the contact points of a cluster of the user's.
    pub contact_points: Vec<SocketAddr>,
    /// A role that may do everything, where the cluster asks for one.
    pub login: Option<Login>,
    /// What TLS needs, where the cluster speaks it.
    pub tls: Option<TlsFiles>,
}

/// A role and its password.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// The role's name.
    pub user: String,
    /// Its password.
    pub password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("user", &self.user).finish_non_exhaustive()
    }
}

/// PEM files for a client.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TlsFiles {
    /// The authority that signed the certificates of the nodes.
    pub ca: PathBuf,
    /// A certificate of a client and its key.
    pub client: Option<(PathBuf, PathBuf)>,
}

impl Access {
    /// A cluster at `HOST[:PORT],…` that asks nobody who they are.
    ///
    /// # Errors
    /// `Usage` if a name has no address.
    pub fn at(hosts: &str) -> Result<Self> {
        Ok(Self { contact_points: external::resolve(hosts)?, login: None, tls: None })
    }

    /// The driver's builder with all of this set; certificates are checked against the CA and
    /// the address of the node.
    ///
    /// # Errors
    /// If a PEM file cannot be read.
    pub fn session_builder(&self) -> Result<SessionBuilder> {
        let builder = self.plain_builder(&self.contact_points);
        match &self.tls {
            Some(files) => Ok(builder.tls_context(Some(tls::strict(files)?))),
            None => Ok(builder),
        }
    }

    /// For looking whether a node is there at all, whatever its certificate says.
    pub(crate) fn lax_builder(&self, node: SocketAddr) -> Result<SessionBuilder> {
        let builder = self.plain_builder(&[node]);
        match &self.tls {
            Some(files) => Ok(builder.tls_context(Some(tls::lax(files)?))),
            None => Ok(builder),
        }
    }

    fn plain_builder(&self, nodes: &[SocketAddr]) -> SessionBuilder {
        let builder = SessionBuilder::new()
            .known_nodes_addr(nodes)
            .connection_timeout(Duration::from_secs(5));
        match &self.login {
            Some(Login { user, password }) => builder.user(user, password),
            None => builder,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_told() {
        let login = Login { user: "ann".to_owned(), password: "s3cret".to_owned() };
        let access = Access { contact_points: Vec::new(), login: Some(login), tls: None };
        let text = format!("{access:?}");
        assert!(text.contains("ann") && !text.contains("s3cret"), "{text}");
    }
}

//! From the addresses that nodes go by among themselves to those under which this program
//! reaches them: behind NAT, a tunnel or a relay they differ.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use pinstate_core::Result;
use pinstate_core::config::invalid;
use scylla::errors::TranslationError;
use scylla::policies::address_translator::{AddressTranslator, UntranslatedPeer};

use crate::error::BACKEND;

/// Rules from `address_translation`, read once.
#[derive(Debug)]
pub(crate) struct Translation {
    /// By the address of a node and its port; `None` where the rule holds for any port.
    rules: BTreeMap<(IpAddr, Option<u16>), Target>,
}

/// Where a node is reached; its own port where the rule names none.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Target {
    host: String,
    port: Option<u16>,
}

impl Translation {
    /// Reads the rules.
    ///
    /// # Errors
    /// `Config` for one that is none.
    pub(crate) fn of(rules: &BTreeMap<String, String>) -> Result<Self> {
        let read = |(from, to): (&String, &String)| {
            let rule = node(from).zip(target(to));
            rule.ok_or_else(|| {
                invalid(format!(
                    "'address_translation' has '{}' = '{}': a rule leads from the address of a \
                     node, with or without a port, to where it is reached, as in '10.0.0.1' = \
                     '203.0.113.7:9142'",
                    from.escape_debug(),
                    to.escape_debug()
                ))
                .with_backend(BACKEND)
            })
        };
        Ok(Self { rules: rules.iter().map(read).collect::<Result<_>>()? })
    }

    /// Whether there is nothing to do.
    pub(crate) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Where a node is reached, by its address as text; `None` where there is no rule.
    pub(crate) fn of_text(&self, address: &str) -> Option<String> {
        let (host, port) = self.find(address.parse().ok()?)?;
        let v6 = host.contains(':');
        Some(if v6 { format!("[{host}]:{port}") } else { format!("{host}:{port}") })
    }

    /// Host and port for the address of a node. One without a rule is reached as it is.
    fn find(&self, address: SocketAddr) -> Option<(&str, u16)> {
        let exact = self.rules.get(&(address.ip(), Some(address.port())));
        let target = exact.or_else(|| self.rules.get(&(address.ip(), None)))?;
        Some((&target.host, target.port.unwrap_or(address.port())))
    }
}

fn node(text: &str) -> Option<(IpAddr, Option<u16>)> {
    let text = text.trim();
    if let Ok(ip) = text.parse() {
        return Some((ip, None));
    }
    text.parse::<SocketAddr>().ok().map(|address| (address.ip(), Some(address.port())))
}

fn target(text: &str) -> Option<Target> {
    let text = text.trim();
    // An IPv6 address has colons of its own and wants brackets beside a port.
    if let Some((ip, port)) = node(text) {
        return Some(Target { host: ip.to_string(), port });
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, Some(port.parse().ok()?)),
        None => (text, None),
    };
    let good = !host.is_empty() && !host.contains([':', '/', '@', ' ']);
    good.then(|| Target { host: host.to_owned(), port })
}

// The trait hides the lifetime of its argument, and whoever names it says something else.
#[allow(elided_lifetimes_in_paths)]
#[async_trait]
impl AddressTranslator for Translation {
    async fn translate_address(
        &self,
        peer: &UntranslatedPeer,
    ) -> std::result::Result<SocketAddr, TranslationError> {
        let address = peer.untranslated_address();
        let Some((host, port)) = self.find(address) else { return Ok(address) };
        let failed = |error| TranslationError::IoError(Arc::new(error));
        let mut found = tokio::net::lookup_host((host, port)).await.map_err(failed)?;
        found.next().ok_or_else(|| failed(std::io::ErrorKind::NotFound.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(rules: &[(&str, &str)]) -> Result<Translation> {
        let own = |(from, to): &(&str, &str)| ((*from).to_owned(), (*to).to_owned());
        Translation::of(&rules.iter().map(own).collect())
    }

    #[test]
    fn the_rule_for_the_port_comes_first_and_without_a_rule_nothing_changes() {
        let rules = of(&[
            ("10.0.0.1", "203.0.113.7"),
            ("10.0.0.1:19042", "gate.example:1"),
            ("10.0.0.2", "203.0.113.7:9142"),
            ("fd00::1", "[2001:db8::1]:9143"),
        ])
        .unwrap();
        let find = |address: &str| rules.find(address.parse().unwrap());
        assert_eq!(find("10.0.0.1:9042"), Some(("203.0.113.7", 9042)));
        assert_eq!(find("10.0.0.1:19042"), Some(("gate.example", 1)));
        assert_eq!(find("10.0.0.2:9042"), Some(("203.0.113.7", 9142)));
        assert_eq!(find("[fd00::1]:9042"), Some(("2001:db8::1", 9143)));
        assert_eq!(find("10.0.0.3:9042"), None);
        let shown = rules.of_text("[fd00::1]:9042");
        assert_eq!(shown.as_deref(), Some("[2001:db8::1]:9143"));
    }

    #[test]
    fn what_is_no_rule_is_refused_by_name() {
        for (from, to) in [("node1", "h"), ("10.0.0.1", ""), ("10.0.0.1", "h:x"), ("", "h")] {
            let error = of(&[(from, to)]).unwrap_err().to_string();
            assert!(error.contains("address_translation") && error.contains("203.0"), "{error}");
        }
    }
}

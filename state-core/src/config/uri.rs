//! A store named by URI: `BACKEND:REST?key=value&…`.

use std::fmt;
use std::str::FromStr;

use figment::value::Dict;

use super::invalid;
use super::secret::{HIDDEN, is_secret};
use crate::error::{Error, Result};

/// A store's URI. Its text forms never show a password.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreUri {
    scheme: String,
    rest: String,
    query: Vec<(String, String)>,
}

impl StoreUri {
    /// Whether this text is meant as a URI, not as the name of a configured store: it has a
    /// colon.
    #[must_use]
    pub fn looks_like(text: &str) -> bool {
        text.contains(':')
    }

    /// The backend's name.
    #[must_use]
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// What stands between the colon and the question mark, as it is.
    #[must_use]
    pub fn rest(&self) -> &str {
        &self.rest
    }

    /// The rest as a file path: `sled:PATH` and `sled://PATH` are the same.
    #[must_use]
    pub fn path(&self) -> &str {
        self.rest.strip_prefix("//").unwrap_or(&self.rest)
    }

    /// Whether a text, `HOST[:PORT],…`, has nothing but ports behind its colons: a name and
    /// a password without a host have something else there.
    #[must_use]
    pub fn is_hosts(text: &str) -> bool {
        text.split(',').all(|host| {
            let port = match host.split_once(']') {
                Some((address, after)) if address.starts_with('[') => after.strip_prefix(':'),
                _ if host.parse::<std::net::Ipv6Addr>().is_ok() => None,
                _ => host.split_once(':').map(|(_, port)| port),
            };
            port.is_none_or(|port| port.chars().all(|c| c.is_ascii_digit()))
        })
    }

    /// The parts of `//USER:PASSWORD@HOST,HOST:PORT/PATH`. What is wrong with them is given to
    /// `wrong`, and nothing of the URI is: it may be a part of a password.
    ///
    /// # Errors
    /// What `wrong` makes of it; `Config` for an escape that is none.
    pub fn authority(&self, wrong: impl Fn(&str) -> Error) -> Result<Authority<'_>> {
        let rest = self.rest.strip_prefix("//").ok_or_else(|| wrong("it names no host"))?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if path.contains('@') {
            return Err(wrong("it has a '/' before its '@' (in a password it is written %2F)"));
        }
        let (user, hosts) = match authority.rsplit_once('@') {
            Some((user, hosts)) => (Some(user), hosts),
            None => (None, authority),
        };
        if !Self::is_hosts(hosts) {
            return Err(wrong(
                "it has a ':' that no port follows (a password is followed by '@HOST')",
            ));
        }
        let mut login = Dict::new();
        if let Some(user) = user {
            let (name, password) = user.split_once(':').map_or((user, None), |(n, p)| (n, Some(p)));
            login.insert("username".to_owned(), Self::decoded(name)?.into());
            if let Some(password) = password {
                login.insert("password".to_owned(), Self::decoded(password)?.into());
            }
        }
        Ok(Authority { login, hosts, path })
    }

    /// A part of the rest without its percent escapes.
    ///
    /// # Errors
    /// `Config` for an escape that is none.
    pub fn decoded(part: &str) -> Result<String> {
        percent_decoded(part)
    }

    /// Keys and values after the question mark, percent-decoded.
    #[must_use]
    pub fn query(&self) -> &[(String, String)] {
        &self.query
    }
}

/// Whom a URI's rest names, and where; see [`StoreUri::authority`].
pub struct Authority<'a> {
    /// The values `username` and `password`, as far as they are there.
    pub login: Dict,
    /// Hosts with or without ports, as they stand.
    pub hosts: &'a str,
    /// What stands behind the first slash.
    pub path: &'a str,
}

impl fmt::Debug for Authority<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("hosts", &self.hosts).finish_non_exhaustive()
    }
}

impl FromStr for StoreUri {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (scheme, rest) = text.split_once(':').ok_or_else(|| {
            invalid(format!("'{}' is no store URI: it has no colon", text.escape_debug()))
        })?;
        let legal = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if scheme.is_empty() || !scheme.chars().all(legal) {
            return Err(invalid(format!(
                "'{}' is no backend's name in a store URI",
                scheme.escape_debug()
            )));
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        if query.contains('@') && cut_off(rest) {
            return Err(invalid(
                "a store URI has a '?' before its '@': in a password it is written %3F",
            ));
        }
        let query = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                // It is not quoted: it may be the end of a password with a question mark in it.
                let (key, value) = pair.split_once('=').ok_or_else(|| {
                    invalid(
                        "what follows the '?' of a store URI is not all key=value; a '?' in a \
                         password is written %3F",
                    )
                })?;
                Ok((percent_decoded(key)?, percent_decoded(value)?))
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Self { scheme: scheme.to_ascii_lowercase(), rest: rest.to_owned(), query })
    }
}

/// Whether this ends within a name and a password: it has a colon that no port follows.
fn cut_off(rest: &str) -> bool {
    let Some(authority) = rest.strip_prefix("//") else { return false };
    let authority = authority.split('/').next().unwrap_or_default();
    !authority.contains('@') && !StoreUri::is_hosts(authority)
}

fn percent_decoded(text: &str) -> Result<String> {
    // The text is not quoted: it may be a password.
    let bad = || {
        invalid(
            "a store URI has a bad escape: after a '%' come two hexadecimal digits, and a '%' \
             itself is written %25",
        )
    };
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        if first != b'%' {
            bytes.push(first);
            continue;
        }
        let (digits, tail) = rest.split_at_checked(2).ok_or_else(bad)?;
        let digits = std::str::from_utf8(digits).map_err(|_| bad())?;
        bytes.push(u8::from_str_radix(digits, 16).map_err(|_| bad())?);
        rest = tail;
    }
    String::from_utf8(bytes).map_err(|_| bad())
}

impl fmt::Display for StoreUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.scheme)?;
        match self.rest.rsplit_once('@') {
            Some((user, host)) if self.rest.starts_with("//") => {
                let user = user.split_once("//").map_or(user, |(_, user)| user);
                let name = user.split(':').next().unwrap_or_default();
                write!(f, "//{name}@{host}")?;
            }
            // A name and a password, and the host was forgotten.
            _ if cut_off(&self.rest) => {
                let name = self.rest.split(':').next().unwrap_or_default();
                write!(f, "{name}:{HIDDEN}")?;
            }
            // Not the form that a password has its place in, but one may have been written.
            Some((user, host)) if user.contains(':') => {
                let name = user.split(':').next().unwrap_or_default();
                write!(f, "{name}@{host}")?;
            }
            _ => f.write_str(&self.rest)?,
        }
        for (i, (key, value)) in self.query.iter().enumerate() {
            let shown = if is_secret(key) { HIDDEN } else { value };
            write!(f, "{}{key}={shown}", if i == 0 { '?' } else { '&' })?;
        }
        Ok(())
    }
}

impl fmt::Debug for StoreUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreUri({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_found() {
        let uri: StoreUri = "sled:/a b/c?cache=64MiB&x=%26".parse().unwrap();
        assert_eq!((uri.scheme(), uri.path()), ("sled", "/a b/c"));
        assert_eq!(uri.query(), [("cache".into(), "64MiB".into()), ("x".into(), "&".into())]);
        assert_eq!("sled:///a".parse::<StoreUri>().unwrap().path(), "/a");
        assert_eq!("memory:".parse::<StoreUri>().unwrap().path(), "");
        for bad in ["", "x", ":a", "a b:c", "m:?x", "m:?x=%zz", "m:?x=%2", "m:?x=%ff"] {
            assert!(bad.parse::<StoreUri>().is_err(), "{bad}");
        }
    }

    #[test]
    fn hosts_are_told_from_names_and_passwords() {
        for hosts in ["h", "h:9042", "h1,h2:1", "[::1]:9042", "[::1]", "::1", "10.0.0.1:1,h:2"] {
            assert!(StoreUri::is_hosts(hosts), "{hosts}");
            let uri = format!("scylla://{hosts}/ks");
            assert_eq!(uri.parse::<StoreUri>().unwrap().to_string(), uri);
        }
        for uri in ["scylla://me:hunter2", "scylla://me:2hunter2/ks", "scylla://h:1,me:hunter2"] {
            let shown = uri.parse::<StoreUri>().unwrap().to_string();
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        let uri: StoreUri = "scylla://me:hunter2@host:9042/ks?password=hunter2".parse().unwrap();
        let shown = format!("{uri} {uri:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(shown.contains("//me@host:9042/ks"), "{shown}");
        let uri: StoreUri = "scylla:me:hunter2@host".parse().unwrap();
        assert_eq!(uri.to_string(), "scylla:me@host");
        for bad in [
            "scylla://me:hunter2?hunter2@host/ks",
            "scylla://me:hunter2?x=hunter2@host/ks",
            "scylla://me@host/ks?password=hunter2%",
        ] {
            let error = bad.parse::<StoreUri>().unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
    }
}

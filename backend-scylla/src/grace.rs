//! How long servers keep the delete markers of plain deletes: what a late write must not
//! outlast.

use std::collections::{BTreeMap, BTreeSet};

use pinstate_core::Result;
use scylla::client::session::Session;

use crate::open::rows;
use crate::schema::{Dialect, TableName};

/// A table of `system_schema.tables`: its name, its grace, and what servers add of their own.
type Row = (String, Option<i32>, Option<BTreeMap<String, Vec<u8>>>);

/// What the tables of namespaces say of it, for people. Nothing where there are none yet.
pub(crate) async fn details(
    session: &Session,
    keyspace: &str,
    dialect: Dialect,
) -> Result<Vec<(&'static str, String)>> {
    let text = format!(
        "SELECT table_name, gc_grace_seconds, extensions FROM system_schema.tables WHERE \
         keyspace_name = '{keyspace}'"
    );
    let tables = rows::<Row>(session, text).await?;
    let tables: Vec<Row> =
        tables.into_iter().filter(|(name, ..)| TableName::parse(name).is_some()).collect();
    let mut details = vec![("gc_grace_seconds", told(tables.iter().filter_map(|row| row.1)))];
    if dialect == Dialect::Scylla {
        let mode = |(_, _, extensions): &Row| match extensions.as_ref()?.get("tombstone_gc") {
            Some(bytes) => Some(mode(bytes).unwrap_or_else(|| "unreadable".to_owned())),
            None => Some("the server's own choice".to_owned()),
        };
        details.push(("tombstone_gc", told(tables.iter().filter_map(mode))));
    }
    details.retain(|(_, text)| !text.is_empty());
    Ok(details)
}

/// The different values, which are one nearly always.
fn told<T: Ord + ToString>(values: impl Iterator<Item = T>) -> String {
    let values: BTreeSet<T> = values.collect();
    values.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}

/// The mode in ScyllaDB's own encoding of a map: how many pairs, then each text behind its
/// length, all numbers as little-endian `u32` (seen on ScyllaDB 6.2.3).
fn mode(bytes: &[u8]) -> Option<String> {
    fn number(bytes: &mut &[u8]) -> Option<usize> {
        let (first, rest) = bytes.split_first_chunk::<4>()?;
        *bytes = rest;
        usize::try_from(u32::from_le_bytes(*first)).ok()
    }
    fn text<'a>(bytes: &mut &'a [u8]) -> Option<&'a str> {
        let length = number(bytes)?;
        let (first, rest) = bytes.split_at_checked(length)?;
        *bytes = rest;
        std::str::from_utf8(first).ok()
    }
    let mut rest = bytes;
    let pairs = number(&mut rest)?;
    for _ in 0..pairs.min(bytes.len()) {
        let (key, value) = (text(&mut rest)?, text(&mut rest)?);
        if key == "mode" {
            return Some(value.to_owned());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> Vec<u8> {
        let mut bytes = (pairs.len() as u32).to_le_bytes().to_vec();
        for text in pairs.iter().flat_map(|(key, value)| [key, value]) {
            bytes.extend((text.len() as u32).to_le_bytes());
            bytes.extend(text.bytes());
        }
        bytes
    }

    #[test]
    fn the_mode_is_found_and_what_is_cut_is_none() {
        let bytes = map(&[("propagation_delay_in_seconds", "3600"), ("mode", "repair")]);
        assert_eq!(mode(&bytes).as_deref(), Some("repair"));
        for length in 0..bytes.len() {
            assert_eq!(mode(&bytes[..length]), None, "{length}");
        }
        assert_eq!(mode(&map(&[("other", "x")])), None);
        assert_eq!(mode(&[0xff; 8]), None);
    }

    #[test]
    fn tables_that_differ_are_told_apart() {
        assert_eq!(told([864_000, 0, 864_000].into_iter()), "0, 864000");
        assert_eq!(told(std::iter::empty::<i32>()), "");
    }
}

//! A source as its job's rules leave it, to be compared with what was copied.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use pinstate_core::{Key, Result};

use super::rules::{Compiled, Ruled};
use crate::pinset::{Found, Pinset, Row, Rows};

/// What a job moves of a pinset. Records of which the rules cannot tell are dead letters, and
/// none of it.
pub(super) struct RuledPins {
    inner: Arc<dyn Pinset>,
    rules: Arc<Compiled>,
}

impl RuledPins {
    pub(super) fn new(inner: Arc<dyn Pinset>, rules: Arc<Compiled>) -> Self {
        Self { inner, rules }
    }
}

impl fmt::Debug for RuledPins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RuledPins").field(&self.inner).finish()
    }
}

#[async_trait]
impl Pinset for RuledPins {
    fn name(&self) -> &str {
        self.inner.name()
    }

    async fn parts(&self, n: usize) -> Result<Vec<Box<dyn Rows>>> {
        let parts = self.inner.parts(n).await?;
        let ruled = |rows| -> Box<dyn Rows> {
            Box::new(RuledRows { rows, rules: Arc::clone(&self.rules) })
        };
        Ok(parts.into_iter().map(ruled).collect())
    }

    async fn count(&self) -> Result<u64> {
        let mut count = 0;
        for mut part in self.parts(1).await? {
            while let Some(rows) = part.next().await? {
                count += rows.len() as u64;
            }
        }
        Ok(count)
    }

    async fn look_up(&self, keys: &[Key]) -> Result<Vec<Found>> {
        let mut found = self.inner.look_up(keys).await?;
        for (key, found) in keys.iter().zip(&mut found) {
            // Of several entries of a file the last one counts, as it does in a copy.
            let last = found.values.pop();
            let ruled = last.map(|value| self.rules.apply(key.as_bytes(), value));
            found.values.clear();
            if let Some(Ruled::Moved(value)) = ruled {
                found.values.push(value);
            }
            found.damaged = false;
        }
        Ok(found)
    }

    fn may_repeat(&self) -> bool {
        self.inner.may_repeat()
    }
}

struct RuledRows {
    rows: Box<dyn Rows>,
    rules: Arc<Compiled>,
}

#[async_trait]
impl Rows for RuledRows {
    async fn next(&mut self) -> Result<Option<Vec<Row>>> {
        let Some(rows) = self.rows.next().await? else { return Ok(None) };
        let moved = |row: Row| match self.rules.apply(row.key.as_bytes(), row.value) {
            // What cannot be read cannot be moved either.
            _ if row.damaged => None,
            Ruled::Moved(value) => Some(Row { value, ..row }),
            Ruled::Left | Ruled::NoPin(_) => None,
        };
        Ok(Some(rows.into_iter().filter_map(moved).collect()))
    }
}

//! What else is in the store, as digests that do not depend on the order of a scan.

use std::collections::BTreeMap;

use pinstate_core::{CheckedScan, ErrorKind, Result, ScanOptions, Store};

use super::leftovers::{MARKS, leftovers};

/// Everything in a store that is not a run's own.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Neighbours(BTreeMap<String, Digest>);

/// A sum over the hashes of records.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Digest {
    rows: u64,
    sum: [u64; 4],
}

impl Digest {
    fn add(&mut self, fields: &[&[u8]]) {
        let mut hasher = blake3::Hasher::new();
        for field in fields {
            hasher.update(&(field.len() as u64).to_le_bytes());
            hasher.update(field);
        }
        let hash = hasher.finalize();
        for (sum, lane) in self.sum.iter_mut().zip(hash.as_bytes().chunks_exact(8)) {
            let lane = lane.try_into().map(u64::from_le_bytes).unwrap_or_default();
            *sum = sum.wrapping_add(lane);
        }
        self.rows += 1;
    }
}

impl Neighbours {
    /// Reads everything but what begins with `own` and what other runs of the suite have
    /// marked as theirs.
    pub(crate) async fn of(store: &dyn Store, own: &str) -> Result<Self> {
        let mut all = BTreeMap::new();
        let marked = leftovers(store).await?;
        for info in store.list_namespaces().await? {
            let name = info.name;
            let marked = marked.iter().any(|left| left.namespace == name);
            if marked || name.as_str().starts_with(own) {
                continue;
            }
            let namespace = match store.open_namespace(&name).await {
                // Dropped by its owner while we looked.
                Err(error) if error.kind() == ErrorKind::NoNamespace => continue,
                opened => opened?,
            };
            let mut digest = Digest::default();
            let options = ScanOptions::new().include_deleted();
            let mut scan = CheckedScan::new(namespace.scan(options).await?);
            while let Some(page) = scan.next_page().await? {
                for item in page.items {
                    match item {
                        Ok(record) => digest.add(&[
                            record.key.as_bytes(),
                            &record.version.0.to_le_bytes(),
                            &[u8::from(record.deleted)],
                            &record.value,
                        ]),
                        Err(damaged) => {
                            digest.add(&[damaged.key.as_bytes(), &damaged.raw]);
                        }
                    }
                }
            }
            all.insert(format!("the namespace '{name}'"), digest);
        }
        let mut digest = Digest::default();
        for (key, record) in store.control_list("").await? {
            if !key.starts_with(own) && !key.starts_with(MARKS) {
                digest.add(&[key.as_bytes(), &record.revision.to_le_bytes(), &record.value]);
            }
        }
        all.insert("the control records".to_owned(), digest);
        Ok(Self(all))
    }

    /// What is no longer as it was, in words; what is new is not looked at.
    pub(crate) fn changes(&self, now: &Self) -> Vec<String> {
        let changes = self.0.iter().filter_map(|(what, before)| match now.0.get(what) {
            None => Some(format!("{what} is gone ({} rows)", before.rows)),
            Some(after) if after == before => None,
            Some(after) => Some(format!(
                "{what} is not what it was: {} rows before, {} afterwards",
                before.rows, after.rows
            )),
        });
        changes.collect()
    }
}

//! Copying what was there before the first write that went to both.
//!
//! Records keep their versions and are written if newer, hidden markers of deletes too. So a
//! write that came meanwhile wins over its older copy, and a copy that was read before a delete
//! does not bring the record back.

use std::sync::atomic::Ordering;

use pinstate_core::{
    BatchItem, BatchOptions, CheckedScan, Cursor, Delete, Error, ErrorKind, Operation, Put, Range,
    Result, ScanItem, ScanOptions,
};

use super::Inner;
use super::side::Side;
use crate::frames::{Frame, Frames, Magic};

/// The file that says how far it is, in the job's folder.
pub(super) const FILE: &str = "backfill";
const MAGIC: Magic = *b"pinbkfl1";
const RANGE: u8 = 1;
const CURSOR: u8 = 2;
const DONE: u8 = 3;

/// Ranges that are copied one after the other, and said to be done.
const RANGES: usize = 16;
/// Pages between two places that a crash goes back to at most.
const PAGES: u32 = 8;

/// How far the copy is.
#[derive(Debug, Default)]
struct Progress {
    ranges: Vec<Range>,
    /// How many ranges are done, from the front.
    done: usize,
    /// The place in the next one.
    after: Option<Cursor>,
}

impl Progress {
    fn take(&mut self, frame: &Frame) -> Result<()> {
        let text = String::from_utf8_lossy(&frame.payload);
        match frame.kind {
            RANGE => self.ranges.push(text.parse()?),
            CURSOR => self.after = Some(text.parse()?),
            DONE => {
                self.done += 1;
                self.after = None;
            }
            other => {
                let what = format!("an entry of a kind {other} from elsewhere");
                return Err(Error::new(ErrorKind::Incompatible, Operation::Open, what));
            }
        }
        Ok(())
    }
}

impl Inner {
    /// Copies everything, from where an earlier try has come to.
    pub(super) async fn backfill(&self) -> Result<()> {
        let role = self.pair.phase().primary();
        let (from, to) = (self.pair.side(role), self.pair.side(role.other()));
        let path = self.folder.file(FILE);
        let mut progress = Progress::default();
        let mut file = if path.exists() {
            Frames::open(&path, MAGIC, |frame| progress.take(&frame))?
        } else {
            Frames::create(&path, MAGIC)?
        };
        if progress.ranges.is_empty() {
            progress.ranges = from.namespace.split(RANGES).await?;
            for range in &progress.ranges {
                file.append(RANGE, range.to_string().as_bytes());
            }
            file.sync()?;
        }
        let ranges = progress.ranges.len();
        self.counts.ranges.store(ranges as u64, Ordering::Relaxed);
        for (place, range) in progress.ranges.into_iter().enumerate().skip(progress.done) {
            self.counts.ranges_done.store(place as u64, Ordering::Relaxed);
            self.copy_range(from, to, range, progress.after.take(), &mut file).await?;
        }
        self.counts.ranges_done.store(ranges as u64, Ordering::Relaxed);
        Ok(())
    }

    async fn copy_range(
        &self,
        from: &Side,
        to: &Side,
        range: Range,
        after: Option<Cursor>,
        file: &mut Frames,
    ) -> Result<()> {
        let mut options = ScanOptions::new().with_range(range).include_deleted();
        options.after = after;
        let mut scan = CheckedScan::new(from.namespace.scan(options).await?);
        let mut pages = 0;
        while let Some(page) = scan.next_page().await? {
            self.stopped()?;
            let items: Vec<BatchItem> = page.items.into_iter().map(item).collect::<Result<_>>()?;
            let count = items.len() as u64;
            if count > 0 {
                let written = to.namespace.apply(items, BatchOptions::if_newer()).await?;
                written.into_result()?;
            }
            self.counts.copied.fetch_add(count, Ordering::Relaxed);
            pages += 1;
            if pages % PAGES == 0 {
                // Only what cannot be lost any more is behind the place.
                to.store.sync().await?;
                file.append(CURSOR, page.cursor.to_string().as_bytes());
                file.sync()?;
            }
        }
        to.store.sync().await?;
        file.append(DONE, &[]);
        // A few hundred bytes, once in some thousand records: not worth a thread.
        file.sync()
    }
}

fn item(row: ScanItem) -> Result<BatchItem> {
    match row {
        Ok(record) if record.deleted => Ok(Delete::new(record.key, record.version).into()),
        Ok(record) => Ok(Put::new(record.key, record.value, record.version).into()),
        Err(damaged) => {
            let what =
                "the source cannot read a record, so it cannot be copied: replace or remove it";
            Err(Error::new(ErrorKind::Corrupt, Operation::Mirror, what)
                .with_key(damaged.key)
                .with_context("reason", damaged.reason))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_of_the_first_format_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        // Of sixty thousand pins in sixteen ranges, cut off after four of these.
        std::fs::write(&path, include_bytes!("../../tests/fixtures/mirror-1/backfill")).unwrap();
        let mut progress = Progress::default();
        let file = Frames::open(&path, MAGIC, |frame| progress.take(&frame)).unwrap();
        assert_eq!((progress.ranges.len(), progress.done), (16, 4));
        assert_eq!(file.len(), std::fs::metadata(&path).unwrap().len(), "all of it");
    }
}

//! Sources that are no store, or none as it should be.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use pinstate_core::format::ndjson::{NdjsonDecoder, NdjsonEncoder};
use pinstate_core::format::{Decoder, Encoder, Leniency};
use pinstate_core::pin::{ImportOverrides, Zone};
use pinstate_core::transfer::StopFlag;
use pinstate_core::{Capabilities, Error, ErrorKind, Key, Operation, Outcome, Result, Store};
use pinstate_migrate::job::{
    FileSource, Identity, Job, MaxErrors, Mode, Pages, Phase, Settings, Source, SourcePage,
    SourceRow, Step, VerifiedBy,
};
use pinstate_migrate::{OpenFile, Pinset};
use tempfile::TempDir;

use crate::setup::{StopAt, tuning};
use crate::support::{all, default, fill, memory, record, source, target};

/// A file in memory.
struct Text(String);

impl OpenFile for Text {
    fn open(&self) -> Result<(Box<dyn tokio::io::AsyncRead + Send + Unpin>, Box<dyn Decoder>)> {
        let decoder = NdjsonDecoder::new(Leniency::Strict, ImportOverrides::default());
        Ok((Box::new(std::io::Cursor::new(self.0.clone().into_bytes())), Box::new(decoder)))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_goes_on_after_the_entry_that_was_reached() {
    let mut text = Vec::new();
    for n in (0..500).chain(3..4) {
        let (key, value) = record(n);
        NdjsonEncoder::new(Zone::Utc).encode(key.as_bytes(), &value, &mut text).unwrap();
    }
    let text = Arc::new(Text(String::from_utf8(text).unwrap()));
    let file = |stamp| {
        Arc::new(FileSource::new(
            "a file",
            "/a/file",
            stamp,
            Arc::clone(&text) as Arc<dyn OpenFile>,
        ))
    };
    let (to, jobs) = (memory(), TempDir::new().unwrap());
    let open = async |stamp: &str, stop: &StopFlag| {
        let mut tuning = tuning();
        tuning.stop = stop.clone();
        Job::open(jobs.path(), file(stamp.to_owned()), target(&to), &Settings::new(), tuning).await
    };
    for after in 1..4 {
        let stop = StopFlag::new();
        let watch =
            StopAt { step: Step::Remembered, after: AtomicU64::new(after), stop: stop.clone() };
        let job = open("as it was", &stop).await.unwrap().watched(Arc::new(watch));
        assert_eq!(job.run().await.unwrap_err().kind(), ErrorKind::Cancelled);
    }
    let changed = open("as it is now", &StopFlag::new()).await.unwrap_err();
    assert_eq!(changed.kind(), ErrorKind::Conflict, "{changed}");
    let report = open("as it was", &StopFlag::new()).await.unwrap().run().await.unwrap();
    assert_eq!((report.phase, report.counts.read), (Phase::Done, 501));
    // One is there twice, so the sum does not tell.
    assert_eq!(report.verified.unwrap().by, VerifiedBy::Comparison);
    assert_eq!(all(&to, &default()).await.len(), 500);
}

/// A source that is not as it should be.
#[derive(Debug)]
struct Odd {
    inner: Arc<dyn Source>,
    what: What,
    calls: Arc<AtomicU64>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum What {
    /// Fails with what may be tried again, now and then.
    Fails,
    /// Gives a page twice.
    Repeats,
    /// Some rows cannot be read.
    Damaged(u64),
}

struct OddPages {
    inner: Box<dyn Pages>,
    what: What,
    calls: Arc<AtomicU64>,
    last: Mutex<Option<SourcePage>>,
}

#[async_trait]
impl Pages for OddPages {
    async fn next(&mut self) -> Result<Option<SourcePage>> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        match self.what {
            What::Fails if call % 3 == 1 => {
                let error = Error::new(ErrorKind::Unavailable, Operation::Scan, "gone");
                Err(error.with_outcome(Outcome::NotApplied))
            }
            What::Repeats if call % 4 == 3 && self.last.lock().is_some() => {
                Ok(self.last.lock().clone())
            }
            What::Damaged(every) => {
                let Some(mut page) = self.inner.next().await? else { return Ok(None) };
                for row in &mut page.rows {
                    if let SourceRow::Record { key, value, .. } = row.clone()
                        && u64::from(value.as_ref()[value.len() - 1]) % every == 0
                    {
                        let reason = "it does not fit its checksum".to_owned();
                        *row = SourceRow::Unreadable { key: Some(key), raw: value, reason };
                    }
                }
                Ok(Some(page))
            }
            What::Fails | What::Repeats => {
                let page = self.inner.next().await?;
                self.last.lock().clone_from(&page);
                Ok(page)
            }
        }
    }
}

#[async_trait]
impl Source for Odd {
    fn identity(&self) -> Identity {
        self.inner.identity()
    }

    fn capabilities(&self) -> Option<&Capabilities> {
        self.inner.capabilities()
    }

    async fn keep(&self, folder: &Path) -> Result<()> {
        self.inner.keep(folder).await
    }

    async fn estimate(&self) -> Result<Option<u64>> {
        self.inner.estimate().await
    }

    async fn parts(&self, n: usize) -> Result<Vec<String>> {
        self.inner.parts(n).await
    }

    async fn open(
        &self,
        part: &str,
        after: Option<&str>,
        page_rows: usize,
    ) -> Result<Box<dyn Pages>> {
        let inner = self.inner.open(part, after, page_rows).await?;
        let calls = Arc::clone(&self.calls);
        Ok(Box::new(OddPages { inner, what: self.what, calls, last: Mutex::new(None) }))
    }

    async fn find(&self, keys: &[Key]) -> Result<Vec<Option<SourceRow>>> {
        self.inner.find(keys).await
    }

    fn pinset(&self) -> Arc<dyn Pinset> {
        self.inner.pinset()
    }
}

async fn odd(from: &Arc<dyn Store>, what: What) -> Arc<Odd> {
    let (inner, calls) = (source(from).await, Arc::default());
    Arc::new(Odd { inner, what, calls })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_fails_now_and_then_is_read_to_its_end() {
    let (from, to) = (memory(), memory());
    fill(&from, 0..700).await;
    let jobs = TempDir::new().unwrap();
    let source = odd(&from, What::Fails).await;
    let job = Job::open(jobs.path(), source, target(&to), &Settings::new(), tuning()).await;
    let report = job.unwrap().run().await.unwrap();
    assert_eq!((report.phase, report.counts.read), (Phase::Done, 700));
    assert_eq!(all(&from, &default()).await, all(&to, &default()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_comes_twice_is_found_out() {
    let (from, to) = (memory(), memory());
    fill(&from, 0..2_000).await;
    let jobs = TempDir::new().unwrap();
    let source = odd(&from, What::Repeats).await;
    let job = Job::open(jobs.path(), source, target(&to), &Settings::new(), tuning()).await;
    let report = job.unwrap().run().await.unwrap();
    // The sum does not fit, so both are compared record by record: nothing is wrong.
    assert_eq!(report.phase, Phase::Done);
    assert_eq!(report.verified.unwrap().by, VerifiedBy::Comparison);
    assert_eq!(all(&from, &default()).await, all(&to, &default()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_cannot_be_read_are_kept_with_their_bytes() {
    let from = memory();
    fill(&from, 0..1_000).await;
    // The last byte of a value is that of the team's name.
    let damaged = (0..1_000).filter(|n| (b'0' + (n % 3) as u8).is_multiple_of(49)).count() as u64;
    for most in [damaged - 1, damaged] {
        let (to, jobs) = (memory(), TempDir::new().unwrap());
        let mut tuning = tuning();
        tuning.max_errors = MaxErrors::Rows(most);
        let source = odd(&from, What::Damaged(49)).await;
        let settings = Settings::new().with_mode(Mode::Replace);
        let job = Job::open(jobs.path(), source, target(&to), &settings, tuning).await.unwrap();
        let folder = job.folder().clone();
        let ran = job.run().await;
        if most < damaged {
            // Counted over all parts, and not for each of them.
            assert_eq!(ran.unwrap_err().kind(), ErrorKind::InvalidInput);
            continue;
        }
        let report = ran.unwrap();
        assert_eq!((report.phase, report.dead), (Phase::Done, damaged));
        let mut raw = 0;
        folder
            .dead_letters(|letter| {
                let bytes = data_encoding::HEXLOWER.decode(letter.raw.as_bytes()).unwrap();
                raw += usize::from(!Bytes::from(bytes).is_empty());
                Ok(())
            })
            .unwrap();
        assert_eq!(raw as u64, damaged);
        let text = std::fs::read_to_string(folder.path().join("certificate.html")).unwrap();
        assert!(text.contains("but for"), "a certificate says what is missing");
    }
}

//! The pages of a part, read again where that may help.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use pinstate_core::Result;

use super::settings::Tuning;
use super::source::{Pages, Source, SourcePage};

/// A part that is read on after a failure: after a pause, from the last place, in pages half
/// as long.
pub(super) struct Reading {
    source: Arc<dyn Source>,
    part: String,
    after: Option<String>,
    pages: Option<Box<dyn Pages>>,
    page_rows: usize,
    tuning: Tuning,
    retries: Arc<AtomicU64>,
}

impl Reading {
    pub(super) fn new(
        source: Arc<dyn Source>,
        part: String,
        after: Option<String>,
        tuning: &Tuning,
        retries: Arc<AtomicU64>,
    ) -> Self {
        let page_rows = tuning.page_rows.max(1);
        Self { source, part, after, pages: None, page_rows, tuning: tuning.clone(), retries }
    }

    /// The next page, or `None` at the certain end of the part.
    pub(super) async fn next(&mut self) -> Result<Option<SourcePage>> {
        let mut pause = self.tuning.pause;
        let mut tries = 1;
        loop {
            match self.once().await {
                Ok(page) => {
                    if let Some(page) = &page {
                        self.after = Some(page.after.clone());
                    }
                    return Ok(page);
                }
                Err(error) if error.may_retry(true) && tries < self.tuning.tries => {
                    self.retries.fetch_add(1, Ordering::Relaxed);
                    // A scan goes on where it was, but not with shorter pages.
                    self.pages = None;
                    self.page_rows = (self.page_rows / 2).max(1);
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                    tries += 1;
                }
                Err(error) => return Err(error.with_context("part", &self.part)),
            }
        }
    }

    async fn once(&mut self) -> Result<Option<SourcePage>> {
        let pages = match &mut self.pages {
            Some(pages) => pages,
            None => {
                let after = self.after.as_deref();
                let pages = self.source.open(&self.part, after, self.page_rows).await?;
                self.pages.insert(pages)
            }
        };
        pages.next().await
    }
}

//! Whole pinsets in and out of a namespace, by the transfers that the binary uses.

use std::collections::BTreeSet;
use std::pin::Pin as Pinned;
use std::sync::Arc;
use std::task::{Context, Poll};

use pinstate_core::digest::{Digest, Kind};
use pinstate_core::format::ndjson::{NdjsonDecoder, NdjsonEncoder};
use pinstate_core::format::{Encoder, Leniency};
use pinstate_core::pin::{ImportOverrides, Pin, Zone};
use pinstate_core::transfer::{
    ExportEnd, ExportOptions, ImportEnd, ImportOptions, ImportReport, Unwatched, export, import,
};
use pinstate_core::{CheckedScan, CountOptions, ErrorKind, ScanOptions, State};
use tokio::io::AsyncWrite;

use super::pins::{cid, full};
use crate::case::Cx;
use crate::check::{Checked, Violation, holds, refused, same};
use crate::clause::clauses;

clauses! {
    E1: "an export that is imported gives the same export again",
        "a pinset moves by them, and a pin that is lost on the way is lost for good",
        [there_and_back];
    E2: "an import into a namespace that is not empty keeps what it does not name",
        "merging one peer's pins must not unpin another's",
        [merged];
    E3: "an entry that cannot be stored stops an import where it stands, and nothing is wiped",
        "ipfs-cluster empties the state before it reads the first line",
        [bad_line];
    E4: "an import knows a file that was cut off",
        "a pinset without its end looks like a smaller one",
        [cut_off];
    E6: "an export whose reader has gone away ends with an error",
        "a pipe that closes must not leave a process behind",
        [reader_gone];
    E7: "an export during writes has every record that stayed exactly once",
        "backups are made while the cluster works",
        [export_during_writes];
}

async fn written(state: &State) -> Checked<String> {
    written_in_pages(state, ScanOptions::new().page_rows).await
}

async fn written_in_pages(state: &State, page_rows: usize) -> Checked<String> {
    let mut out = Vec::new();
    let mut options = ExportOptions::new();
    options.scan = options.scan.with_page_rows(page_rows);
    let encoder = || Box::new(NdjsonEncoder::new(Zone::Utc)) as Box<dyn Encoder>;
    let namespace = &**state.namespace();
    let report = export(namespace, encoder, &mut out, options, &mut Unwatched).await.complete()?;
    same("records that an export left out", report.skipped, 0)?;
    let text = String::from_utf8(out).map_err(|error| Violation::new(error.to_string()))?;
    same("lines of an export", text.lines().count() as u64, report.pins)?;
    Ok(text)
}

async fn read(state: &State, text: &str) -> ImportReport {
    let decoder = Box::new(NdjsonDecoder::new(Leniency::Strict, ImportOverrides::default()));
    let namespace = Arc::clone(state.namespace());
    // Several batches, so that the last one is not the only one.
    let options = ImportOptions::new().with_batch(100);
    import(namespace, state.clock(), text.as_bytes(), decoder, options, &mut Unwatched).await
}

async fn digest(state: &State) -> Checked<Digest> {
    let mut digest = Digest::new(Kind::Pin);
    let scan = CheckedScan::new(state.namespace().scan(ScanOptions::new()).await?);
    for row in scan.collect().await? {
        let record = row.map_err(|damaged| {
            Violation::new(format!("expected a readable row, got {damaged:?}"))
        })?;
        let added = digest.add_record(record.key.as_bytes(), &record.value);
        added.map_err(|fault| Violation::new(fault.to_string()))?;
    }
    Ok(digest)
}

fn lines(text: &str) -> BTreeSet<&str> {
    text.lines().collect()
}

/// A pinset with plain pins and full ones.
async fn filled(cx: &Cx, count: usize) -> Checked<State> {
    let state = cx.state().await?;
    let mut batch = state.batch();
    for i in 0..count {
        let mut pin = if i % 7 == 0 { full(i)? } else { Pin::new(cid(i)?) };
        pin.name = format!("pin {i}");
        batch.add(&pin)?;
        if batch.len() == 500 {
            batch.commit().await?;
        }
    }
    batch.commit().await?;
    Ok(state)
}

async fn there_and_back(cx: Cx) -> Checked {
    const PINS: usize = 1_203;
    let state = filled(&cx, PINS).await?;
    let first = written(&state).await?;
    same("lines", first.lines().count(), PINS)?;
    let other = cx.state().await?;
    let report = read(&other, &first).await.complete()?;
    same("pins stored", report.stored, PINS as u64)?;
    let second = written(&other).await?;
    same("what only the first export has", lines(&first).difference(&lines(&second)).next(), None)?;
    same(
        "what only the second export has",
        lines(&second).difference(&lines(&first)).next(),
        None,
    )?;
    same("the digest", digest(&other).await?.to_string(), digest(&state).await?.to_string())?;
    same("the count", other.count(CountOptions::new()).await?.value(), PINS as u64)
}

async fn merged(cx: Cx) -> Checked {
    let state = filled(&cx, 150).await?;
    let text = written(&state).await?;
    let other = cx.state().await?;
    let mut kept = Pin::new(cid(1_000)?);
    kept.name = "kept".to_owned();
    other.add(&kept).await?;
    let mut replaced = full(3)?;
    replaced.name = "to be replaced".to_owned();
    other.add(&replaced).await?;
    read(&other, &text).await.complete()?;
    same("a pin that the import does not name", other.get(&kept.cid).await?, kept)?;
    same("one that it does", other.get(&cid(3)?).await?, state.get(&cid(3)?).await?)?;
    same("the count", other.count(CountOptions::new()).await?.value(), 151)
}

async fn bad_line(cx: Cx) -> Checked {
    let state = filled(&cx, 250).await?;
    let text = written(&state).await?;
    let mut input: Vec<&str> = text.lines().collect();
    input.insert(220, r#"{"cid":"no CID"}"#);
    let other = cx.state().await?;
    let kept = full(1_000)?;
    other.add(&kept).await?;
    let report = read(&other, &input.join("\n")).await;
    match &report.end {
        ImportEnd::Refused(entry) => same("the line that is refused", entry.at.line, 221)?,
        other => {
            return Err(Violation::new(format!(
                "an import with a bad line: expected a refusal, got {other:?}"
            )));
        }
    }
    same("pins stored", report.stored, 220)?;
    refused("the import", report.complete().map(|_| ()), ErrorKind::InvalidInput)?;
    same("a pin from before", other.get(&kept.cid).await?, kept)?;
    same("the count", other.count(CountOptions::new()).await?.value(), 221)?;
    // What the report says is stored is there.
    let now = written(&other).await?;
    let now = lines(&now);
    for line in input.iter().take(220) {
        holds(now.contains(line), || format!("expected the pin {line}, which is not there"))?;
    }
    Ok(())
}

async fn cut_off(cx: Cx) -> Checked {
    let state = filled(&cx, 120).await?;
    let text = written(&state).await?;
    let other = cx.state().await?;
    let cut = text.get(..text.len() - 10).unwrap_or_default();
    let report = read(&other, cut).await;
    refused(
        "an import of a file that was cut off",
        report.complete().map(|_| ()),
        ErrorKind::InvalidInput,
    )?;
    same("the count", other.count(CountOptions::new()).await?.value(), 119)
}

/// Takes so many bytes, and is then closed at the other end.
struct Closing(usize);

impl AsyncWrite for Closing {
    fn poll_write(
        mut self: Pinned<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let taken = bytes.len().min(self.0);
        self.0 -= taken;
        if taken == 0 {
            Poll::Ready(Err(std::io::ErrorKind::BrokenPipe.into()))
        } else {
            Poll::Ready(Ok(taken))
        }
    }

    fn poll_flush(self: Pinned<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pinned<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

async fn reader_gone(cx: Cx) -> Checked {
    let state = filled(&cx, 2_000).await?;
    let encoder = || Box::new(NdjsonEncoder::new(Zone::Utc)) as Box<dyn Encoder>;
    let mut options = ExportOptions::new();
    options.scan = options.scan.with_page_rows(50);
    let namespace = &**state.namespace();
    let report = export(namespace, encoder, &mut Closing(5_000), options, &mut Unwatched).await;
    match report.end {
        ExportEnd::Failed(error) => same("the error's kind", error.kind(), ErrorKind::Io)?,
        other => {
            return Err(Violation::new(format!(
                "an export whose reader has gone: expected a failure, got {other:?}"
            )));
        }
    }
    same("the count", state.count(CountOptions::new()).await?.value(), 2_000)
}

async fn export_during_writes(cx: Cx) -> Checked {
    const STAY: usize = 400;
    let state = filled(&cx, STAY).await?;
    let stay = written(&state).await?;
    let stay = lines(&stay);
    let others = state.clone();
    let churn = async move {
        for turn in 0.. {
            let pin = Pin::new(cid(10_000 + turn % 40)?);
            others.add(&pin).await?;
            if turn % 3 == 0 {
                others.rm(&cid(10_000 + (turn + 20) % 40)?).await?;
            }
            tokio::task::yield_now().await;
        }
        Ok::<(), Violation>(())
    };
    let exports = async {
        for _ in 0..3 {
            let text = written_in_pages(&state, 10).await?;
            let mut seen = BTreeSet::new();
            for line in text.lines() {
                holds(seen.insert(line), || format!("an export has {line} twice"))?;
            }
            let missing = stay.iter().find(|line| !seen.contains(**line));
            same("a pin that stayed and is not in the export", missing, None)?;
        }
        Ok(())
    };
    tokio::select! {
        result = churn => result,
        result = exports => result,
    }
}

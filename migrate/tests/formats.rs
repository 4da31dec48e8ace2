//! Folders that earlier versions have left are read, and those of later ones are refused and
//! left as they are.
//!
//! The folders in `fixtures/job-1` are of `pinstate migrate run` from a file of 22 pins and a
//! line that is none: one was interrupted, one is done. They are never written again.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use pinstate_core::ErrorKind;
use pinstate_migrate::job::{JobFolder, Orders, Phase, certificate, status};
use tempfile::TempDir;

/// A copy, so that nothing can change the fixture.
fn job(name: &str) -> (TempDir, JobFolder) {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/job-1").join(name);
    let folder = tempfile::tempdir().unwrap();
    for file in fs::read_dir(fixture).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
    }
    let [job] = &JobFolder::all(folder.path()).unwrap()[..] else { panic!("one job") };
    let job = job.clone();
    (folder, job)
}

#[test]
fn a_job_that_was_interrupted_is_told_of() {
    let (_folder, job) = job("interrupted");
    let (progress, worked_on) = status(&job).unwrap();
    assert_eq!((progress.phase, progress.parts, worked_on), (Phase::Copying, (0, 1), false));
    let counts = progress.counts;
    assert_eq!((counts.read, counts.written, counts.dead, counts.bytes), (12, 11, 1, 2_676));
    assert_eq!(Orders::of(&job).unwrap().read_rows, Some(3));
    let about = certificate(&job).unwrap();
    assert_eq!((about.source.name.as_str(), about.dead), ("pins.ndjson", 1));
}

#[test]
fn the_certificate_of_a_job_that_is_done_says_what_it_said() {
    let (folder, job) = job("done");
    assert_eq!(status(&job).unwrap().0.phase, Phase::Done);
    let then = fs::read_to_string(folder.path().join("certificate.json")).unwrap();
    let value = |json: &str| serde_json::from_str::<serde_json::Value>(json).unwrap();
    let (now, then) = (value(&certificate(&job).unwrap().json()), value(&then));
    // There may be more in it than there was.
    for (name, said) in then.as_object().unwrap() {
        assert_eq!(&now[name], said, "{name}");
    }
}

#[test]
fn a_ledger_of_a_later_format_is_refused_and_left() {
    let (folder, job) = job("interrupted");
    let path: PathBuf = folder.path().join("ledger");
    let mut bytes = fs::read(&path).unwrap();
    bytes[6] = b'2';
    fs::write(&path, &bytes).unwrap();
    for error in [status(&job).map(drop).unwrap_err(), certificate(&job).map(drop).unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Incompatible);
        let text = error.to_string();
        assert!(text.contains("'pinjob2'") && text.contains("'pinjob1'"), "{text}");
    }
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

//! Formats that other versions of a backend have written.

use pinstate_core::{Error, ErrorKind};

use super::list::pairs;
use crate::case::Cx;
use crate::check::{Checked, Violation, holds, refused, same, some};
use crate::clause::clauses;
use crate::files::{Files, files, lay_out};
use crate::fixture::{Contents, FILES};

clauses! {
    V1: "what a released version has written is still read, and can be written to",
        "who upgrades has no other copy of the pinset",
        [fixtures_are_read];
    V2: "a store of a newer format is refused with both versions named, and left as it is",
        "after a downgrade the old program must not spoil what the new one wrote",
        [newer_is_refused_untouched];
}

async fn fixtures_are_read(cx: Cx) -> Checked {
    let fixtures = cx.fixtures();
    if fixtures.is_empty() {
        return Err(Violation::not_here(
            "needs stores that released versions have written, and the plug has no 'fixtures'",
        ));
    }
    for fixture in fixtures {
        let of = |error| Violation::files(&format!("the fixture {}", fixture.display()), &error);
        let expected = Contents::read(&fixture).map_err(of)?;
        let folder = cx.folder()?;
        let kept = files(&fixture.join(FILES)).map_err(of)?;
        lay_out(&kept, folder.path()).map_err(of)?;
        let version = expected.format;
        let within = |violation: Violation| {
            violation.within(&format!("a store of format {version} ({})", fixture.display()))
        };
        read_and_go_on(&cx, folder.path(), expected).await.map_err(within)?;
    }
    Ok(())
}

/// What was written must be there, also once something was written after it.
async fn read_and_go_on(cx: &Cx, folder: &std::path::Path, expected: Contents) -> Checked {
    let own = cx.own_in(folder)?;
    let store = own.open().await?;
    let now = Contents::of(&*store).await?;
    same("the backend", &now.backend, &expected.backend)?;
    same("namespaces, with digests of their rows", &now.namespaces, &expected.namespaces)?;
    same("control records", &now.control, &expected.control)?;
    let name = cx.name()?;
    store.create_namespace(&name).await?;
    let ns = cx.open(&store, &name).await?;
    ns.fill(pairs(20)).await?;
    store.close().await?;
    drop((ns, store));
    let store = own.open().await?;
    let again = Contents::of(&*store).await?;
    for (name, digest) in &expected.namespaces {
        let what = format!("the digest of {name} once something was written beside it");
        same(&what, again.namespaces.get(name), Some(digest))?;
    }
    same("what was written", cx.open(&store, &name).await?.count().await?, 20)?;
    store.close().await?;
    Ok(())
}

async fn newer_is_refused_untouched(cx: Cx) -> Checked {
    let folder = cx.folder()?;
    // Where there are files they are looked at.
    let own = match cx.own_in(folder.path()) {
        Ok(own) => own,
        Err(_) => cx.own_store().await?,
    };
    let (store, ns) = own.open_new().await?;
    ns.fill(pairs(50)).await?;
    let known = store.identity().format;
    store.close().await?;
    drop((store, ns));
    let made = own.make_newer().await.ok_or_else(|| {
        Violation::not_here(
            "needs a store whose format is one version newer, and the plug's sites have no \
             'make_newer'",
        )
    })?;
    made.map_err(|error| Violation::harness("the store cannot be made newer", &error))?;
    let look = || -> Checked<Files> {
        files(folder.path())
            .map_err(|error| Violation::files("the store's files cannot be read", &error))
    };
    let before = look()?;
    for _ in 0..2 {
        let opened = own.open().await;
        let error = refused("opening a store of a newer format", opened, ErrorKind::Incompatible)?;
        names(&error, known)?;
        let after = look()?;
        let paths = |files: &Files| files.keys().cloned().collect::<Vec<_>>();
        same("files after the refusal", paths(&after), paths(&before))?;
        let changed = before.iter().find(|(path, bytes)| after.get(*path) != Some(bytes));
        holds(changed.is_none(), || {
            format!(
                "refusing a store of a newer format changed the file {:?}",
                changed.map(|c| c.0)
            )
        })?;
    }
    Ok(())
}

/// The error must name the version that is known and the one that was found.
fn names(error: &Error, known: u32) -> Checked {
    let text = error.to_string();
    let numbers: Vec<u32> =
        text.split(|c: char| !c.is_alphanumeric()).filter_map(|word| word.parse().ok()).collect();
    for version in [known, known + 1] {
        some(
            &format!("the format version {version} in the refusal '{text}'"),
            numbers.contains(&version).then_some(()),
        )?;
    }
    Ok(())
}

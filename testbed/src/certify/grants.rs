//! Passwords, and what a role may do that has SELECT and MODIFY alone.

use std::time::Duration;

use scylla::client::session::Session;

use super::answer::Answer;
use super::book::{Book, Expected, Fact};
use super::site::{Site, connect};
use crate::access::Login;

/// Grants are seen after some seconds.
const TRIES: u32 = 40;
const PAUSE: Duration = Duration::from_millis(250);

pub(super) async fn checks(site: &Site, book: &mut Book) {
    book.group("roles and grants");
    wrong_password(site, book).await;
    let app = open(site).await;
    let ask = |statement: &'static str| {
        let app = &app;
        async move {
            match app {
                Ok(session) => site.ask_at(session, statement).await,
                Err(answer) => answer.clone(),
            }
        }
    };
    let done: Expected = ("done", Answer::ok);
    let rows: Expected = ("rows", |a| a.rows().is_some());
    let refused: Expected = ("2100", |a| a.refused("2100", ""));
    for (id, shows, statement, scylla, cassandra) in [
        (
            "grant-write",
            "SELECT and MODIFY on the keyspace: writes",
            "INSERT INTO {t} (cid, v) VALUES (0x77, 0x01)",
            done,
            Some(done),
        ),
        ("grant-read", "… reads", "SELECT v FROM {t} WHERE cid = 0x77", rows, Some(rows)),
        ("grant-delete", "… deletes", "DELETE FROM {t} WHERE cid = 0x77", done, Some(done)),
        (
            "grant-lwt",
            "… conditional writes",
            "INSERT INTO {l} (id, n) VALUES ('g', 1) IF NOT EXISTS",
            rows,
            Some(rows),
        ),
        ("grant-truncate", "… TRUNCATE", "TRUNCATE {u}", done, Some(done)),
        (
            "grant-ddl",
            "… and no CREATE TABLE",
            "CREATE TABLE {k}.made (id int PRIMARY KEY)",
            refused,
            Some(refused),
        ),
        (
            "grant-local",
            "system.local needs no grant",
            "SELECT host_id FROM system.local",
            rows,
            Some(rows),
        ),
        (
            "grant-peers",
            "system.peers needs no grant",
            "SELECT host_id FROM system.peers",
            rows,
            Some(rows),
        ),
        (
            "grant-schema",
            "system_schema needs no grant",
            "SELECT keyspace_name FROM system_schema.keyspaces",
            rows,
            Some(rows),
        ),
        (
            "grant-versions",
            "system.versions needs a grant",
            "SELECT version FROM system.versions",
            refused,
            None,
        ),
        (
            "grant-config",
            "system.config needs a grant",
            "SELECT name FROM system.config",
            refused,
            None,
        ),
        (
            "grant-clients",
            "system.clients needs a grant",
            "SELECT address FROM system.clients",
            refused,
            None,
        ),
        (
            "grant-estimates",
            "system.size_estimates needs a grant",
            "SELECT table_name FROM system.size_estimates",
            refused,
            None,
        ),
    ] {
        book.see(Fact { id, shows, scylla, cassandra }, ask(statement)).await;
    }
}

async fn wrong_password(site: &Site, book: &mut Book) {
    let refused: Expected = (
        "0100 Username and/or password are incorrect",
        |a| matches!(a, Answer::None(text) if text.contains("incorrect")),
    );
    book.see(
        Fact {
            id: "wrong-password",
            shows: "A wrong password is an error of its own kind",
            scylla: refused,
            cassandra: Some(refused),
        },
        async {
            let Some(login) = &site.access.login else { return nobody_is_asked() };
            let mut access = site.access.clone();
            access.login = Some(Login {
                user: login.user.clone(),
                password: format!("{}-not", login.password),
            });
            match connect(&access, None).await {
                Ok(_) => Answer::Seen("let in".to_owned()),
                Err(e) => Answer::None(e.to_string()),
            }
        },
    )
    .await;
}

fn nobody_is_asked() -> Answer {
    Answer::Cannot("no role was given: on a cluster with roles, say --user".to_owned())
}

/// A session of a role that may read and write in the keyspace and nothing else.
async fn open(site: &Site) -> Result<Session, Answer> {
    if site.access.login.is_none() {
        return Err(nobody_is_asked());
    }
    let (role, password) = (site.role(), format!("{:016x}", fastrand::u64(..)));
    for statement in [
        format!("CREATE ROLE {role} WITH PASSWORD = '{password}' AND LOGIN = true"),
        format!("GRANT SELECT ON KEYSPACE {} TO {role}", site.keyspace),
        format!("GRANT MODIFY ON KEYSPACE {} TO {role}", site.keyspace),
    ] {
        let answer = site.ask(&statement).await;
        if let Answer::Refused(code, text) = &answer
            && (code == "2100" || text.contains("disabled"))
        {
            return Err(Answer::Cannot(format!("the given role may make no roles here: {answer}")));
        }
        if !answer.ok() {
            return Err(answer);
        }
    }
    let mut access = site.access.clone();
    access.login = Some(Login { user: role, password });
    let mut last = Answer::Cannot("never tried".to_owned());
    for _ in 0..TRIES {
        match connect(&access, None).await {
            Ok(session) => {
                let seen = site.ask_at(&session, "SELECT v FROM {t} WHERE cid = 0x00").await;
                if seen.ok() {
                    return Ok(session);
                }
                last = seen;
            }
            Err(e) => last = Answer::None(e.to_string()),
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(last)
}

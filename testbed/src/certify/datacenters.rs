//! A datacenter in which a keyspace has no replica.

use scylla::client::session::Session;
use scylla::statement::{Consistency, Statement};

use super::answer::Answer;
use super::book::{Book, Fact};
use super::site::{Site, connect, create_keyspace};

pub(super) async fn checks(site: &Site, book: &mut Book) {
    book.group("a datacenter without replicas");
    let datacenters: Vec<_> = site.datacenters().into_keys().collect();
    let there = match datacenters.as_slice() {
        [home, away, ..] => open(site, home, away).await,
        _ => Err(Answer::Cannot("the cluster has one datacenter".to_owned())),
    };
    let (session, keyspace) = match &there {
        Ok((session, keyspace)) => (Ok(session), keyspace.as_str()),
        Err(answer) => (Err(answer), ""),
    };
    let ask = |statement: String, consistency: Consistency| async move {
        let session = session.map_err(Answer::clone);
        let session = match session {
            Ok(session) => session,
            Err(answer) => return answer,
        };
        let mut statement = Statement::new(statement);
        statement.set_consistency(consistency);
        Answer::of(session.query_unpaged(statement, &[]).await)
    };
    let read = || format!("SELECT v FROM {keyspace}.t WHERE cid = 0x01");
    book.see(
        Fact {
            id: "away-read-quorum",
            shows: "LOCAL_QUORUM reads there: empty without an error on ScyllaDB, although the row is there",
            scylla: ("no rows, no error", |a| a.rows() == Some(0)),
            cassandra: Some(("1000 Unavailable", |a| a.refused("1000", ""))),
        },
        ask(read(), Consistency::LocalQuorum),
    )
    .await;
    book.see(
        Fact {
            id: "away-read-one",
            shows: "ONE reads the row from the other datacenter",
            scylla: ("one row", |a| a.rows() == Some(1)),
            cassandra: Some(("one row", |a| a.rows() == Some(1))),
        },
        ask(read(), Consistency::One),
    )
    .await;
    book.see(
        Fact {
            id: "away-read-local-one",
            shows: "LOCAL_ONE is refused",
            scylla: ("1000 Cannot achieve consistency level", |a| a.refused("1000", "")),
            cassandra: Some(("1000 Unavailable", |a| a.refused("1000", ""))),
        },
        ask(read(), Consistency::LocalOne),
    )
    .await;
    book.see(
        Fact {
            id: "away-write-quorum",
            shows: "LOCAL_QUORUM writes there: reported as failed on ScyllaDB, and applied",
            scylla: ("0000 broken promise; then the row is there", |a| {
                a.says("0000") && a.says("broken promise") && a.says("then v=")
            }),
            cassandra: Some(("1000; then no rows", |a| a.says("1000") && a.says("then no rows"))),
        },
        async {
            let insert = format!("INSERT INTO {keyspace}.t (cid, v) VALUES (0x02, 0x02)");
            let written = ask(insert, Consistency::LocalQuorum).await;
            if matches!(written, Answer::Cannot(_)) {
                return written;
            }
            let read = format!("SELECT v FROM {keyspace}.t WHERE cid = 0x02");
            let then = ask(read, Consistency::One).await;
            Answer::Seen(format!("{written}; then {then}"))
        },
    )
    .await;
}

/// A session in `away`, and a keyspace with one row that is replicated in `home` alone.
async fn open(site: &Site, home: &str, away: &str) -> Result<(Session, String), Answer> {
    let keyspace = format!("{}_home", site.name);
    let tablets = if site.is_scylla() { "{'enabled': false}" } else { "" };
    for statement in [
        create_keyspace(&keyspace, [(home, 1)].into_iter(), tablets),
        format!("CREATE TABLE {keyspace}.t (cid blob PRIMARY KEY, v blob)"),
    ] {
        let answer = site.ask(&statement).await;
        if !answer.ok() {
            return Err(answer);
        }
    }
    let mut insert =
        Statement::new(format!("INSERT INTO {keyspace}.t (cid, v) VALUES (0x01, 0x01)"));
    insert.set_consistency(Consistency::One);
    let answer = Answer::of(site.session.query_unpaged(insert, &[]).await);
    if !answer.ok() {
        return Err(answer);
    }
    let session = connect(&site.access, Some(away)).await;
    let session = session.map_err(|e| Answer::None(e.to_string()))?;
    Ok((session, keyspace))
}

//! Conditional writes.

use scylla::statement::Statement;

use super::answer::Answer;
use super::book::{Book, Fact};
use super::site::Site;

pub(super) async fn checks(site: &Site, book: &mut Book) {
    book.group("conditional writes");
    book.see(
        Fact {
            id: "lwt-applied",
            shows: "INSERT IF NOT EXISTS that is applied: on ScyllaDB with all columns, on Cassandra [applied] alone",
            scylla: ("[applied]=true and columns", |a| a.says("[applied]=true") && a.says("v=")),
            cassandra: Some(("[applied]=true", |a| a.says("[applied]=true") && !a.says("v="))),
        },
        site.ask("INSERT INTO {l} (id, v, n) VALUES ('a', 0x01, 1) IF NOT EXISTS"),
    )
    .await;
    book.see(
        Fact {
            id: "lwt-refused",
            shows: "INSERT IF NOT EXISTS that is not applied gives all columns of the row",
            scylla: ("[applied]=false, n=1, v=…", |a| {
                a.says("[applied]=false") && a.says("n=1") && a.says("v=")
            }),
            cassandra: Some(("[applied]=false, n=1, v=…", |a| {
                a.says("[applied]=false") && a.says("n=1") && a.says("v=")
            })),
        },
        site.ask("INSERT INTO {l} (id, v, n) VALUES ('a', 0x02, 2) IF NOT EXISTS"),
    )
    .await;
    book.see(
        Fact {
            id: "lwt-condition",
            shows: "A condition that is not met gives the condition's column alone",
            scylla: ("[applied]=false, n=1", |a| a.says("[applied]=false, n=1") && !a.says("v=")),
            cassandra: Some(("[applied]=false, n=1", |a| {
                a.says("[applied]=false, n=1") && !a.says("v=")
            })),
        },
        site.ask("UPDATE {l} SET v = 0x03 WHERE id = 'a' IF n = 7"),
    )
    .await;
    book.see(
        Fact {
            id: "lwt-stamp",
            shows: "A stamp with a condition is refused",
            scylla: ("2200 Cannot provide custom timestamp", |a| {
                a.refused("2200", "Cannot provide custom timestamp")
            }),
            cassandra: Some(("2200 Cannot provide custom timestamp", |a| {
                a.refused("2200", "Cannot provide custom timestamp")
            })),
        },
        site.ask("INSERT INTO {l} (id, n) VALUES ('b', 1) IF NOT EXISTS USING TIMESTAMP 5"),
    )
    .await;
    book.see(
        Fact {
            id: "lwt-newer-stamp",
            shows: "A conditional write to a row with a newer stamp of a client says applied and changes nothing",
            scylla: ("[applied]=true, then n=1", |a| a.says("[applied]=true; then n=1")),
            cassandra: Some(("[applied]=true, then n=1", |a| a.says("[applied]=true; then n=1"))),
        },
        async {
            let ahead = hours_ahead(1);
            let insert = format!("INSERT INTO {{l}} (id, n) VALUES ('c', 1) USING TIMESTAMP {ahead}");
            let answer = site.ask(&insert).await;
            if !answer.ok() {
                return answer;
            }
            let applied = site.ask("UPDATE {l} SET n = 2 WHERE id = 'c' IF n = 1").await;
            let then = site.ask("SELECT n FROM {l} WHERE id = 'c'").await;
            Answer::Seen(format!("{applied}; then {then}"))
        },
    )
    .await;
    book.see(
        Fact {
            id: "lwt-timeout-ignored",
            shows: "USING TIMEOUT is ignored on a conditional write",
            scylla: ("[applied]=true", |a| a.says("[applied]=true")),
            cassandra: None,
        },
        site.ask("UPDATE {l} USING TIMEOUT 0s SET n = 3 WHERE id = 'a' IF n = 1"),
    )
    .await;
    let tablets = format!("{}_lwt", site.name);
    book.see(
        Fact {
            id: "lwt-tablets",
            shows: "Conditional writes on a table with tablets are refused",
            scylla: ("2200 LWT is not yet supported with tablets", |a| {
                a.refused("2200", "not yet supported with tablets")
            }),
            cassandra: None,
        },
        async {
            for statement in [
                site.create_keyspace(&tablets, "{'enabled': true}"),
                format!("CREATE TABLE {tablets}.l (id text PRIMARY KEY, n int)"),
            ] {
                let answer = site.ask(&statement).await;
                if answer.refused("2300", "not enabled") {
                    return Answer::Cannot(format!("tablets are off on this cluster: {answer}"));
                }
                if !answer.ok() {
                    return answer;
                }
            }
            site.ask(&format!("INSERT INTO {tablets}.l (id, n) VALUES ('a', 1) IF NOT EXISTS"))
                .await
        },
    )
    .await;
    book.see(
        Fact {
            id: "lwt-mark",
            shows: "A prepared conditional write is marked as one, so that the driver routes it to one replica",
            scylla: ("marked", |a| a.says("marked") && !a.says("not marked")),
            cassandra: Some(("not marked", |a| a.says("not marked"))),
        },
        async {
            let insert = Statement::new(format!(
                "INSERT INTO {}.l (id, n) VALUES (?, ?) IF NOT EXISTS",
                site.keyspace
            ));
            match site.session.prepare(insert).await {
                Ok(prepared) if prepared.is_confirmed_lwt() => Answer::Seen("marked".to_owned()),
                Ok(_) => Answer::Seen("not marked".to_owned()),
                Err(e) => Answer::of_prepare(&e),
            }
        },
    )
    .await;
}

/// In microseconds since 1970.
pub(super) fn hours_ahead(hours: i64) -> i64 {
    jiff::Timestamp::now().as_microsecond() + hours * 3_600_000_000
}

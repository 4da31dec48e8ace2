//! Which of two writes wins, and which stamps are taken.

use scylla::statement::batch::{Batch, BatchType};
use scylla::value::MaybeUnset;

use super::answer::Answer;
use super::book::{Book, Fact};
use super::lwt::hours_ahead;
use super::site::Site;

const INSERT: &str = "INSERT INTO {t} (cid, v) VALUES (0x0a, 0x01) USING TIMESTAMP ?";

pub(super) async fn checks(site: &Site, book: &mut Book) {
    book.group("stamps");
    future(site, book).await;
    ties(site, book).await;
    edges(site, book).await;
}

async fn future(site: &Site, book: &mut Book) {
    book.see(
        Fact {
            id: "stamp-future",
            shows: "A stamp four days ahead, of a single statement",
            scylla: ("2200 more than 3 days into the future", |a| {
                a.refused("2200", "3 days into the future")
            }),
            cassandra: Some(("done", Answer::ok)),
        },
        site.put(INSERT, (hours_ahead(96),)),
    )
    .await;
    book.see(
        Fact {
            id: "stamp-future-protocol",
            shows: "The same as the stamp of the protocol's frame is not checked",
            scylla: ("done", Answer::ok),
            cassandra: Some(("done", Answer::ok)),
        },
        async {
            let insert = site.fill("INSERT INTO {t} (cid, v) VALUES (0x0b, 0x01)");
            match site.session.prepare(insert).await {
                Ok(mut prepared) => {
                    prepared.set_timestamp(Some(hours_ahead(96)));
                    Answer::of(site.session.execute_unpaged(&prepared, &[]).await)
                }
                Err(e) => Answer::of_prepare(&e),
            }
        },
    )
    .await;
    book.see(
        Fact {
            id: "stamp-future-batch",
            shows: "The same of a statement in a batch is not checked",
            scylla: ("done", Answer::ok),
            cassandra: Some(("done", Answer::ok)),
        },
        async {
            match site.session.prepare(site.fill(INSERT)).await {
                Ok(prepared) => {
                    let mut batch = Batch::new(BatchType::Unlogged);
                    batch.append_statement(prepared);
                    Answer::of(site.session.batch(&batch, ((hours_ahead(96),),)).await)
                }
                Err(e) => Answer::of_prepare(&e),
            }
        },
    )
    .await;
}

async fn ties(site: &Site, book: &mut Book) {
    let gone: super::book::Expected = ("deleted in both orders", |a| a.says("no rows; no rows"));
    book.see(
        Fact {
            id: "tie-delete",
            shows: "Of a delete and a put with one stamp the delete wins, in both orders",
            scylla: gone,
            cassandra: Some(gone),
        },
        async {
            let put = "INSERT INTO {t} (cid, v) VALUES (0x01, 0x01) USING TIMESTAMP 1000";
            let delete = "DELETE FROM {t} USING TIMESTAMP 1000 WHERE cid = 0x01";
            let read = "SELECT v FROM {t} WHERE cid = 0x01";
            let first = site.ask_all(&[put, delete, read]).await;
            let (put, delete, read) = (
                put.replace("0x01, 0x01", "0x02, 0x01"),
                delete.replace("0x01", "0x02"),
                read.replace("0x01", "0x02"),
            );
            let second = site.ask_all(&[&delete, &put, &read]).await;
            Answer::Seen(format!("{first}; {second}"))
        },
    )
    .await;
    let larger: super::book::Expected = (
        "v=0x02 in both orders",
        |a| matches!(a, Answer::Seen(text) if text.matches("v=0x02").count() == 2),
    );
    book.see(
        Fact {
            id: "tie-larger",
            shows: "Of two puts with one stamp the larger value wins, in both orders",
            scylla: larger,
            cassandra: Some(larger),
        },
        async {
            let put = |key: &str, value: &str| {
                format!("INSERT INTO {{t}} (cid, v) VALUES ({key}, {value}) USING TIMESTAMP 1000")
            };
            let mut seen = Vec::new();
            for (key, values) in [("0x03", ["0x01", "0x02"]), ("0x04", ["0x02", "0x01"])] {
                let [first, second] = values.map(|value| put(key, value));
                let read = format!("SELECT v FROM {{t}} WHERE cid = {key}");
                seen.push(site.ask_all(&[&first, &second, &read]).await.to_string());
            }
            Answer::Seen(seen.join("; "))
        },
    )
    .await;
    let newer: super::book::Expected = ("v=0x01", |a| a.says("v=0x01"));
    book.see(
        Fact {
            id: "tie-one-later",
            shows: "A put one microsecond after a delete wins",
            scylla: newer,
            cassandra: Some(newer),
        },
        site.ask_all(&[
            "INSERT INTO {t} (cid, v) VALUES (0x05, 0x01) USING TIMESTAMP 1001",
            "DELETE FROM {t} USING TIMESTAMP 1000 WHERE cid = 0x05",
            "SELECT v FROM {t} WHERE cid = 0x05",
        ]),
    )
    .await;
}

async fn edges(site: &Site, book: &mut Book) {
    book.see(
        Fact {
            id: "stamp-min",
            shows: "The smallest stamp is refused",
            scylla: ("2200 Out of bound timestamp", |a| {
                a.refused("2200", "Out of bound timestamp")
            }),
            cassandra: Some(("2200", |a| a.refused("2200", ""))),
        },
        site.put(INSERT, (i64::MIN,)),
    )
    .await;
    book.see(
        Fact {
            id: "stamp-min-plus-one",
            shows: "The one after it is taken, and so are -1 and 0",
            scylla: ("done", Answer::ok),
            cassandra: Some(("done", Answer::ok)),
        },
        async {
            for stamp in [i64::MIN + 1, -1] {
                let answer = site.put(INSERT, (stamp,)).await;
                if !answer.ok() {
                    return answer;
                }
            }
            site.put(INSERT, (0_i64,)).await
        },
    )
    .await;
    book.see(
        Fact {
            id: "stamp-null",
            shows: "A null stamp is refused",
            scylla: ("2200 Invalid null value of timestamp", |a| {
                a.refused("2200", "null value of timestamp")
            }),
            cassandra: Some(("2200", |a| a.refused("2200", ""))),
        },
        site.put(INSERT, (None::<i64>,)),
    )
    .await;
    let clock: super::book::Expected = ("the server's clock", |a| a.says("the server's clock"));
    book.see(
        Fact {
            id: "stamp-unset",
            shows: "An unset stamp is the server's clock, without a word",
            scylla: clock,
            cassandra: Some(clock),
        },
        async {
            let insert = INSERT.replace("0x0a", "0x06");
            let answer = site.put(&insert, (MaybeUnset::<i64>::Unset,)).await;
            if !answer.ok() {
                return answer;
            }
            let read = site.ask("SELECT writetime(v) FROM {t} WHERE cid = 0x06").await;
            let stamp = match &read {
                Answer::Rows(rows) => rows.first().and_then(|row| row.split('=').nth(1)),
                _ => None,
            };
            match stamp.and_then(|stamp| stamp.parse::<i64>().ok()) {
                Some(stamp) if (stamp - hours_ahead(0)).abs() < 3_600_000_000 => {
                    Answer::Seen("the server's clock".to_owned())
                }
                _ => read,
            }
        },
    )
    .await;
}

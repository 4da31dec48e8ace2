//! Ranges of tokens, pages, counts.

use std::ops::ControlFlow;

use scylla::response::PagingState;

use super::answer::Answer;
use super::book::{Book, Expected, Fact};
use super::site::Site;

const ROWS: usize = 50;

pub(super) async fn checks(site: &Site, book: &mut Book) {
    book.group("scans");
    let filled = fill(site).await;
    ranges(site, book, &filled).await;
    pages(site, book, &filled).await;
    counts(site, book, &filled).await;
}

/// The same rows in both tables, and nothing else.
async fn fill(site: &Site) -> Answer {
    for table in ["{t}", "{u}"] {
        let answer = site.ask(&format!("TRUNCATE {table}")).await;
        if !answer.ok() {
            return answer;
        }
        for i in 0..ROWS {
            let key = u32::try_from(i).unwrap_or_default().to_be_bytes().to_vec();
            let insert = format!("INSERT INTO {table} (cid, v) VALUES (?, ?)");
            let answer = site.put(&insert, (key, vec![1_u8])).await;
            if !answer.ok() {
                return answer;
            }
        }
    }
    Answer::Done(Vec::new())
}

fn all(answer: &Answer) -> bool {
    answer.rows() == Some(ROWS)
}

fn none(answer: &Answer) -> bool {
    answer.rows() == Some(0)
}

async fn ranges(site: &Site, book: &mut Book, filled: &Answer) {
    let select = "SELECT cid FROM {t} WHERE token(cid) > ? AND token(cid) <= ?";
    let whole: Expected = ("all rows", all);
    for (id, shows, range, expected) in [
        ("range-min-min", "(MIN, MIN] is the whole ring", (i64::MIN, i64::MIN), whole),
        ("range-min-max", "(MIN, MAX] is the whole ring", (i64::MIN, i64::MAX), whole),
        (
            "range-max",
            "(MAX, MAX] is empty",
            (i64::MAX, i64::MAX),
            ("no rows", none as fn(&Answer) -> bool),
        ),
        (
            "range-reversed",
            "A reversed range is empty",
            (1_i64 << 62, -(1_i64 << 62)),
            ("no rows", none as fn(&Answer) -> bool),
        ),
    ] {
        let fact = Fact { id, shows, scylla: expected, cassandra: Some(expected) };
        let look = async {
            if !filled.ok() {
                return filled.clone();
            }
            let answer = site.put(select, range).await;
            match answer.rows() {
                Some(rows) if rows > 0 && rows != ROWS => {
                    Answer::Seen(format!("{rows} of {ROWS} rows"))
                }
                _ => answer,
            }
        };
        book.see(fact, look).await;
    }
    let signed: Expected = ("ascending", |a| a.says("ascending") && !a.says("not ascending"));
    book.see(
        Fact {
            id: "range-order",
            shows: "Rows come in the order of their tokens as signed numbers",
            scylla: signed,
            cassandra: Some(signed),
        },
        async {
            match site.ask("SELECT token(cid) FROM {t}").await {
                Answer::Rows(rows) if rows.len() == ROWS => {
                    let tokens: Option<Vec<i64>> =
                        rows.iter().map(|row| row.rsplit('=').next()?.parse().ok()).collect();
                    let sorted = tokens.is_some_and(|tokens| tokens.is_sorted());
                    Answer::Seen(if sorted { "ascending" } else { "not ascending" }.to_owned())
                }
                other => other,
            }
        },
    )
    .await;
}

async fn pages(site: &Site, book: &mut Book, filled: &Answer) {
    // Both servers take it somewhere; what counts is that nobody is told.
    let taken: Expected = ("accepted, without an error", |a| a.says("accepted"));
    book.see(
        Fact {
            id: "paging-other-table",
            shows: "A paging state of another table is accepted",
            scylla: taken,
            cassandra: Some(taken),
        },
        async {
            if !filled.ok() {
                return filled.clone();
            }
            let mut first = site.fill("SELECT cid FROM {t}");
            first.set_page_size(10);
            let paged = site.session.query_single_page(first, &[], PagingState::start()).await;
            let state = match paged {
                Ok((_, state)) => state.into_paging_control_flow(),
                Err(e) => return Answer::of(Err(e)),
            };
            let ControlFlow::Continue(state) = state else {
                return Answer::Seen("the first page was the last".to_owned());
            };
            let mut second = site.fill("SELECT cid FROM {u}");
            second.set_page_size(10);
            match site.session.query_single_page(second, &[], state).await {
                Ok((result, _)) => match Answer::of(Ok(result)).rows() {
                    Some(rows) => Answer::Seen(format!("accepted: {rows} rows")),
                    None => Answer::Seen("accepted".to_owned()),
                },
                Err(e) => Answer::of(Err(e)),
            }
        },
    )
    .await;
    book.see(
        Fact {
            id: "paging-junk",
            shows: "A paging state that is junk is a protocol error",
            scylla: ("000A", |a| a.refused("000A", "")),
            cassandra: Some(("000A", |a| a.refused("000A", ""))),
        },
        async {
            let mut select = site.fill("SELECT cid FROM {t}");
            select.set_page_size(10);
            let junk = PagingState::new_from_raw_bytes(vec![0xab; 40]);
            let paged = site.session.query_single_page(select, &[], junk).await;
            Answer::of(paged.map(|(result, _)| result))
        },
    )
    .await;
}

async fn counts(site: &Site, book: &mut Book, filled: &Answer) {
    let right: Expected = ("count=50", |a| a.says("count=50"));
    book.see(
        Fact {
            id: "count",
            shows: "COUNT(*) of a small table is right",
            scylla: right,
            cassandra: Some(right),
        },
        async {
            match filled.ok() {
                true => site.ask("SELECT COUNT(*) FROM {t}").await,
                false => filled.clone(),
            }
        },
    )
    .await;
    book.see(
        Fact {
            id: "size-estimates",
            shows: "system.size_estimates is no estimate: far from the 50 rows there are, or empty",
            scylla: ("not 50", |a| matches!(a, Answer::Seen(text) if text != "50")),
            cassandra: Some(("not 50", |a| matches!(a, Answer::Seen(text) if text != "50"))),
        },
        async {
            let asked = format!(
                "SELECT partitions_count FROM system.size_estimates \
                 WHERE keyspace_name = '{}' AND table_name = 't'",
                site.keyspace
            );
            match site.ask(&asked).await {
                Answer::Rows(rows) => {
                    let counts =
                        rows.iter().filter_map(|row| row.split('=').nth(1)?.parse::<i64>().ok());
                    Answer::Seen(counts.sum::<i64>().to_string())
                }
                other => other,
            }
        },
    )
    .await;
    book.see(
        Fact {
            id: "scan-silent-replica",
            shows: "Range reads stall 10 s and fail while a replica is silent and not yet marked down",
            scylla: ("1200 after 10 s", |_| false),
            cassandra: None,
        },
        async { Answer::Cannot("needs a node to be paused, which a report does not do".to_owned()) },
    )
    .await;
}

//! Reading one page of a range: from a replica, from the next one if that fails, in
//! smaller bites if it was too much.

use std::time::Duration;

use bytes::Bytes;
use pinstate_core::{Error, ErrorKind, Key, Operation, Record, Result, ScanItem, Version};
use scylla::client::session::Session;
use scylla::errors::{DbError, ExecutionError, RequestAttemptError};
use scylla::response::query_result::QueryResult;
use scylla::response::{PagingState, PagingStateResponse};
use scylla::statement::prepared::PreparedStatement;
use std::ops::ControlFlow;
use std::sync::Arc;
use tokio::time::Instant;
use uuid::Uuid;

use crate::core::{Core, Counters};
use crate::error::{Work, from_execution, from_rows};
use crate::pace::Weight;
use crate::replicas::Ordered;
use crate::ring::token_of;
use crate::room::Room;

/// First pause before a page is tried again; each later one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(20);

/// Where to go on: at the token, behind the key if there is one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    pub(crate) token: i64,
    /// Keys of this token up to this one were read. Several keys have one token only where
    /// their hashes meet, and then come in the order of their bytes.
    pub(crate) key: Option<Bytes>,
}

/// What a scan wants of rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Want {
    pub(crate) keys_only: bool,
    pub(crate) include_deleted: bool,
    /// Most rows to ask a server for.
    pub(crate) most: u32,
}

/// A page that was read.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) items: Vec<ScanItem>,
    /// How many rows the server gave, those included that were left out.
    pub(crate) rows: u64,
    /// Where the rest of the slice begins, if there is any.
    pub(crate) rest: Option<Place>,
}

/// Reads from a place up to a token, which must not be before it.
pub(crate) async fn read(
    core: &Core,
    room: &Room,
    from: &Place,
    last: i64,
    want: Want,
) -> Result<Read> {
    let operation = Operation::Scan;
    let weight = room.pace.of(want.keys_only);
    let ends = Instant::now() + core.config.timeout.0;
    let mut pause = FIRST_PAUSE;
    let mut tried = 0;
    loop {
        room.enter(operation)?;
        let session = core.session(operation)?;
        let (candidates, owners) = candidates(core, room, &session, from.token, tried).await;
        let most = candidates.len().clamp(2, 4);
        let asked = candidates.first().map(|id| (*id, core.watch.answers_of(*id)));
        let attempt = Attempt { core, room, session: &session, from, last, want, weight };
        let error = match attempt.read(&candidates, &owners).await {
            Ok(read) => return Ok(read),
            Err(failed) => failed,
        };
        Counters::add(&core.counters.page_failures);
        // A node that answered others meanwhile is there: its replicas were not, or the page
        // was too much. One that did not is tried with as large a page elsewhere first.
        let silent = asked.filter(|(node, answers)| {
            error.was_silence() && core.watch.answers_of(*node) == *answers
        });
        if let Some((node, _)) = silent {
            core.watch.gave_up_on(node);
        }
        if error.was_too_much() && (silent.is_none() || tried > 0) {
            weight.was_too_much();
        }
        let error = Box::pin(room.found(core, error.told())).await;
        tried += 1;
        let may_help = matches!(
            error.kind(),
            ErrorKind::Timeout | ErrorKind::Unavailable | ErrorKind::Overloaded
        );
        if !may_help || tried >= most || Instant::now() + pause >= ends {
            return Err(error.with_context("replicas asked", tried));
        }
        tokio::time::sleep(pause).await;
        pause = pause.saturating_mul(2);
    }
}

/// Whom to ask, in order: replicas that answer, then others, then those far away where that
/// is allowed, and those that are silent last. Each attempt begins with another one, and so
/// does each part of the ring.
async fn candidates(
    core: &Core,
    room: &Room,
    session: &Session,
    token: i64,
    tried: usize,
) -> (Vec<Uuid>, Arc<[Uuid]>) {
    let ring = room.ring(core, session).await;
    let owners = ring.piece(token).map_or_else(|| Arc::from([]), |piece| Arc::clone(&piece.owners));
    let cluster = session.get_cluster_state();
    let turn = (token.cast_unsigned() >> 56) as usize + tried;
    let rotated = owners.iter().cycle().skip(turn % owners.len().max(1)).take(owners.len());
    let known = cluster.get_nodes_info().iter();
    let others = known.map(|node| node.host_id).filter(|id| !owners.contains(id));
    let is_far = |dc: &Option<String>| core.facts.local.is_some() && *dc != core.facts.local;
    let mut order: Vec<(Uuid, bool)> = Vec::with_capacity(8);
    for id in rotated.copied().chain(others) {
        let Some(node) = cluster.get_node_by_host_id(id) else { continue };
        let far = is_far(&node.datacenter);
        if node.is_connected() && (!far || core.config.dc_failover) {
            order.push((id, far));
        }
    }
    order.sort_by_key(|(id, far)| (core.watch.is_silent(*id), *far));
    (order.into_iter().map(|(id, _)| id).collect(), owners)
}

/// One attempt at a page.
struct Attempt<'a> {
    core: &'a Core,
    room: &'a Room,
    session: &'a Session,
    from: &'a Place,
    last: i64,
    want: Want,
    weight: &'a Weight,
}

enum Failed {
    Driver(Box<ExecutionError>),
    Other(Error),
}

impl Failed {
    /// Whether there was no answer at all.
    fn was_silence(&self) -> bool {
        matches!(self, Self::Driver(error) if matches!(**error, ExecutionError::RequestTimeout(_)))
    }

    /// Whether fewer rows might have gone well.
    fn was_too_much(&self) -> bool {
        let Self::Driver(error) = self else { return false };
        matches!(
            &**error,
            ExecutionError::RequestTimeout(_)
                | ExecutionError::LastAttemptError(RequestAttemptError::DbError(
                    DbError::ReadTimeout { .. } | DbError::ReadFailure { .. },
                    _
                ))
        )
    }

    fn told(self) -> Error {
        match self {
            Self::Driver(error) => from_execution(&error, Work::Read, Operation::Scan),
            Self::Other(error) => error,
        }
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

impl Attempt<'_> {
    fn statement(&self, candidates: &[Uuid]) -> PreparedStatement {
        let statements = &self.room.statements;
        let keys_only = self.want.keys_only;
        let mut statement =
            if keys_only { statements.scan_keys.clone() } else { statements.scan.clone() };
        // The row behind which to go on comes once more, and is left out.
        let again = u32::from(self.from.key.is_some());
        let rows = self.weight.rows(self.want.most).saturating_add(again);
        statement.set_page_size(i32::try_from(rows).unwrap_or(i32::MAX));
        let policy = Ordered::new(candidates.to_vec(), Arc::clone(&self.core.watch));
        statement.set_load_balancing_policy(Some(Arc::new(policy)));
        statement.set_retry_policy(Some(Arc::new(
            scylla::policies::retry::FallthroughRetryPolicy::new(),
        )));
        statement
    }

    /// Reads until there is something to go on from: a page may be empty with more to come,
    /// and only then the server's own mark leads on, within this call and on this statement.
    async fn read(
        &self,
        candidates: &[Uuid],
        owners: &[Uuid],
    ) -> std::result::Result<Read, Failed> {
        let operation = Operation::Scan;
        let statement = self.statement(candidates);
        let values = (self.from.token, self.last);
        let mut state = PagingState::start();
        let mut rows = 0;
        loop {
            let place = self.core.limit.enter(operation, 0).await?;
            let answer = self.session.execute_single_page(&statement, values, state).await;
            let (result, more): (QueryResult, PagingStateResponse) =
                answer.map_err(|e| Failed::Driver(Box::new(e)))?;
            drop(place);
            let counters = &self.core.counters;
            Counters::add(&counters.pages);
            if owners.contains(&result.request_coordinator().node().host_id) {
                Counters::add(&counters.pages_by_replica);
            }
            let page = self.rows(result)?;
            rows += page.rows;
            let next = match more.into_paging_control_flow() {
                ControlFlow::Break(()) => {
                    return Ok(Read { items: page.items, rows, rest: None });
                }
                ControlFlow::Continue(next) => next,
            };
            match page.last {
                Some(key) => {
                    let rest = Some(Place { token: token_of(&key), key: Some(key) });
                    return Ok(Read { items: page.items, rows, rest });
                }
                None => state = next,
            }
        }
    }

    fn rows(&self, result: QueryResult) -> Result<Rows> {
        let operation = Operation::Scan;
        let wrong = |e: &dyn std::fmt::Display| from_rows(&e, operation);
        let rows = result.into_rows_result().map_err(|e| wrong(&e))?;
        let (count, bytes) = (rows.rows_num() as u64, rows.rows_bytes_size() as u64);
        self.weight.came(count, bytes);
        let mut page = Rows { items: Vec::with_capacity(rows.rows_num()), rows: count, last: None };
        let mut behind = self.from.key.as_deref();
        let mut take = |key: Bytes, value: Option<Bytes>, v: Option<i64>, d: Option<i64>| {
            if let Some(before) = behind {
                if token_of(&key) == self.from.token && *key <= *before {
                    return;
                }
                behind = None;
            }
            let item = match (v, d) {
                (Some(v), d) if d.is_none_or(|d| d < v) => {
                    let value = value.unwrap_or_default();
                    Some(Record::live(Key::new(key.clone()), value, Version(v)))
                }
                (_, Some(d)) if self.want.include_deleted => {
                    Some(Record::marker(Key::new(key.clone()), Version(d)))
                }
                _ => None,
            };
            page.items.extend(item.map(Ok));
            page.last = Some(key);
        };
        if self.want.keys_only {
            type Row = (Bytes, Option<i64>, Option<i64>);
            for row in rows.rows::<Row>().map_err(|e| wrong(&e))? {
                let (key, v, d) = row.map_err(|e| wrong(&e))?;
                take(key, None, v, d);
            }
        } else {
            type Row = (Bytes, Option<Bytes>, Option<i64>, Option<i64>);
            for row in rows.rows::<Row>().map_err(|e| wrong(&e))? {
                let (key, value, v, d) = row.map_err(|e| wrong(&e))?;
                take(key, value, v, d);
            }
        }
        Ok(page)
    }
}

/// The rows of one answer.
struct Rows {
    items: Vec<ScanItem>,
    rows: u64,
    /// The key of the last new row.
    last: Option<Bytes>,
}

//! Long histories without a store: clients whose operations take effect one after the
//! other, each at a moment between its call and its return.

use bytes::Bytes;
use pinstate_conformance::history::{Answer, Call, Condition, End, Event, Found, History, Reply};
use pinstate_core::{Key, Version};

/// What a client is about.
enum Client {
    Idle,
    /// It has called; its operation stands at this place and has no effect yet.
    Called(usize),
    /// It will be given this answer.
    Done(usize, Answer),
}

/// A legal history of so many operations on one key: two thirds reads, the rest plain puts
/// and deletes, and puts if newer.
pub(crate) fn legal(clients: usize, operations: usize, seed: u64) -> History {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut clients: Vec<Client> = (0..clients).map(|_| Client::Idle).collect();
    let mut history = History::default();
    let mut stored: Option<Found> = None;
    let mut now = 0;
    let mut returned = 0;
    while returned < operations {
        now += 1;
        let number = rng.usize(..clients.len());
        let Some(client) = clients.get_mut(number) else { continue };
        match client {
            Client::Idle if history.events.len() == operations => {}
            Client::Idle => {
                let place = history.events.len();
                let version = Version(i64::try_from(now).unwrap_or(i64::MAX));
                let value = Bytes::from(format!("c{number}-{place}"));
                let condition = Condition::None;
                let call = match rng.u8(..12) {
                    0..8 => Call::Get,
                    8 | 9 => Call::Put { value, version, condition },
                    10 => Call::Put { value, version, condition: Condition::IfNewer },
                    _ => Call::Delete { version, condition },
                };
                let client = u32::try_from(number).unwrap_or(u32::MAX);
                let key = Key::copy_from(b"hot");
                history.events.push(Event { client, key, call, invoked: now, end: End::Open });
                *clients.get_mut(number).unwrap_or(&mut Client::Idle) = Client::Called(place);
            }
            Client::Called(place) => {
                let place = *place;
                let answer = match history.events.get(place).map(|event| &event.call) {
                    Some(Call::Put { value, version, condition }) => {
                        let newer = stored.as_ref().filter(|found| found.version > *version);
                        match newer.filter(|_| *condition == Condition::IfNewer) {
                            Some(newer) => {
                                Answer::Written(Reply::Superseded { current: newer.version })
                            }
                            None => {
                                stored = Some(Found { version: *version, value: value.clone() });
                                Answer::Written(Reply::Applied)
                            }
                        }
                    }
                    Some(Call::Delete { .. }) => {
                        stored = None;
                        Answer::Written(Reply::Applied)
                    }
                    _ => Answer::Record(stored.clone()),
                };
                *client = Client::Done(place, answer);
            }
            Client::Done(place, answer) => {
                let end = End::Answered { at: now, answer: answer.clone() };
                if let Some(event) = history.events.get_mut(*place) {
                    event.end = end;
                }
                returned += 1;
                *client = Client::Idle;
            }
        }
    }
    history
}

/// Makes one read, after this share of the history, give what was read long before.
pub(crate) fn make_stale(history: &mut History, share: f64) {
    let read = |event: &&mut Event| matches!(event.answered(), Some((_, Answer::Record(Some(_)))));
    let reads = history.events.iter_mut().filter(read);
    let mut reads: Vec<&mut Event> = reads.collect();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a place in a list"
    )]
    let at = (reads.len() as f64 * share) as usize;
    let old =
        reads.get(at / 2).and_then(|event| event.answered()).map(|(_, answer)| answer.clone());
    if let (Some(stale), Some(old)) = (reads.get_mut(at), old)
        && let End::Answered { answer, .. } = &mut stale.end
    {
        *answer = old;
    }
}

//! A store that does at a chosen call what stores do at the worst moment.

use std::collections::VecDeque;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use pinstate_core::layer::{Call, Policy, wrap};
use pinstate_core::{Error, ErrorKind, Operation, Outcome, Result, Store};
use tokio::sync::Semaphore;

/// What happens to a call.
#[derive(Clone, Debug)]
enum Act {
    /// It waits before it is made.
    HoldBefore(Held),
    /// It is made, and its answer waits.
    HoldAfter(Held),
    /// It is refused.
    Refuse,
    /// It is made, and its answer is lost.
    LoseAnswer,
}

/// A call that waits.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    reached: Arc<Semaphore>,
    released: Arc<Semaphore>,
}

impl Held {
    fn new() -> Self {
        Self { reached: Arc::new(Semaphore::new(0)), released: Arc::new(Semaphore::new(0)) }
    }

    async fn wait(&self) {
        self.reached.add_permits(1);
        self.released.acquire().await.unwrap().forget();
    }

    /// Waits until the call is there.
    pub(crate) async fn reached(&self) {
        self.reached.acquire().await.unwrap().forget();
    }

    /// Lets it go on.
    pub(crate) fn release(&self) {
        self.released.add_permits(1);
    }
}

/// What is to happen, in order, for each kind of call.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    next: Mutex<VecDeque<(Operation, Act)>>,
    always: Mutex<Option<(Operation, Act)>>,
    /// Of every thousand writes, how many are refused, and how many lose their answer.
    random: Mutex<(u32, u32)>,
}

impl Faults {
    /// Puts faults around a store.
    pub(crate) fn around(store: Arc<dyn Store>) -> (Arc<dyn Store>, Arc<Self>) {
        let faults = Arc::new(Self::default());
        (wrap(store, Layer(Arc::clone(&faults))), faults)
    }

    fn add(&self, operation: Operation, act: Act) {
        self.next.lock().push_back((operation, act));
    }

    pub(crate) fn hold_before(&self, operation: Operation) -> Held {
        let held = Held::new();
        self.add(operation, Act::HoldBefore(held.clone()));
        held
    }

    pub(crate) fn hold_after(&self, operation: Operation) -> Held {
        let held = Held::new();
        self.add(operation, Act::HoldAfter(held.clone()));
        held
    }

    pub(crate) fn refuse(&self, operation: Operation) {
        self.add(operation, Act::Refuse);
    }

    pub(crate) fn lose_answer(&self, operation: Operation) {
        self.add(operation, Act::LoseAnswer);
    }

    /// Refuses every call of a kind from now on.
    pub(crate) fn refuse_all(&self, operation: Operation) {
        *self.always.lock() = Some((operation, Act::Refuse));
    }

    pub(crate) fn at_random(&self, refused: u32, lost: u32) {
        *self.random.lock() = (refused, lost);
    }

    /// Nothing happens any more.
    pub(crate) fn heal(&self) {
        self.next.lock().clear();
        *self.always.lock() = None;
        *self.random.lock() = (0, 0);
    }

    fn act(&self, operation: Operation) -> Option<Act> {
        let mut next = self.next.lock();
        if let Some(place) = next.iter().position(|(of, _)| *of == operation) {
            return next.remove(place).map(|(_, act)| act);
        }
        if let Some((of, act)) = &*self.always.lock()
            && *of == operation
        {
            return Some(act.clone());
        }
        let (refused, lost) = *self.random.lock();
        let writes = [Operation::Put, Operation::Delete, Operation::Apply];
        if refused + lost == 0 || !writes.contains(&operation) {
            return None;
        }
        match fastrand::u32(..1_000) {
            drawn if drawn < refused => Some(Act::Refuse),
            drawn if drawn < refused + lost => Some(Act::LoseAnswer),
            _ => None,
        }
    }
}

#[derive(Debug)]
struct Layer(Arc<Faults>);

impl Policy for Layer {
    async fn run<T, F, Fut>(&self, call: Call<'_>, attempt: F) -> Result<T>
    where
        T: Send,
        F: Fn() -> Fut + Send + Sync,
        Fut: Future<Output = Result<T>> + Send,
    {
        match self.0.act(call.operation) {
            None => attempt().await,
            Some(Act::HoldBefore(held)) => {
                held.wait().await;
                attempt().await
            }
            Some(Act::HoldAfter(held)) => {
                let result = attempt().await;
                held.wait().await;
                result
            }
            Some(Act::Refuse) => {
                Err(Error::new(ErrorKind::Unavailable, call.operation, "refused for a test")
                    .with_outcome(Outcome::NotApplied))
            }
            Some(Act::LoseAnswer) => {
                drop(attempt().await);
                Err(Error::new(ErrorKind::Timeout, call.operation, "lost for a test"))
            }
        }
    }
}

/// What is in a job's folder now, in another one: as a process that is killed leaves it.
pub(crate) fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

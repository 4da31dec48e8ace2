//! The driver's retry policy: at most one other node, at once, and only where the request
//! was certainly refused or may be repeated. All else is the retry layer's.

use scylla::errors::{DbError, RequestAttemptError};
use scylla::policies::retry::{RequestInfo, RetryDecision, RetryPolicy, RetrySession};

/// One other node.
#[derive(Debug)]
pub(crate) struct OneOther {
    /// Also where the connection broke and the first node may be at work on the request.
    after_broken: bool,
}

impl OneOther {
    /// For what changes nothing.
    pub(crate) fn for_reads() -> Self {
        Self { after_broken: true }
    }

    /// For writes. Of two attempts the driver tells only what came of the last, and a
    /// refusal after a broken connection does not say that nothing was written.
    pub(crate) fn for_writes() -> Self {
        Self { after_broken: false }
    }
}

/// The state for one request.
#[derive(Debug)]
struct Asked {
    after_broken: bool,
    again: bool,
}

impl RetryPolicy for OneOther {
    fn new_session(&self) -> Box<dyn RetrySession> {
        Box::new(Asked { after_broken: self.after_broken, again: false })
    }
}

impl RetrySession for Asked {
    fn decide_should_retry(&mut self, info: RequestInfo<'_>) -> RetryDecision {
        let other_may_help = match info.error {
            RequestAttemptError::BrokenConnectionError(_) => {
                self.after_broken && info.is_idempotent
            }
            // A request that came to a node which cannot reach its peers, or has just come
            // up, was refused before anything was done; the next one may see more of them.
            RequestAttemptError::DbError(
                DbError::Unavailable { .. } | DbError::IsBootstrapping,
                _,
            ) => info.is_idempotent,
            RequestAttemptError::UnableToAllocStreamId => true,
            _ => false,
        };
        if other_may_help && !std::mem::replace(&mut self.again, true) {
            RetryDecision::RetryNextTarget(None)
        } else {
            RetryDecision::DontRetry
        }
    }

    fn reset(&mut self) {
        self.again = false;
    }
}

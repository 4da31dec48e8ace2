//! A list of all pins as views, which every benchmark of lists measures alike.

use pinstate_core::pin::PinView;
use pinstate_core::{ListOptions, State};

/// Lists all pins with a look at each one's allocations: how many pins, and how many of those.
pub(crate) async fn views(state: &State) -> (usize, usize) {
    let mut list = state.list(ListOptions::new()).await.unwrap();
    let (mut seen, mut allocations) = (0, 0);
    let mut look = |pin: Result<PinView<'_>, _>| {
        allocations += pin.unwrap().allocations().count();
        seen += 1;
    };
    while list.next_views(&mut look).await.unwrap().is_some() {}
    (seen, allocations)
}

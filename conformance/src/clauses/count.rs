//! Counts, and the reference model.

use pinstate_core::{Count, CountOptions};

use super::list::pairs;
use crate::case::Cx;
use crate::check::{Checked, same};
use crate::clause::clauses;
use crate::model;

clauses! {
    K1: "after any sequence of operations count, get, has and scan show what the model shows",
        "a count that drifts with deletes of absent keys is a known defect of ipfs-cluster's stores",
        [model_agrees as long, count_after_reopening if PERSISTENT];
    K2: "a count says whether it was counted",
        "an estimate that is taken for a count verifies nothing",
        [estimates_are_called_so];
}

async fn model_agrees(cx: Cx) -> Checked {
    model::check(cx).await
}

async fn count_after_reopening(cx: Cx) -> Checked {
    let own = cx.own_store().await?;
    let (store, ns) = own.open_new().await?;
    ns.fill(pairs(100)).await?;
    for (key, _) in pairs(130).step_by(3) {
        ns.delete(key).await?;
    }
    let expected = ns.count().await?;
    same("the count", expected, 100 - 34)?;
    store.close().await?;
    drop(store);
    let store = own.open().await?;
    let ns = cx.open(&store, &ns.name).await?;
    same("the count after reopening", ns.count().await?, expected)?;
    store.close().await?;
    Ok(())
}

async fn estimates_are_called_so(cx: Cx) -> Checked {
    let ns = cx.namespace().await?;
    ns.fill(pairs(50)).await?;
    same("an exact count", ns.raw.count(CountOptions::new()).await?, Count::Exact(50))?;
    // An estimate may be anything; what calls itself exact must be.
    if let Count::Exact(count) = ns.raw.count(CountOptions::estimate()).await? {
        same("a count that calls itself exact", count, 50)?;
    }
    Ok(())
}

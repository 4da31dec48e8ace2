use std::collections::BTreeMap;

use bytes::Bytes;
use pinstate_core::Version;
use proptest::prelude::{Strategy, any, proptest};
use proptest::prop_oneof;

use super::*;

type Model = BTreeMap<Vec<u8>, i64>;

fn row(version: i64) -> Row {
    Row::live(Bytes::from_static(b"v"), Version(version))
}

fn pairs(rows: &[&Entry]) -> Vec<(Vec<u8>, i64)> {
    rows.iter().map(|(key, row)| (key.to_bytes().to_vec(), row.version.0)).collect()
}

fn model_pairs<'a>(rows: impl Iterator<Item = (&'a Vec<u8>, &'a i64)>) -> Vec<(Vec<u8>, i64)> {
    rows.map(|(key, version)| (key.clone(), *version)).collect()
}

/// The tree holds what the model holds, and keeps its own promises.
fn check(tree: &Tree, model: &Model) {
    assert_eq!(tree.len(), model.len());
    assert_eq!(pairs(&tree.rows(Bound::Unbounded, None, usize::MAX)), model_pairs(model.iter()));
    assert_eq!(tree.iter().count(), model.len());
    let mut bounds = Vec::new();
    for (i, branch) in tree.root.parts(0).enumerate() {
        assert!(branch.size() <= FANOUT);
        let branch = &branch.0;
        assert!(branch.bounds.iter().map(TreeKey::head).eq(branch.heads.iter().copied()));
        assert_eq!(branch.bounds.len(), branch.rest.len());
        bounds.extend(i.checked_sub(1).map(|i| tree.root.bounds[i].clone()));
        bounds.extend(branch.bounds.iter().cloned());
    }
    assert!(bounds.is_sorted());
    for (i, leaf) in tree.leaves(None).enumerate() {
        assert!(leaf.rows.len() <= LEAF_ROWS && leaf.rows.capacity() <= LEAF_ROWS);
        for (number, (key, _)) in leaf.rows.iter().enumerate() {
            assert_eq!(leaf.find(key), Some(number));
            assert!(i == 0 || bounds[i - 1] <= *key);
            assert!(bounds.get(i).is_none_or(|bound| key < bound));
        }
    }
}

fn cid_like(i: u64) -> Vec<u8> {
    let mut rng = fastrand::Rng::with_seed(i);
    let digest = std::iter::repeat_with(|| rng.u8(..)).take(32);
    [0x01, 0x55, 0x12, 0x20].into_iter().chain(digest).collect()
}

/// Fills a tree and empties it again, in other orders, and looks at it on the way.
#[test]
fn many_rows_come_and_go() {
    let (mut tree, mut model) = (Tree::default(), Model::new());
    let mut numbers: Vec<u64> = (0..20_000).collect();
    let mut rng = fastrand::Rng::with_seed(7);
    for i in &numbers {
        let key = cid_like(*i);
        assert!(tree.insert(TreeKey::new(&key), row(1)).is_none());
        model.insert(key, 1);
    }
    check(&tree, &model);
    let full = tree.clone();
    let of_full = model.clone();
    rng.shuffle(&mut numbers);
    for (n, i) in numbers.iter().enumerate() {
        let key = cid_like(*i);
        assert_eq!(tree.get(&TreeKey::new(&key)).map(|row| row.version), Some(Version(1)));
        if n % 5 == 0 {
            assert!(tree.insert(TreeKey::new(&key), row(2)).is_some());
            model.insert(key, 2);
        } else {
            assert!(tree.remove(&TreeKey::new(&key)).is_some());
            assert!(tree.remove(&TreeKey::new(&key)).is_none());
            model.remove(&key);
        }
    }
    check(&tree, &model);
    let leaves = tree.leaves(None).count();
    assert!(leaves < model.len() / 10, "{leaves} leaves for {} rows", model.len());
    for i in &numbers {
        tree.remove(&TreeKey::new(&cid_like(*i)));
    }
    check(&tree, &Model::new());
    assert_eq!(tree.leaves(None).count(), 1);
    // The copy is what the tree was.
    check(&full, &of_full);
}

#[test]
fn keys_in_order_and_against_it_fill_their_leaves() {
    for backwards in [false, true] {
        let (mut tree, mut model) = (Tree::default(), Model::new());
        for i in 0..30_000_u32 {
            let key = if backwards { u32::MAX - i } else { i }.to_be_bytes().to_vec();
            tree.insert(TreeKey::new(&key), row(1));
            model.insert(key, 1);
        }
        check(&tree, &model);
        assert!(tree.leaves(None).count() <= 30_000 / (LEAF_ROWS / 2) + 1);
    }
}

#[test]
fn quantiles_divide_evenly() {
    let mut tree = Tree::default();
    assert!(tree.quantiles(4).is_empty());
    for i in 0..5_000 {
        tree.insert(TreeKey::new(&cid_like(i)), row(1));
    }
    let all = tree.rows(Bound::Unbounded, None, usize::MAX);
    for parts in [0, 1, 2, 7, 64, 5_000, usize::MAX] {
        let keys = tree.quantiles(parts);
        let parts = parts.clamp(1, 5_000);
        assert_eq!(keys.len(), parts - 1);
        for (i, key) in keys.into_iter().enumerate() {
            assert_eq!(*key, all[5_000 * (i + 1) / parts].0);
        }
    }
}

/// Keys that meet, share their beginnings, and cross the length of an inline key.
fn key() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => (0..2_000_u64).prop_map(cid_like),
        1 => (any::<u8>(), 0..50_usize).prop_map(|(byte, len)| vec![byte % 3; len]),
    ]
}

proptest! {
    #[test]
    fn agrees_with_a_btree_map(
        steps in proptest::collection::vec((key(), 0..4_u8), 0..3_000),
        start in key(),
        end in proptest::option::of(key()),
        limit in 0..300_usize,
    ) {
        let (mut tree, mut model) = (Tree::default(), Model::new());
        let mut copies = Vec::new();
        for (n, (key, kind)) in steps.into_iter().enumerate() {
            let tree_key = TreeKey::new(&key);
            if kind == 0 {
                let removed = tree.remove(&tree_key).map(|row| row.version.0);
                assert_eq!(removed, model.remove(&key));
            } else {
                let old = tree.insert(tree_key, row(n as i64)).map(|row| row.version.0);
                assert_eq!(old, model.insert(key, n as i64));
            }
            if n % 700 == 0 {
                copies.push((tree.clone(), model.clone()));
            }
        }
        copies.push((tree, model));
        for (tree, model) in copies {
            check(&tree, &model);
            let (from, to) = (TreeKey::new(&start), end.as_deref().map(TreeKey::new));
            let before = |key: &Vec<u8>| end.as_ref().is_none_or(|end| key < end);
            for (bound, skip) in [(Bound::Included(&from), false), (Bound::Excluded(&from), true)] {
                let got = pairs(&tree.rows(bound, to.as_ref(), limit));
                let rest = model.range(start.clone()..).filter(|(key, _)| {
                    before(key) && !(skip && **key == start)
                });
                assert_eq!(got, model_pairs(rest.take(limit)));
            }
        }
    }
}

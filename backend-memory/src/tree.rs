//! An ordered map whose copies share everything until one of them changes.
//!
//! The tree has three levels, always: a root over branches over leaves. With up to
//! [`LEAF_ROWS`] rows in a leaf and [`FANOUT`] leaves in a branch, a million rows make a
//! root of some two hundred entries, and a hundred million one that still fits into a
//! cache. Copying the tree copies one counted pointer; a change then copies the root, one
//! branch and one leaf where others still hold them, and nothing where nobody does.
//!
//! Most of a lookup's time is spent waiting for memory, so a leaf is made to be read in few
//! places: its rows stand in the order in which they came, and beside its place in the branch
//! stands one byte of each row's key's hash. A lookup compares all these bytes eight at a time
//! and then reads, nearly always, the one row that it wants, at a place it need not ask for; a
//! new row goes to the end, and none is moved. The bytes of all leaves of a branch lie
//! together, so that those of a million rows have room in a processor's own cache.
//! For the same reason the first words of the bounds stand by themselves: a search for the
//! leaf reads a few of those, eight to a cache line, and seldom a whole bound.
//! Who wants the rows of a leaf in order, as a scan does, sorts them. Bytes of hashes that
//! stand for keys, compared within words, are the idea of SwissTable (Google's Abseil).

use std::ops::Bound;
use std::sync::Arc;

use arrayvec::ArrayVec;

use crate::key::TreeKey;
use crate::row::Row;

/// Most rows in a leaf.
const LEAF_ROWS: usize = 64;
/// Keys that are looked at to find where a full leaf is to be divided.
const SAMPLE: usize = 9;
/// Most leaves in a branch.
const FANOUT: usize = 128;
/// Two neighbours that have no more than these together become one.
const MERGED_ROWS: usize = LEAF_ROWS * 3 / 4;
const MERGED_LEAVES: usize = FANOUT * 3 / 4;

/// A row with its key.
pub(crate) type Entry = (TreeKey, Row);
type Rows = ArrayVec<Entry, LEAF_ROWS>;
type Root = Node<Branch>;

/// Parts in order, each but the first with a bound: the keys in it are not below the bound,
/// and those in the part before it are. There is always a first part, so that every key has
/// its place.
#[derive(Clone, Default)]
struct Node<C> {
    first: C,
    /// The other parts.
    rest: Vec<C>,
    /// The bound of each of those.
    bounds: Vec<TreeKey>,
    /// The first word of each bound.
    heads: Vec<u64>,
}

impl<C> Node<C> {
    /// Which part a key belongs to: 0 is the first.
    fn place(&self, key: &TreeKey) -> usize {
        let head = key.head();
        let below = self.heads.partition_point(|bound| *bound < head);
        if self.heads.get(below) != Some(&head) {
            return below;
        }
        let alike = self.bounds.get(below..).unwrap_or_default();
        below + alike.partition_point(|bound| bound <= key)
    }

    fn part(&self, place: usize) -> &C {
        place.checked_sub(1).and_then(|place| self.rest.get(place)).unwrap_or(&self.first)
    }

    fn part_mut(&mut self, place: usize) -> &mut C {
        let rest = place.checked_sub(1).and_then(|place| self.rest.get_mut(place));
        rest.unwrap_or(&mut self.first)
    }

    /// The parts from a place on.
    fn parts(&self, place: usize) -> impl Iterator<Item = &C> {
        let first = (place == 0).then_some(&self.first);
        let rest = self.rest.get(place.saturating_sub(1)..).unwrap_or_default();
        first.into_iter().chain(rest)
    }

    /// Adds the part that was split off the one at `place`.
    fn insert_after(&mut self, place: usize, (bound, part): (TreeKey, C)) {
        self.heads.insert(place, bound.head());
        self.bounds.insert(place, bound);
        self.rest.insert(place, part);
    }

    /// Takes the upper half away, with its bound, once there are more parts than `most`.
    fn split(&mut self, most: usize) -> Option<(TreeKey, Self)> {
        if self.rest.len() < most {
            return None;
        }
        let middle = most / 2;
        let (heads, bounds) = (self.heads.split_off(middle + 1), self.bounds.split_off(middle + 1));
        let rest = self.rest.split_off(middle + 1);
        self.heads.pop();
        Some((self.bounds.pop()?, Self { first: self.rest.pop()?, rest, bounds, heads }))
    }
}

/// What becomes one with its neighbour when both are small.
trait Part: Clone {
    fn size(&self) -> usize;

    /// Takes in the next part, whose keys are not below `bound`.
    fn absorb(&mut self, bound: TreeKey, next: Self);
}

impl<C: Part> Node<C> {
    /// Makes the part at `place` one with a neighbour, where they have room for `most`.
    fn merge(&mut self, place: usize, most: usize) {
        let left = place.min(self.rest.len().saturating_sub(1));
        if self.rest.is_empty() {
            return;
        }
        let (one, two) = (self.part(left).size(), self.part(left + 1).size());
        if one + two <= most || one == 0 || two == 0 {
            self.heads.remove(left);
            let (bound, next) = (self.bounds.remove(left), self.rest.remove(left));
            self.part_mut(left).absorb(bound, next);
        }
    }
}

/// Leaves, shared until they change.
#[derive(Clone, Default)]
struct Branch(Arc<Node<Leaf>>);

impl Branch {
    /// The leaves, to be changed: a copy of its own where others hold them too.
    fn leaves_mut(&mut self) -> &mut Node<Leaf> {
        Arc::make_mut(&mut self.0)
    }
}

impl Part for Branch {
    fn size(&self) -> usize {
        self.0.rest.len() + 1
    }

    fn absorb(&mut self, bound: TreeKey, next: Self) {
        let (leaves, next) = (self.leaves_mut(), Arc::unwrap_or_clone(next.0));
        leaves.heads.push(bound.head());
        leaves.heads.extend(next.heads);
        leaves.bounds.push(bound);
        leaves.bounds.extend(next.bounds);
        leaves.rest.push(next.first);
        leaves.rest.extend(next.rest);
    }
}

/// Rows in the order in which they came, shared until they change.
#[derive(Clone, Default)]
struct Leaf {
    /// A byte of each row's key's hash, eight to a word, the first lowest.
    tags: [u64; LEAF_ROWS / 8],
    rows: Arc<Rows>,
}

/// A one in every byte of a word.
const ONES: u64 = u64::from_ne_bytes([1; 8]);

impl Leaf {
    fn find(&self, key: &TreeKey) -> Option<usize> {
        let wanted = ONES * u64::from(key.tag());
        for (number, word) in self.tags.iter().take(self.rows.len().div_ceil(8)).enumerate() {
            // A byte of `differ` is zero where the tag is the wanted one; the high bits of
            // `hits` are set there, and at times above such a byte: the key decides.
            let differ = word ^ wanted;
            let mut hits = differ.wrapping_sub(ONES) & !differ & (ONES << 7);
            while hits != 0 {
                let i = number * 8 + hits.trailing_zeros() as usize / 8;
                if self.rows.get(i).is_some_and(|(found, _)| found == key) {
                    return Some(i);
                }
                hits &= hits - 1;
            }
        }
        None
    }

    fn tag_all(&mut self) {
        for (i, (key, _)) in self.rows.iter().enumerate() {
            set_tag(&mut self.tags, i, key.tag());
        }
    }

    fn row_mut(&mut self, i: usize) -> Option<&mut Row> {
        Arc::make_mut(&mut self.rows).get_mut(i).map(|(_, row)| row)
    }

    /// Adds a row whose key is not there, to a leaf that is not full.
    fn push(&mut self, key: TreeKey, row: Row) {
        set_tag(&mut self.tags, self.rows.len(), key.tag());
        Arc::make_mut(&mut self.rows).push((key, row));
    }

    /// Takes a row out; the last one stands in its place then.
    fn take(&mut self, i: usize) -> Entry {
        let entry = Arc::make_mut(&mut self.rows).swap_remove(i);
        if let Some((moved, _)) = self.rows.get(i) {
            set_tag(&mut self.tags, i, moved.tag());
        }
        entry
    }

    /// Adds the rows to `out`, in the order of their keys.
    fn push_sorted<'a>(&'a self, out: &mut Vec<&'a Entry>) {
        // The heads nearly always decide, and sorting numbers asks nobody else.
        let mut order = [u128::MAX; LEAF_ROWS];
        for (i, (place, (key, _))) in order.iter_mut().zip(self.rows.iter()).enumerate() {
            *place = u128::from(key.head()) << 64 | i as u128;
        }
        let order = order.get_mut(..self.rows.len()).unwrap_or_default();
        order.sort_unstable();
        let begin = out.len();
        out.extend(order.iter().filter_map(|place| self.rows.get(*place as u64 as usize)));
        if order.windows(2).any(|pair| matches!(pair, [a, b] if a >> 64 == b >> 64))
            && let Some(new) = out.get_mut(begin..)
        {
            new.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        }
    }

    /// Takes about the upper half away, with its lowest key as bound, once the leaf is full.
    fn split(&mut self) -> Option<(TreeKey, Self)> {
        if self.rows.len() < LEAF_ROWS {
            return None;
        }
        // Near the middle is good enough: the middle one of a few keys, found with few moves.
        let place = |i: usize| (2 * i + 1) * LEAF_ROWS / (2 * SAMPLE);
        let mut sample: [Option<&TreeKey>; SAMPLE] =
            std::array::from_fn(|i| self.rows.get(place(i)).map(|(key, _)| key));
        sample.sort_unstable();
        let bound = sample.get(SAMPLE / 2).copied().flatten()?.clone();
        let mut upper = Self::default();
        let (rows, taken) = (Arc::make_mut(&mut self.rows), Arc::make_mut(&mut upper.rows));
        let mut i = 0;
        while let Some((key, _)) = rows.get(i) {
            if *key < bound {
                i += 1;
            } else {
                taken.push(rows.swap_remove(i));
            }
        }
        self.tag_all();
        upper.tag_all();
        Some((bound, upper))
    }
}

fn set_tag(tags: &mut [u64; LEAF_ROWS / 8], i: usize, tag: u8) {
    if let Some(word) = tags.get_mut(i / 8) {
        let shift = i % 8 * 8;
        *word = *word & !(0xff << shift) | u64::from(tag) << shift;
    }
}

impl Part for Leaf {
    fn size(&self) -> usize {
        self.rows.len()
    }

    fn absorb(&mut self, _bound: TreeKey, next: Self) {
        Arc::make_mut(&mut self.rows).extend(Arc::unwrap_or_clone(next.rows));
        self.tag_all();
    }
}

/// The map. Cloning it costs one counted pointer.
#[derive(Clone, Default)]
pub(crate) struct Tree {
    root: Arc<Root>,
    len: usize,
}

impl Tree {
    /// Rows.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn get(&self, key: &TreeKey) -> Option<&Row> {
        let branch = self.root.part(self.root.place(key));
        let leaf = branch.0.part(branch.0.place(key));
        leaf.rows.get(leaf.find(key)?).map(|(_, row)| row)
    }

    /// Puts a row in the place of the one that is there, which it gives.
    pub(crate) fn insert(&mut self, key: TreeKey, row: Row) -> Option<Row> {
        let root = Arc::make_mut(&mut self.root);
        let branch_place = root.place(&key);
        let branch = root.part_mut(branch_place);
        let leaves = branch.leaves_mut();
        let leaf_place = leaves.place(&key);
        let leaf = leaves.part_mut(leaf_place);
        if let Some(old) = leaf.find(&key).and_then(|i| leaf.row_mut(i)) {
            return Some(std::mem::replace(old, row));
        }
        self.len += 1;
        let Some(mut upper) = leaf.split() else {
            leaf.push(key, row);
            return None;
        };
        if key < upper.0 {
            leaf.push(key, row)
        } else {
            upper.1.push(key, row)
        }
        leaves.insert_after(leaf_place, upper);
        if let Some((bound, upper)) = leaves.split(FANOUT) {
            root.insert_after(branch_place, (bound, Branch(Arc::new(upper))));
        }
        None
    }

    /// Removes a row, which it gives.
    pub(crate) fn remove(&mut self, key: &TreeKey) -> Option<Row> {
        // What is not there must not make anything be copied.
        self.get(key)?;
        let root = Arc::make_mut(&mut self.root);
        let branch_place = root.place(key);
        let branch = root.part_mut(branch_place);
        let leaves = branch.leaves_mut();
        let leaf_place = leaves.place(key);
        let leaf = leaves.part_mut(leaf_place);
        let (_, row) = leaf.take(leaf.find(key)?);
        self.len -= 1;
        if leaf.size() < LEAF_ROWS / 4 {
            leaves.merge(leaf_place, MERGED_ROWS);
            if branch.size() < FANOUT / 4 {
                root.merge(branch_place, MERGED_LEAVES);
            }
        }
        Some(row)
    }

    fn leaves(&self, from: Option<&TreeKey>) -> impl Iterator<Item = &Leaf> {
        let branch = from.map_or(0, |key| self.root.place(key));
        let leaf = from.map_or(0, |key| self.root.part(branch).0.place(key));
        let starts = std::iter::once(leaf).chain(std::iter::repeat(0));
        self.root.parts(branch).zip(starts).flat_map(|(branch, start)| branch.0.parts(start))
    }

    /// All rows, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.leaves(None).flat_map(|leaf| leaf.rows.iter())
    }

    /// The first `limit` rows from `start` on and before `end`, in the order of keys.
    pub(crate) fn rows(
        &self,
        start: Bound<&TreeKey>,
        end: Option<&TreeKey>,
        limit: usize,
    ) -> Vec<&Entry> {
        let from = match start {
            Bound::Included(start) | Bound::Excluded(start) => Some(start),
            Bound::Unbounded => None,
        };
        let is_before = |key: &TreeKey| match start {
            Bound::Included(start) => key < start,
            Bound::Excluded(start) => key <= start,
            Bound::Unbounded => false,
        };
        let mut rows: Vec<&Entry> = Vec::new();
        for (number, leaf) in self.leaves(from).enumerate() {
            leaf.push_sorted(&mut rows);
            // Only the first leaf has keys before the start, and only the last one some
            // beyond the end.
            if number == 0 {
                let before = rows.partition_point(|(key, _)| is_before(key));
                rows.drain(..before);
            }
            if let Some(end) = end
                && rows.last().is_some_and(|(key, _)| key >= end)
            {
                rows.truncate(rows.partition_point(|(key, _)| key < end));
                break;
            }
            if rows.len() >= limit {
                break;
            }
        }
        rows.truncate(limit);
        rows
    }

    /// The keys that divide the rows into `parts` of equal size, as near as may be: one
    /// less than parts, or than rows where those are fewer.
    pub(crate) fn quantiles(&self, parts: usize) -> Vec<&TreeKey> {
        let parts = parts.clamp(1, self.len.max(1));
        let rank = |part: usize| (self.len as u128 * part as u128 / parts as u128) as usize;
        let mut ranks = (1..parts).map(rank).peekable();
        let mut keys = Vec::new();
        let mut passed = 0;
        for leaf in self.leaves(None) {
            let after = passed + leaf.rows.len();
            let mut sorted: Vec<&TreeKey> = Vec::new();
            while let Some(rank) = ranks.next_if(|rank| *rank < after) {
                if sorted.is_empty() {
                    sorted.extend(leaf.rows.iter().map(|(key, _)| key));
                    sorted.sort_unstable();
                }
                keys.extend(sorted.get(rank - passed));
            }
            passed = after;
        }
        keys
    }
}

#[cfg(test)]
#[path = "tree_tests.rs"]
mod tests;

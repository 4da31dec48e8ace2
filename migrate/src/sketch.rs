//! A table of sums from which the rows that are on one side only can be read off.
//!
//! An invertible Bloom lookup table (Goodrich and Mitzenmacher, 2011; differences of sets by
//! Eppstein, Goodrich, Uyeda and Varghese, 2011). Each row is added to three cells, one in
//! each third of the table; rows of the left side count up, those of the right side down. What
//! both have is gone then. A cell with a single row left gives that row, which is taken out of
//! its two other cells, and so on. Rows are *added* and not combined by exclusive or: a row
//! that is twice on one side does not cancel itself out.

use crate::pinset::Side;

/// Longest key that a cell can give back.
const KEY_BYTES: usize = 47;
/// Lanes of a cell's key: a length and as many bytes.
const LANES: usize = KEY_BYTES.div_ceil(8);
/// How many cells a row is added to.
const HASHES: usize = 3;
/// Cells for each row that is to be read off: beyond 1.222 for three hashes nearly every table
/// is read off whole; the rest is for small tables.
const CELLS_PER_ROW: f64 = 1.4;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Cell {
    count: i64,
    row: u128,
    check: u64,
    key: [u64; LANES],
}

/// A row that is on one side only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Single {
    pub(crate) side: Side,
    /// Its key, or `None` where that is too long for the table.
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) row: u128,
}

/// The table.
#[derive(Debug)]
pub(crate) struct Sketch {
    cells: Vec<Cell>,
    third: u64,
}

impl Sketch {
    /// One that nearly always gives back up to `rows` rows.
    pub(crate) fn for_rows(rows: usize) -> Self {
        let cells = (rows as f64 * CELLS_PER_ROW) as usize + 64;
        let third = cells.div_ceil(HASHES);
        Self { cells: vec![Cell::default(); third * HASHES], third: third as u64 }
    }

    /// Adds a row of one side.
    pub(crate) fn add(&mut self, side: Side, key: &[u8], row: u128) {
        self.apply(side, &packed(key), row);
    }

    fn apply(&mut self, side: Side, key: &[u64; LANES], row: u128) {
        let check = check(row);
        for place in places(row, self.third) {
            if let Some(cell) = self.cells.get_mut(place) {
                match side {
                    Side::Left => cell.add(key, row, check),
                    Side::Right => cell.subtract(key, row, check),
                }
            }
        }
    }

    /// Reads off all rows that are on one side only, and says whether that is all of them.
    pub(crate) fn peel(mut self) -> (Vec<Single>, bool) {
        let mut found = Vec::new();
        let mut queue: Vec<usize> = (0..self.cells.len()).collect();
        while let Some(place) = queue.pop() {
            let Some(cell) = self.cells.get(place) else { continue };
            let Some((side, key, row)) = cell.single() else { continue };
            if !places(row, self.third).contains(&place) {
                continue;
            }
            // Taken out of its cells by the same row of the other side.
            self.apply(side.other(), &key, row);
            queue.extend(places(row, self.third));
            found.push(Single { side, key: unpacked(&key), row });
        }
        let whole = self.cells.iter().all(|cell| *cell == Cell::default());
        (found, whole)
    }
}

impl Cell {
    fn add(&mut self, key: &[u64; LANES], row: u128, check: u64) {
        self.count += 1;
        self.row = self.row.wrapping_add(row);
        self.check = self.check.wrapping_add(check);
        for (sum, lane) in self.key.iter_mut().zip(key) {
            *sum = sum.wrapping_add(*lane);
        }
    }

    fn subtract(&mut self, key: &[u64; LANES], row: u128, check: u64) {
        self.count -= 1;
        self.row = self.row.wrapping_sub(row);
        self.check = self.check.wrapping_sub(check);
        for (sum, lane) in self.key.iter_mut().zip(key) {
            *sum = sum.wrapping_sub(*lane);
        }
    }

    /// The only row in it, if it is one.
    fn single(&self) -> Option<(Side, [u64; LANES], u128)> {
        let (side, row, sum, key) = match self.count {
            1 => (Side::Left, self.row, self.check, self.key),
            -1 => (
                Side::Right,
                self.row.wrapping_neg(),
                self.check.wrapping_neg(),
                self.key.map(u64::wrapping_neg),
            ),
            _ => return None,
        };
        (check(row) == sum).then_some((side, key, row))
    }
}

/// A number that fits a row by chance once in 2^64.
fn check(row: u128) -> u64 {
    mix((row >> 64) as u64 ^ mix(row as u64))
}

/// The cells of a row, one in each third. Its number is a hash, so parts of it are as well.
fn places(row: u128, third: u64) -> [usize; HASHES] {
    let scaled = |hash: u64| (u128::from(hash) * u128::from(third)) >> 64;
    let (low, high) = (row as u64, (row >> 64) as u64);
    let third = u128::from(third);
    [
        scaled(low) as usize,
        (third + scaled(high)) as usize,
        (2 * third + scaled(mix(low.wrapping_add(high)))) as usize,
    ]
}

/// The finaliser of SplitMix64 (Steele, Lea and Flood, 2014).
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A key as a cell adds it: its length and its bytes; the length alone where it is too long.
fn packed(key: &[u8]) -> [u64; LANES] {
    let mut bytes = [0; KEY_BYTES + 1];
    let [length, place @ ..] = &mut bytes;
    match place.get_mut(..key.len()) {
        Some(place) => {
            *length = key.len() as u8;
            place.copy_from_slice(key);
        }
        None => *length = u8::MAX,
    }
    let mut lanes = [0; LANES];
    for (lane, part) in lanes.iter_mut().zip(bytes.as_chunks().0) {
        *lane = u64::from_le_bytes(*part);
    }
    lanes
}

fn unpacked(lanes: &[u64; LANES]) -> Option<Vec<u8>> {
    let bytes: Vec<u8> = lanes.iter().flat_map(|lane| lane.to_le_bytes()).collect();
    let (length, bytes) = bytes.split_first()?;
    bytes.get(..usize::from(*length)).map(<[u8]>::to_vec)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What is left of two multisets once what both have is gone.
    fn left_over(left: &[(Vec<u8>, u128)], right: &[(Vec<u8>, u128)]) -> Vec<Single> {
        let mut right = right.to_vec();
        let mut over = Vec::new();
        for row in left {
            match right.iter().position(|other| other == row) {
                Some(at) => drop(right.swap_remove(at)),
                None => over.push((Side::Left, row.clone())),
            }
        }
        over.extend(right.into_iter().map(|row| (Side::Right, row)));
        let mut over: Vec<Single> = over
            .into_iter()
            .map(|(side, (key, row))| Single {
                side,
                key: (key.len() <= KEY_BYTES).then_some(key),
                row,
            })
            .collect();
        over.sort_by(|a, b| (a.row, &a.key).cmp(&(b.row, &b.key)));
        over
    }

    fn rows() -> impl Strategy<Value = Vec<(Vec<u8>, u128)>> {
        prop::collection::vec((prop::collection::vec(any::<u8>(), 0..60), any::<u128>()), 0..200)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn gives_back_just_what_one_side_lacks(both in rows(), left in rows(), right in rows()) {
            let mut sketch = Sketch::for_rows(400);
            let of = |own: &[(Vec<u8>, u128)]| [&both[..], own].concat();
            let (left, right) = (of(&left), of(&right));
            for (key, row) in &left {
                sketch.add(Side::Left, key, *row);
            }
            for (key, row) in &right {
                sketch.add(Side::Right, key, *row);
            }
            let (mut found, whole) = sketch.peel();
            found.sort_by(|a, b| (a.row, &a.key).cmp(&(b.row, &b.key)));
            let over = left_over(&left, &right);
            // Two rows can share all their cells, in a table as small as this one.
            prop_assert!(found.iter().all(|single| over.contains(single)));
            prop_assert!(!whole || found == over);
        }
    }

    #[test]
    fn gives_back_as_many_rows_as_it_was_made_for() {
        let mut random = fastrand::Rng::with_seed(1);
        for rows in [1, 10, 500, 5_000, 20_000_u32] {
            let mut sketch = Sketch::for_rows(rows as usize);
            for row in 0..rows {
                sketch.add(Side::Right, &row.to_le_bytes(), random.u128(..));
            }
            let (found, whole) = sketch.peel();
            assert!(whole, "{rows}");
            assert_eq!(found.len(), rows as usize);
        }
    }

    #[test]
    fn says_so_when_there_is_too_much_in_it() {
        let mut sketch = Sketch::for_rows(100);
        let mut random = fastrand::Rng::with_seed(7);
        for i in 0..10_000_u32 {
            sketch.add(Side::Left, &i.to_le_bytes(), random.u128(..));
        }
        let (found, whole) = sketch.peel();
        assert!(!whole);
        assert!(found.len() < 10_000);
    }

    #[test]
    fn a_row_that_is_twice_on_one_side_is_not_forgotten() {
        let mut sketch = Sketch::for_rows(10);
        sketch.add(Side::Left, b"key", 17 << 70);
        sketch.add(Side::Left, b"key", 17 << 70);
        assert!(!sketch.peel().1);
    }
}

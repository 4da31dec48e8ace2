//! Finding out whether two pinsets are the same, and where they are not.
//!
//! Each side is read once, in parts that are read at the same time. Every row is hashed to a
//! number of 128 bits under a key of this comparison ([`RowHasher`]) and goes into two small
//! tables: the sum over its bucket ([`Tally`]), which shows *whether* the sides differ, and a
//! sketch ([`Sketch`]) from which the rows of one side only can be read off. What was read off
//! counts once it explains the difference of its bucket to the last bit. Buckets that are not
//! explained, because more rows differ than the sketch holds, because a key is too long for it
//! or because one side has a row twice, are read again: with a larger sketch, some of them at
//! a time, or row by row. None of this grows with the number of records.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use pinstate_core::digest::Kind;
use pinstate_core::transfer::StopFlag;
use pinstate_core::{Error, ErrorKind, Key, Operation, Result};

use crate::difference::{Difference, What};
use crate::pass::{Pass, Read, Sink, Wanted, not_stopped};
use crate::pinset::{Found, Pinset, Side};
use crate::row::{BUCKETS, RowHasher};
use crate::sketch::{Single, Sketch};
use crate::tally::Tally;

/// Differing rows that the sketch of the first reading holds: 7 MB.
const FIRST_ROWS: usize = 1 << 16;
/// Differing rows that the sketch of a later reading holds: 59 MB.
const LATER_ROWS: usize = 1 << 19;
/// Rows that a later reading keeps one by one.
const EXACT_ROWS: u64 = 1 << 18;
/// Keys that are looked up at a time.
const LOOK_UP: usize = 2_000;
/// The pause before differences are looked up again, which doubles each time.
const PAUSE: Duration = Duration::from_millis(200);

/// How much is found out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// How many records there are.
    Count,
    /// Whether they are the same.
    Digest,
    /// Which ones are not.
    #[default]
    List,
    /// What stands on both sides under those keys.
    Fields,
}

/// Options of [`compare`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CompareOptions {
    /// How much is found out.
    pub level: Level,
    /// Whether records are compared as pins or as the bytes that are stored.
    pub kind: Kind,
    /// Parts that are read at the same time, at least 1.
    pub workers: usize,
    /// Differences after which no more are looked for.
    pub most: usize,
    /// How often differences are looked up again because the pinsets are being written to; 0
    /// where they are not, and a change is an error.
    pub live: u32,
    /// Asks to stop.
    pub stop: StopFlag,
    /// Rows read so far, for whoever shows progress.
    pub read: Arc<AtomicU64>,
}

impl CompareOptions {
    /// Lists the pins that differ.
    #[must_use]
    pub fn new() -> Self {
        Self {
            level: Level::default(),
            kind: Kind::Pin,
            workers: std::thread::available_parallelism().map_or(2, usize::from).max(2),
            most: 1_000_000,
            live: 0,
            stop: StopFlag::new(),
            read: Arc::default(),
        }
    }
}

impl Default for CompareOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// What is known of one side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// How many records it has.
    pub rows: u64,
    /// How many of them the store cannot read. They are compared as what is stored.
    pub damaged: u64,
    /// How many are no pins, where pins were compared. They are compared byte by byte.
    pub unreadable: u64,
}

/// What a comparison came to.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Comparison {
    /// The left side.
    pub left: Totals,
    /// The right side.
    pub right: Totals,
    /// In how many of the 65,536 buckets the sides differ; `None` where only counts were
    /// compared.
    pub buckets: Option<usize>,
    /// The differences in the order of their keys, each key once; `None` where they were not
    /// looked for.
    pub differences: Option<Vec<Difference>>,
    /// Whether there are more of them than were asked for.
    pub cut: bool,
    /// Keys that differed when they were read and no longer did when they were looked up.
    pub settled: u64,
    /// How often both sides were read.
    pub passes: u32,
}

impl Comparison {
    /// Whether no difference was found, at the level that was asked for.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        match (&self.differences, self.buckets) {
            (Some(differences), _) => differences.is_empty() && !self.cut,
            (None, Some(buckets)) => buckets == 0,
            (None, None) => self.left.rows == self.right.rows,
        }
    }
}

/// Compares two pinsets.
///
/// # Errors
/// `Cancelled` if it was asked to stop; `Conflict` if a pinset changed meanwhile, unless
/// [`live`](CompareOptions::live) says that it may; what keeps a side from being read. There
/// is no result then, not even a partial one.
pub async fn compare(
    left: Arc<dyn Pinset>,
    right: Arc<dyn Pinset>,
    options: &CompareOptions,
) -> Result<Comparison> {
    if options.level == Level::Count {
        let (left, right) = futures::try_join!(left.count(), right.count())?;
        let totals = |rows| Totals { rows, ..Totals::default() };
        return Ok(Comparison::of(totals(left), totals(right)));
    }
    let sides = [left, right];
    let pass = Pass {
        hasher: RowHasher::new(options.kind),
        workers: options.workers.max(1),
        stop: options.stop.clone(),
        read: Arc::clone(&options.read),
        sides,
    };
    let lists = options.level >= Level::List;
    let first = Sums {
        tally: Tally::new(),
        sketch: lists.then(|| Sketch::for_rows(FIRST_ROWS)),
        totals: <[Totals; 2]>::default(),
    };
    let first = pass.run(&Arc::new(Wanted::All), first).await?;
    let [left, right] = first.totals;
    let differing = first.tally.differing();
    let mut comparison =
        Comparison { buckets: Some(differing.len()), ..Comparison::of(left, right) };
    if let Some(sketch) = first.sketch {
        let mut search = Search {
            pass: &pass,
            options,
            per_bucket: per_bucket(&first.tally, differing.len()),
            pending: differing,
            tally: first.tally,
            found: Vec::new(),
            passes: 1,
        };
        search.read_off(sketch);
        search.finish().await?;
        comparison.passes = search.passes;
        let mut differences = by_key(search.found);
        comparison.cut = !search.pending.is_empty() || differences.len() > options.most;
        // No more is looked up than is asked for.
        differences.truncate(options.most);
        let repeats = pass.sides.iter().any(|side| side.may_repeat());
        if options.level == Level::Fields || options.live > 0 || repeats {
            let before = differences.len();
            differences = look_up(&pass, options, differences).await?;
            comparison.settled = (before - differences.len()) as u64;
        }
        comparison.differences = Some(differences);
    }
    Ok(comparison)
}

impl Comparison {
    fn of(left: Totals, right: Totals) -> Self {
        Self { left, right, buckets: None, differences: None, cut: false, settled: 0, passes: 1 }
    }
}

/// What a reading sums up.
struct Sums {
    tally: Tally,
    sketch: Option<Sketch>,
    totals: [Totals; 2],
}

impl Sink for Sums {
    fn take(&mut self, side: Side, rows: &[Read]) {
        let [left, right] = &mut self.totals;
        let totals = match side {
            Side::Left => left,
            Side::Right => right,
        };
        for Read { row, bucket, hashed } in rows {
            totals.rows += 1;
            totals.damaged += u64::from(row.damaged);
            totals.unreadable += u64::from(hashed.unreadable && !row.damaged);
            self.tally.add(side, *bucket, hashed.row);
            if let Some(sketch) = &mut self.sketch {
                sketch.add(side, row.key.as_bytes(), hashed.row);
            }
        }
    }
}

/// Rows kept one by one.
struct Each {
    tally: Tally,
    rows: HashMap<(Vec<u8>, u128), i64>,
}

impl Sink for Each {
    fn take(&mut self, side: Side, rows: &[Read]) {
        for Read { row, bucket, hashed } in rows {
            self.tally.add(side, *bucket, hashed.row);
            let key = (row.key.as_bytes().to_vec(), hashed.row);
            *self.rows.entry(key).or_default() += match side {
                Side::Left => 1,
                Side::Right => -1,
            };
        }
    }
}

/// The search for the rows behind buckets that differ.
struct Search<'a> {
    pass: &'a Pass,
    options: &'a CompareOptions,
    /// Buckets that are not explained yet.
    pending: Vec<u16>,
    tally: Tally,
    /// Rows that explain the others.
    found: Vec<Single>,
    /// About how many rows differ in one of those that are pending.
    per_bucket: f64,
    passes: u32,
}

/// About how many rows differ in a bucket that does, by how many do not.
fn per_bucket(tally: &Tally, differing: usize) -> f64 {
    let differing = differing as f64;
    let same = 1.0 - differing / BUCKETS as f64;
    // With every bucket differing there is no telling; the least that fits is tried.
    let rows = -(BUCKETS as f64) * same.max(0.5 / BUCKETS as f64).ln();
    let counts = tally.rows(Side::Left).abs_diff(tally.rows(Side::Right));
    rows.max(counts as f64) / differing.max(1.0)
}

impl Search<'_> {
    /// Reads a sketch off and keeps what explains its bucket.
    fn read_off(&mut self, sketch: Sketch) {
        let (singles, whole) = sketch.peel();
        self.keep(singles);
        // What a whole sketch has not explained no larger one will.
        self.per_bucket = if whole { f64::INFINITY } else { self.per_bucket * 4.0 };
    }

    fn keep(&mut self, singles: Vec<Single>) {
        let mut by_bucket: BTreeMap<u16, Vec<Single>> = BTreeMap::new();
        for single in singles {
            if let Some(key) = &single.key {
                by_bucket.entry(self.pass.hasher.bucket(key)).or_default().push(single);
            }
        }
        let (tally, found) = (&self.tally, &mut self.found);
        self.pending.retain(|bucket| {
            let Some(singles) = by_bucket.remove(bucket) else { return true };
            let (mut left, mut right) =
                (tally.bucket(Side::Left, *bucket), tally.bucket(Side::Right, *bucket));
            for single in &singles {
                // What one side has more is added to the other: then both are the same.
                match single.side {
                    Side::Left => right.add(single.row),
                    Side::Right => left.add(single.row),
                }
            }
            if left == right {
                found.extend(singles);
            }
            left != right
        });
    }

    /// Reads on until every bucket is explained, or more was found than was asked for.
    async fn finish(&mut self) -> Result<()> {
        // A key that differs is a row of each side.
        let most = self.options.most.saturating_mul(2);
        while !self.pending.is_empty() && self.found.len() <= most {
            let sketched = (LATER_ROWS as f64 / (2.0 * self.per_bucket.max(0.1))) as usize;
            let mut rows = 0;
            let one_by_one = self
                .pending
                .iter()
                .take_while(|bucket| {
                    let of = |side| self.tally.bucket(side, **bucket).rows;
                    rows += of(Side::Left) + of(Side::Right);
                    rows <= EXACT_ROWS
                })
                .count()
                .max(1);
            self.passes += 1;
            if sketched > one_by_one {
                self.sketch(sketched.min(self.pending.len())).await?;
            } else {
                self.each(one_by_one).await?;
            }
        }
        Ok(())
    }

    async fn sketch(&mut self, buckets: usize) -> Result<()> {
        let group = self.pending.get(..buckets).unwrap_or_default().to_vec();
        let sums = Sums {
            tally: Tally::new(),
            sketch: Some(Sketch::for_rows(LATER_ROWS)),
            totals: <[Totals; 2]>::default(),
        };
        let sums = self.pass.run(&Arc::new(Wanted::these(&group)), sums).await?;
        self.check(&group, &sums.tally)?;
        let before = self.pending.len();
        if let Some(sketch) = sums.sketch {
            let per_bucket = self.per_bucket;
            self.read_off(sketch);
            if self.pending.len() + group.len() == before {
                // It went well: the next group is as large.
                self.per_bucket = per_bucket;
            }
        }
        Ok(())
    }

    async fn each(&mut self, buckets: usize) -> Result<()> {
        let group = self.pending.get(..buckets).unwrap_or_default().to_vec();
        let each = Each { tally: Tally::new(), rows: HashMap::new() };
        let each = self.pass.run(&Arc::new(Wanted::these(&group)), each).await?;
        self.check(&group, &each.tally)?;
        let mut singles = Vec::new();
        for ((key, row), count) in each.rows {
            let side = if count > 0 { Side::Left } else { Side::Right };
            let single = Single { side, key: Some(key), row };
            singles.extend(std::iter::repeat_n(single, count.unsigned_abs() as usize));
        }
        self.keep(singles);
        // A bucket that has become the same meanwhile is explained, too.
        let tally = &self.tally;
        let of = |side, bucket| tally.bucket(side, bucket);
        self.pending.retain(|bucket| of(Side::Left, *bucket) != of(Side::Right, *bucket));
        let group: BTreeSet<u16> = group.into_iter().collect();
        if self.pending.iter().any(|bucket| group.contains(bucket)) {
            let what = "rows that were read one by one do not explain what differs";
            return Err(Error::new(ErrorKind::Internal, Operation::Scan, what));
        }
        Ok(())
    }

    /// Compares what was read now with what was read before.
    fn check(&mut self, group: &[u16], now: &Tally) -> Result<()> {
        for bucket in group {
            let same = [Side::Left, Side::Right]
                .into_iter()
                .all(|side| now.bucket(side, *bucket) == self.tally.bucket(side, *bucket));
            if same {
                continue;
            }
            if self.options.live == 0 {
                return Err(Error::new(
                    ErrorKind::Conflict,
                    Operation::Scan,
                    "a pinset was changed while it was compared: compare when nobody writes to it, \
                     or say that it is being written to",
                ));
            }
            self.tally.replace(*bucket, now);
        }
        Ok(())
    }
}

/// What each key comes to, in the order of the keys.
fn by_key(singles: Vec<Single>) -> Vec<Difference> {
    let mut keys: BTreeMap<Vec<u8>, (bool, bool)> = BTreeMap::new();
    for single in singles {
        let (left, right) = keys.entry(single.key.unwrap_or_default()).or_default();
        match single.side {
            Side::Left => *left = true,
            Side::Right => *right = true,
        }
    }
    let difference = |(key, on): (Vec<u8>, (bool, bool))| {
        let what = match on {
            (true, true) => What::Different,
            (true, false) => What::Missing,
            (false, _) => What::Extra,
        };
        Difference { key: Key::new(key), what, found: None }
    };
    keys.into_iter().map(difference).collect()
}

/// Looks at both sides again: what stands there, and whether it still differs.
async fn look_up(
    pass: &Pass,
    options: &CompareOptions,
    mut differences: Vec<Difference>,
) -> Result<Vec<Difference>> {
    let mut pause = PAUSE;
    for round in 0..=options.live {
        if round > 0 {
            if differences.is_empty() {
                break;
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => pause *= 2,
                () = options.stop.stopped() => {}
            }
        }
        let mut still = Vec::with_capacity(differences.len());
        for some in differences.chunks(LOOK_UP) {
            not_stopped(&options.stop, Operation::Get)?;
            let keys: Vec<Key> = some.iter().map(|difference| difference.key.clone()).collect();
            let [left, right] = &pass.sides;
            let (left, right) = futures::try_join!(left.look_up(&keys), right.look_up(&keys))?;
            for (key, found) in keys.into_iter().zip(left.into_iter().zip(right)) {
                still.extend(differs(pass, key, found));
            }
        }
        differences = still;
    }
    Ok(differences)
}

fn differs(pass: &Pass, key: Key, (left, right): (Found, Found)) -> Option<Difference> {
    let what = match (left.is_nothing(), right.is_nothing()) {
        (true, true) => return None,
        (false, true) => What::Missing,
        (true, false) => What::Extra,
        (false, false) => {
            let rows = |found: &Found| {
                let row = |value: &bytes::Bytes| pass.hasher.hash(key.as_bytes(), value).row;
                let mut rows: Vec<u128> = found.values.iter().map(row).collect();
                rows.sort_unstable();
                rows
            };
            // What cannot be read was told apart by what is stored, when it was read.
            let readable = !left.damaged && !right.damaged;
            if readable && rows(&left) == rows(&right) {
                return None;
            }
            What::Different
        }
    };
    Some(Difference { key, what, found: Some([left, right]) })
}

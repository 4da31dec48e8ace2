//! How fast one core views, writes and reads pins of the usual shape: three allocations
//! from a few dozen peers, a CIDv1, a name and one metadata entry.
//!
//! Prints the median of some rounds, and the bar that each is to pass. With a word as
//! argument, measures only what has it in its name. Where the kernel
//! tells it (Linux), time on the processor is counted, which neighbours disturb less.

use std::hint::black_box;
use std::sync::LazyLock;
use std::time::Instant;

use pinstate_core::format::ndjson::{NdjsonDecoder, NdjsonEncoder};
use pinstate_core::format::{Decoder, Encoder, Leniency};
use pinstate_core::pin::{self, Cid, ImportOverrides, PeerId, Pin, PinView, UnixSeconds, Zone};

const PINS: usize = 50_000;
const ROUNDS: usize = 9;

/// A simple generator, so that every run measures the same pins.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn bytes(&mut self) -> [u8; 32] {
        let words: [[u8; 8]; 4] = std::array::from_fn(|_| self.next().to_le_bytes());
        let mut bytes = [0; 32];
        bytes.copy_from_slice(words.as_flattened());
        bytes
    }
}

fn pins() -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let peers: Vec<_> = (0..36)
        .map(|_| {
            let mut bytes = vec![0x00, 0x24, 0x08, 0x01, 0x12, 0x20];
            bytes.extend(random.bytes());
            PeerId::from_bytes(&bytes).expect("a peer ID")
        })
        .collect();
    (0..PINS)
        .map(|index| {
            let mut bytes = vec![0x01, 0x55, 0x12, 0x20];
            bytes.extend(random.bytes());
            let mut pin = Pin::new(Cid::from_bytes(&bytes).expect("a CID"));
            pin.name = format!("backup/2024/archive-{index:08}");
            pin.replication_factor_min = 2;
            pin.replication_factor_max = 3;
            pin.metadata.insert("owner".into(), format!("team-{}", index % 40));
            pin.timestamp = Some(UnixSeconds(1_700_000_000 + index as i64));
            pin.allocations =
                (0..3).filter_map(|_| peers.get((random.next() % 36) as usize).cloned()).collect();
            let mut value = Vec::new();
            pin::encode(&pin, &mut value);
            (bytes, value)
        })
        .collect()
}

/// Seconds since some point in time.
fn now() -> f64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    let on_processor = || {
        let schedstat = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
        schedstat.split(' ').next()?.parse::<f64>().ok()
    };
    on_processor().map_or_else(|| START.elapsed().as_secs_f64(), |nanos| nanos / 1e9)
}

/// The median time of a round, in pins a second.
fn measure(name: &str, bar: f64, mut round: impl FnMut()) {
    let wanted: Vec<_> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    if !wanted.iter().all(|word| name.contains(word.as_str())) {
        return;
    }
    round();
    let mut seconds: Vec<_> = (0..ROUNDS)
        .map(|_| {
            let start = now();
            round();
            now() - start
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    let rate = |at: usize| seconds.get(at).map_or(0.0, |time| PINS as f64 / time / 1e6);
    let (median, best, worst) = (rate(ROUNDS / 2), rate(0), rate(ROUNDS - 1));
    #[expect(clippy::print_stdout, reason = "the result of a benchmark")]
    {
        println!("{name:<28}{median:>7.2} M/s ({worst:.2} to {best:.2}), bar {bar}");
    }
}

fn main() {
    let pins = pins();
    let mut lines = Vec::new();
    let mut encoder = NdjsonEncoder::new(Zone::Utc);
    for (key, value) in &pins {
        encoder.encode(key, value, &mut lines).expect("a line");
    }
    let value_bytes: usize = pins.iter().map(|(_, value)| value.len()).sum();
    #[expect(clippy::print_stdout, reason = "the result of a benchmark")]
    {
        println!("{} bytes a value, {} a line", value_bytes / PINS, lines.len() / PINS);
    }

    measure("view", 5.0, || {
        for (key, value) in &pins {
            black_box(PinView::new(black_box(key), black_box(value)).is_ok());
        }
    });
    measure("view to typed pin", 0.0, || {
        for (key, value) in &pins {
            black_box(PinView::new(key, value).map(|view| view.to_pin())).ok();
        }
    });
    let mut out = Vec::with_capacity(1 << 20);
    measure("NDJSON encode", 2.0, || {
        for (key, value) in &pins {
            if out.len() > 1 << 19 {
                out.clear();
            }
            black_box(encoder.encode(key, value, &mut out).is_ok());
        }
    });
    let mut entries = Vec::new();
    measure("NDJSON decode, strict", 1.4, || {
        let mut decoder = NdjsonDecoder::new(Leniency::Strict, ImportOverrides::default());
        let mut used = 0;
        let mut stored = 0;
        // In pieces, as from a file.
        for piece in 1.. {
            let end = (piece << 18).min(lines.len());
            let input = lines.get(used..end).unwrap_or_default();
            entries.clear();
            used += decoder.decode(input, end == lines.len(), usize::MAX, &mut entries);
            stored += entries.iter().filter(|entry| entry.body.is_ok()).count();
            if end == lines.len() {
                break;
            }
        }
        assert_eq!(stored, PINS);
    });
}

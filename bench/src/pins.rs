//! Pins as clusters have them, each of them a function of a number.
//!
//! Pin `n` in its writing `g` is always the same, so nothing needs to be kept to know what a
//! store should answer. How names, metadata and allocations are spread follows what public
//! collaborative clusters publish: most pins are a name and an allocation or three, some carry
//! a dozen entries of metadata.

use fastrand::Rng;
use pinstate_core::pin::{Cid, PeerId, Pin};

use crate::workload::PinShape;

/// The key of the metadata that says which writing of a pin it is.
const WRITING: &str = "writing";

/// Makes the pins of one run.
#[derive(Clone, Debug)]
pub struct Pins {
    seed: u64,
    shape: PinShape,
    peers: Vec<PeerId>,
}

/// Peers that pins may be allocated to.
const PEERS: u64 = 12;

impl Pins {
    /// All pins of this seed.
    #[must_use]
    pub fn new(seed: u64, shape: PinShape) -> Self {
        let peers = (0..PEERS).map(|n| peer(Rng::with_seed(seed ^ n))).collect();
        Self { seed, shape, peers }
    }

    /// The CID of pin `n`: version 1, raw, SHA2-256.
    #[must_use]
    pub fn cid(&self, n: u64) -> Cid {
        let mut bytes = [0; 36];
        let (head, digest) = bytes.split_at_mut(4);
        head.copy_from_slice(&[0x01, 0x55, 0x12, 0x20]);
        self.random(n, 0).fill(digest);
        // These four bytes and a digest of that length are one.
        Cid::from_bytes(&bytes).unwrap_or_else(|_| unreachable!("a CIDv1 of a SHA2-256 digest"))
    }

    /// Pin `n` as its `writing`th writing left it.
    #[must_use]
    pub fn pin(&self, n: u64, writing: u32) -> Pin {
        let mut random = self.random(n, u64::from(writing) + 1);
        let mut pin = Pin::new(self.cid(n));
        pin.name = text(&mut random, self.shape.name);
        pin.replication_factor_min = 1;
        pin.replication_factor_max = 3;
        let entries = random.u32(self.shape.metadata.0..=self.shape.metadata.1);
        for entry in 0..entries {
            let value = text(&mut random, (4, 40));
            pin.metadata.insert(format!("key-{entry}"), value);
        }
        pin.metadata.insert(WRITING.to_owned(), writing.to_string());
        let allocations = random.u32(self.shape.allocations.0..=self.shape.allocations.1) as usize;
        let first = random.usize(..self.peers.len());
        let peers = self.peers.iter().cycle().skip(first).take(allocations.min(self.peers.len()));
        pin.allocations = peers.cloned().collect();
        if self.shape.padding > 0 {
            pin.metadata.insert(
                "padding".to_owned(),
                text(&mut random, (self.shape.padding, self.shape.padding)),
            );
        }
        pin
    }

    /// Which writing a pin says it is.
    #[must_use]
    pub fn writing(pin: &Pin) -> Option<u32> {
        pin.metadata.get(WRITING)?.parse().ok()
    }

    fn random(&self, n: u64, part: u64) -> Rng {
        // Seeds that differ in one bit give streams that begin alike: spread them first.
        let mut seed = Rng::with_seed(self.seed ^ n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        Rng::with_seed(seed.u64(..) ^ part.wrapping_mul(0xd1b5_4a32_d192_ed03))
    }
}

fn peer(mut random: Rng) -> PeerId {
    // An Ed25519 public key behind its protobuf header, as an identity multihash.
    let mut bytes = vec![0x00, 0x24, 0x08, 0x01, 0x12, 0x20];
    bytes.extend(std::iter::repeat_with(|| random.u8(..)).take(32));
    PeerId::from_bytes(&bytes).unwrap_or_else(|_| unreachable!("an identity multihash"))
}

fn text(random: &mut Rng, (least, most): (u32, u32)) -> String {
    let length = random.u32(least..=most) as usize;
    std::iter::repeat_with(|| random.lowercase()).take(length).collect()
}

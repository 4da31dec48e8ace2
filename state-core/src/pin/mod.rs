//! One pin: its typed form, its stored bytes, and its text.
//!
//! A record's key is the CID's bytes and its value the protocol buffer that ipfs-cluster
//! stores, kept verbatim. [`PinView`] checks a record and answers from its bytes, which is
//! how pinsets are listed, filtered and exported; [`Pin`] is the typed form to make and
//! change pins with, and [`encode`] gives it the bytes of ipfs-cluster. JSON is in
//! [`json`]; it goes from text to bytes and back without a [`Pin`] between.
//!
//! CIDs, peer IDs and multiaddresses are types of this module, thin ones around valid
//! bytes: what they take is exactly what ipfs-cluster's libraries take. The crates for them
//! take less in some places, which would lose pins, and more in others, which would store
//! pins that ipfs-cluster cannot read.

mod base;
mod cid;
mod fault;
pub mod json;
mod model;
mod multi;
mod origin;
mod peer;
mod proto;
mod time;
mod view;
mod wire;

pub use self::cid::Cid;
pub use self::json::{ImportOverrides, JsonWriter};
pub(crate) use self::json::{JsonReader, Read};
pub use self::model::{Pin, PinMode, PinType};
pub use self::origin::Origin;
pub use self::peer::PeerId;
pub use self::proto::encode;
pub use self::time::{UnixSeconds, Zone};
pub use self::view::{Metadata, Occurrences, PinView};

//! One pin: its typed form, its stored bytes, and its text.

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

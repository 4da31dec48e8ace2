//! One pin as a JSON document: the lines of `ipfs-cluster-service state export`.
//!
//! # Writing
//! [`JsonWriter`] gives the bytes of ipfs-cluster v1.1.6 (`api.Pin` under Go's
//! `encoding/json`) for a pin that comes from storage: sixteen keys in a fixed order, no
//! spaces, HTML escaping on, metadata sorted by bytes, times in the writer's zone, which
//! is UTC unless another host's bytes are to be made.
//!
//! Some stored pins cannot be told apart in JSON, by Go's bytes or any: a type above 4
//! shows as `bad-type`, a byte of an origin's name that is no UTF-8 as U+FFFD, and a time
//! without the seconds of a zone's offset. A snapshot keeps them. A peer ID that is hashed
//! neither with SHA2-256 nor not at all is written, but neither ipfs-cluster nor this
//! reader takes its text.
//!
//! # Reading
//! The reader takes what ipfs-cluster v1.1.6 takes and gives the record it stores. Some of
//! that loses or alters what the document says. A strict reader refuses those documents;
//! a compatible one stores what ipfs-cluster stores and counts the kind:
//!
//! | the document has | strict | compatible stores |
//! |---|---|---|
//! | no `type` | refused | bad-type |
//! | an unknown `type`, or one in another case | refused | bad-type |
//! | `type` null, `""` or `"all"` | refused | shard-pin |
//! | no `max_depth`, or null | refused | 0: a direct pin |
//! | a `mode` that is neither recursive nor direct | refused | by `max_depth` |
//! | a `mode` that contradicts `max_depth` | refused | by `max_depth` |
//! | a number above 32 bits where storage has 32 | refused | the lower 32 bits |
//! | half a surrogate pair, bytes that are no UTF-8 | refused | U+FFFD for each |
//! | a metadata value of null | refused | `""` |
//! | `user_allocations` that are not empty | refused | none |
//! | a comma before a time's fraction, an hour of one digit, an offset of 24 hours | refused | the time |
//! | the first second of 1970, or a fraction of the first second of year 1 | refused | no time |
//! | an unknown key | refused | without it |
//! | a key in another case (Unicode's folding: `ſhard_size`, too) | refused | as if in lower case |
//! | a key twice | refused | the last; metadata merged |
//!
//! Refused by both, as by ipfs-cluster: syntax errors, values of another kind, numbers with
//! a fraction or exponent, what is no CID, peer ID, multiaddress or time. Refused by both,
//! though ipfs-cluster stores it where no list finds it: a pin without `cid`.
//!
//! Read by both, though ipfs-cluster v1.1.6 refuses it: the dialect of v0.11 to v0.14.5,
//! with CIDs as `{"/": "…"}` and `type` as a number.
//!
//! Altered by both, for storage has no place for it: times lose their zone and the fraction
//! of a second, CIDs and peer IDs the base they were written in, addresses their spelling,
//! and an empty list or map is as none. A null for a list, map, CID, reference, time, name
//! or number other than those above says that there is none.

mod escape;
mod field;
mod lex;
mod quirk;
mod read;
mod scratch;
mod unescape;
mod values;
mod write;

pub use self::read::ImportOverrides;
pub(crate) use self::read::{JsonReader, Read};
pub use self::write::JsonWriter;

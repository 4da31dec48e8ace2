//! The keys of a document.

use super::lex::Cursor;

/// Passes the key of a field with its colon, if it comes next and is written as usual.
#[inline(always)]
pub(super) fn eat_key(field: Field, cursor: &mut Cursor<'_>) -> bool {
    // Literals, so that each is compared in a few words and not by a call.
    match field {
        Field::ReplicationMin => cursor.eat(b"\"replication_factor_min\":"),
        Field::ReplicationMax => cursor.eat(b"\"replication_factor_max\":"),
        Field::Name => cursor.eat(b"\"name\":"),
        Field::Mode => cursor.eat(b"\"mode\":"),
        Field::ShardSize => cursor.eat(b"\"shard_size\":"),
        Field::UserAllocations => cursor.eat(b"\"user_allocations\":"),
        Field::ExpireAt => cursor.eat(b"\"expire_at\":"),
        Field::Metadata => cursor.eat(b"\"metadata\":"),
        Field::PinUpdate => cursor.eat(b"\"pin_update\":"),
        Field::Origins => cursor.eat(b"\"origins\":"),
        Field::Cid => cursor.eat(b"\"cid\":"),
        Field::Type => cursor.eat(b"\"type\":"),
        Field::Allocations => cursor.eat(b"\"allocations\":"),
        Field::MaxDepth => cursor.eat(b"\"max_depth\":"),
        Field::Reference => cursor.eat(b"\"reference\":"),
        Field::Timestamp => cursor.eat(b"\"timestamp\":"),
    }
}

/// The fields of a document, in the order in which they are written.
pub(super) static FIELDS: [Field; 16] = [
    Field::ReplicationMin,
    Field::ReplicationMax,
    Field::Name,
    Field::Mode,
    Field::ShardSize,
    Field::UserAllocations,
    Field::ExpireAt,
    Field::Metadata,
    Field::PinUpdate,
    Field::Origins,
    Field::Cid,
    Field::Type,
    Field::Allocations,
    Field::MaxDepth,
    Field::Reference,
    Field::Timestamp,
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    ReplicationMin,
    ReplicationMax,
    Name,
    Mode,
    ShardSize,
    UserAllocations,
    ExpireAt,
    Metadata,
    PinUpdate,
    Origins,
    Cid,
    Type,
    Allocations,
    MaxDepth,
    Reference,
    Timestamp,
}

impl Field {
    /// The key as it is written.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::ReplicationMin => "replication_factor_min",
            Self::ReplicationMax => "replication_factor_max",
            Self::Name => "name",
            Self::Mode => "mode",
            Self::ShardSize => "shard_size",
            Self::UserAllocations => "user_allocations",
            Self::ExpireAt => "expire_at",
            Self::Metadata => "metadata",
            Self::PinUpdate => "pin_update",
            Self::Origins => "origins",
            Self::Cid => "cid",
            Self::Type => "type",
            Self::Allocations => "allocations",
            Self::MaxDepth => "max_depth",
            Self::Reference => "reference",
            Self::Timestamp => "timestamp",
        }
    }

    /// The field of a key, which Go compares without regard to case, by Unicode's simple
    /// folding. Of the letters beyond ASCII two fold into it: the long s and the kelvin.
    pub(super) fn of_key(key: &str) -> Option<Self> {
        let folded = key
            .chars()
            .map(|letter| match letter {
                '\u{17f}' => 's',
                '\u{212a}' => 'k',
                other => other.to_ascii_lowercase(),
            })
            .collect::<String>();
        FIELDS.into_iter().find(|field| field.name() == folded)
    }
}

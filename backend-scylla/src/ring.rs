//! Who has which part of the ring, for scans.
//!
//! Rows come in the order of their tokens, the 64-bit hashes of their keys. A ring is cut
//! into pieces, each on its own replicas: by the nodes' tokens, or by tablets where
//! ScyllaDB keeps them. Tokens are `i64::MIN + 1` to `i64::MAX`; the lowest number means
//! "no bound" to servers and is never sent.

use std::sync::Arc;

use scylla::cluster::ClusterState;
use scylla::routing::Token;
use scylla::routing::partitioner::{Murmur3Partitioner, Partitioner};
use uuid::Uuid;

/// The first token that there is.
pub(crate) const FIRST: i64 = i64::MIN + 1;
/// The last token that there is.
pub(crate) const LAST: i64 = i64::MAX;

/// The token of a key: what servers compute for a table whose key is this one column.
pub(crate) fn token_of(key: &[u8]) -> i64 {
    Murmur3Partitioner.hash_one(key).value()
}

/// Consecutive tokens on the same replicas.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Piece {
    /// Its last token.
    pub(crate) last: i64,
    /// The nodes that have it, the near ones where it is known which are near.
    pub(crate) owners: Arc<[Uuid]>,
}

/// The ring in pieces, in order; the last one ends with the last token.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Ring {
    pieces: Vec<Piece>,
}

impl Ring {
    /// A ring of these pieces. Neighbours on the same replicas become one, and what comes
    /// behind the last of them belongs to the owners of the first, as on a ring.
    pub(crate) fn new(pieces: impl IntoIterator<Item = (i64, Vec<Uuid>)>) -> Self {
        let mut sorted: Vec<(i64, Vec<Uuid>)> = pieces.into_iter().collect();
        sorted.sort_by_key(|(last, _)| *last);
        let behind = sorted.first().map(|(_, owners)| owners.clone()).unwrap_or_default();
        if sorted.last().is_none_or(|(last, _)| *last != LAST) {
            sorted.push((LAST, behind));
        }
        let mut pieces: Vec<Piece> = Vec::new();
        for (last, owners) in sorted {
            match pieces.last_mut() {
                Some(before) if same(&before.owners, &owners) => before.last = last,
                _ => pieces.push(Piece { last, owners: owners.into() }),
            }
        }
        Self { pieces }
    }

    /// The ring of a keyspace without tablets.
    pub(crate) fn of_nodes(
        cluster: &ClusterState,
        keyspace: &str,
        table: &str,
        near: Option<&str>,
    ) -> Self {
        let tokens = cluster.replica_locator().ring().iter().map(|(token, _)| token.value());
        Self::new(tokens.map(|token| {
            let replicas = cluster.get_token_endpoints(keyspace, table, Token::new(token));
            let is_near = |dc: &Option<String>| near.is_none_or(|near| dc.as_deref() == Some(near));
            let owners = replicas.iter().filter(|(node, _)| is_near(&node.datacenter));
            (token, owners.map(|(node, _)| node.host_id).collect())
        }))
    }

    /// The piece that has a token.
    pub(crate) fn piece(&self, token: i64) -> Option<&Piece> {
        self.pieces.get(self.pieces.partition_point(|piece| piece.last < token))
    }

    /// The last token of what should be read in one go from `from` on, which is about
    /// `width` tokens: at most up to where other replicas begin, unless the pieces are so
    /// small that this would only make many little requests.
    pub(crate) fn cut(&self, from: i64, width: u64) -> i64 {
        let wanted = from.saturating_add_unsigned(width);
        let Some(piece) = self.piece(from) else { return LAST };
        if wanted <= piece.last {
            return wanted;
        }
        if from.abs_diff(piece.last) >= width / 4 {
            return piece.last;
        }
        self.piece(wanted).map_or(LAST, |piece| piece.last.min(wanted))
    }
}

fn same(one: &[Uuid], two: &[Uuid]) -> bool {
    one.len() == two.len() && one.iter().all(|id| two.contains(id))
}

/// At most `n` parts of like size: `(first, last)` of each.
pub(crate) fn parts(n: usize) -> Vec<(i64, i64)> {
    /// More would only be a long list.
    const MOST: usize = 1 << 16;
    let n = n.clamp(1, MOST) as u128;
    let bound = |i: u128| {
        // In the middle of 128 bits there is room for the product.
        let offset = (u128::from(u64::MAX) * i) / n;
        FIRST.saturating_add_unsigned(u64::try_from(offset).unwrap_or(u64::MAX))
    };
    (0..n).map(|i| (bound(i), if i + 1 == n { LAST } else { bound(i + 1) - 1 })).collect()
}

/// Bytes that sort as tokens do.
pub(crate) fn encode(token: i64) -> [u8; 8] {
    token.cast_unsigned().wrapping_sub(i64::MIN.cast_unsigned()).to_be_bytes()
}

/// A token and what follows it, out of the bytes of a cursor or a bound.
pub(crate) fn decode(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let (token, rest) = bytes.split_first_chunk::<8>()?;
    let token = u64::from_be_bytes(*token).wrapping_add(i64::MIN.cast_unsigned()).cast_signed();
    Some((token, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_those_of_the_servers() {
        // Seen as token(cid) in Cassandra 5.0.6.
        for (key, token) in
            [(&b"a"[..], -8_839_064_797_231_613_815), (&b"test"[..], -6_017_608_668_500_074_083)]
        {
            assert_eq!(token_of(key), token, "{key:?}");
        }
    }

    #[test]
    fn bytes_sort_as_tokens_do() {
        let tokens = [i64::MIN, FIRST, -1, 0, 1, LAST];
        for pair in tokens.windows(2) {
            assert!(encode(pair[0]) < encode(pair[1]), "{pair:?}");
        }
        for token in tokens {
            let bytes = [&encode(token)[..], b"key"].concat();
            assert_eq!(decode(&bytes), Some((token, &b"key"[..])));
        }
        assert_eq!(decode(b"1234567"), None);
    }

    #[test]
    fn parts_cover_everything_and_are_of_one_size() {
        for n in [0, 1, 2, 3, 7, 1_000, usize::MAX] {
            let parts = parts(n);
            assert_eq!(parts.len(), n.clamp(1, 1 << 16));
            assert_eq!((parts[0].0, parts[parts.len() - 1].1), (FIRST, LAST));
            for pair in parts.windows(2) {
                assert_eq!(pair[0].1 + 1, pair[1].0);
            }
            let sizes = parts.iter().map(|(first, last)| first.abs_diff(*last));
            let (min, max) = (sizes.clone().min().unwrap(), sizes.max().unwrap());
            assert!(max - min <= 1, "{n}: {min} to {max}");
        }
    }

    #[test]
    fn a_ring_joins_neighbours_and_wraps() {
        let [a, b, c] = [1, 2, 3].map(Uuid::from_u128);
        let ring = Ring::new([(100, vec![a, b]), (-100, vec![a, b]), (200, vec![b, c])]);
        let owners = |token| ring.piece(token).map(|piece| (piece.last, piece.owners.to_vec()));
        assert_eq!(ring.pieces.len(), 3);
        assert_eq!(owners(FIRST), Some((100, vec![a, b])));
        assert_eq!(owners(100), Some((100, vec![a, b])));
        assert_eq!(owners(101), Some((200, vec![b, c])));
        // Behind the last node's token the ring begins anew.
        assert_eq!(owners(201), Some((LAST, vec![a, b])));
        // The same replicas in another order are the same.
        assert_eq!(Ring::new([(0, vec![a, b]), (1, vec![b, a])]).pieces.len(), 1);
        assert_eq!(Ring::new([]).piece(0).map(|piece| piece.last), Some(LAST));
    }

    #[test]
    fn cuts_keep_to_one_piece_where_it_is_worth_it() {
        let [a, b] = [1, 2].map(Uuid::from_u128);
        let ring = Ring::new([(0, vec![a]), (1_000, vec![b]), (1_010, vec![a]), (1_020, vec![b])]);
        assert_eq!(ring.cut(100, 300), 400);
        assert_eq!(ring.cut(100, 2_000), 1_000, "the next piece has other replicas");
        assert_eq!(ring.cut(1_001, 500), 1_501, "small pieces are read together");
        assert_eq!(ring.cut(5_000, u64::MAX), LAST);
        assert_eq!(ring.cut(FIRST, u64::MAX), 0);
    }
}

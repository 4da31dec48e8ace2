//! Many questions asked at once: some answer is extraordinary by chance.
//!
//! S. Holm, *A Simple Sequentially Rejective Multiple Test Procedure*, Scandinavian Journal of
//! Statistics 6(2), 1979. The least of `m` p is taken `m` times, the next one `m - 1` times, and
//! so on; none comes out below one that was less. It holds however the questions hang together,
//! and p50 and p99 do.

/// Each `p`, corrected, in the order they came.
pub(super) fn corrected(ps: &[f64]) -> Vec<f64> {
    let mut order: Vec<(usize, f64)> = ps.iter().copied().enumerate().collect();
    order.sort_by(|(_, left), (_, right)| left.total_cmp(right));
    let mut corrected = vec![1.0; ps.len()];
    let mut floor: f64 = 0.0;
    for (rank, (at, p)) in order.into_iter().enumerate() {
        floor = floor.max(p * (ps.len() - rank) as f64).min(1.0);
        if let Some(place) = corrected.get_mut(at) {
            *place = floor;
        }
    }
    corrected
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_close(ps: &[f64], expected: &[f64]) {
        let got = corrected(ps);
        assert_eq!(got.len(), expected.len());
        assert!(got.iter().zip(expected).all(|(got, p)| (got - p).abs() < 1e-12), "{got:?}");
    }

    #[test]
    fn by_hand() {
        // 0.005 x 4, 0.01 x 3, then 0.03 x 2, and 0.04 x 1 which may not be less than that.
        assert_close(&[0.01, 0.04, 0.03, 0.005], &[0.03, 0.06, 0.06, 0.02]);
        assert_close(&[0.02], &[0.02]);
        assert_close(&[0.6, 0.5], &[1.0, 1.0]);
        assert_close(&[0.02, 0.02], &[0.04, 0.04]);
        assert_close(&[], &[]);
    }
}

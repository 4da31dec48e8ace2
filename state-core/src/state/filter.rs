//! Which pins a list shows.

use globset::{Glob, GlobMatcher};

use crate::error::{Error, ErrorKind, Operation, Result};
use crate::pin::{PeerId, PinType, PinView, UnixSeconds};

/// Conditions that a listed pin meets, all of them. Equal to filtering the full list by
/// hand: nothing is looked up elsewhere.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct PinFilter {
    /// Bits of the types to show ([`PinType::bit`]); 0 for all.
    types: u64,
    name: Option<GlobMatcher>,
    allocation: Option<PeerId>,
    expired: Option<(bool, UnixSeconds)>,
}

impl PinFilter {
    /// Every pin.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Pins of this type; called again, of either.
    #[must_use]
    pub fn with_type(mut self, pin_type: PinType) -> Self {
        self.types |= pin_type.bit();
        self
    }

    /// Pins whose name matches a pattern: `*`, `?`, `[a-z]`, `{a,b}`; `\` escapes.
    ///
    /// # Errors
    /// `InvalidInput` for a pattern that is none.
    pub fn with_name(mut self, pattern: &str) -> Result<Self> {
        let glob = Glob::new(pattern).map_err(|error| {
            Error::new(
                ErrorKind::InvalidInput,
                Operation::List,
                format!("'{}' is no name pattern", pattern.escape_debug()),
            )
            .with_source(error)
        })?;
        self.name = Some(glob.compile_matcher());
        Ok(self)
    }

    /// Pins allocated to this peer.
    #[must_use]
    pub fn with_allocation(mut self, peer: PeerId) -> Self {
        self.allocation = Some(peer);
        self
    }

    /// Pins that have (or have not) expired at a moment. A pin without expiry has not.
    #[must_use]
    pub fn with_expired(mut self, expired: bool, now: UnixSeconds) -> Self {
        self.expired = Some((expired, now));
        self
    }

    /// Whether every pin is shown.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.types == 0
            && self.name.is_none()
            && self.allocation.is_none()
            && self.expired.is_none()
    }

    /// Whether a pin is shown.
    #[must_use]
    pub fn matches(&self, pin: &PinView<'_>) -> bool {
        (self.types == 0 || self.types & pin.pin_type().bit() != 0)
            && self.name.as_ref().is_none_or(|glob| glob.is_match(pin.name()))
            && self
                .allocation
                .as_ref()
                .is_none_or(|peer| pin.allocations().any(|held| held == peer.as_bytes()))
            && self.expired.is_none_or(|(expired, now)| {
                pin.expire_at().is_some_and(|end| end <= now) == expired
            })
    }
}

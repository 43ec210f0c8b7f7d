//! What travels through the tree: a cancellation on its way to whoever takes it.

use super::tree::NodeKey;

/// One request to end, on its way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Delivery {
    /// Who asked: the task's root for `cancel()`, else the deadline or group that made it. It decides
    /// what the delivery becomes when it gets there.
    pub(crate) origin: NodeKey,
    /// The offer it was taken from.
    pub(crate) offer: u64,
    /// The step in which it was taken.
    pub(crate) step: u64,
    /// When it was asked for, as the serial number that came next; or when it was taken, if whoever took it was not there
    /// before.
    pub(crate) asked: u64,
}

/// A delivery that came from inside and waits for the cleanups below.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Raised {
    pub(crate) delivery: Delivery,
    /// Whether code pends for ever until this arrives. If so it must arrive, whatever other branches
    /// do with the re-offers; if not, whoever next takes something below decides about it, too.
    pub(crate) persists: bool,
}

/// An offer is made while polling, never a choice made beforehand: the first node that is polled, lives,
/// has no live node below and was born before the offer takes it.
#[derive(Debug)]
pub(crate) struct Offer {
    pub(crate) origin: NodeKey,
    pub(crate) id: u64,
    /// For a re-offer, the offer that what was raised was taken from. It may still be open, and who takes
    /// this one is served for that one, too.
    pub(crate) first: Option<u64>,
    /// Only nodes born before this serial may take it.
    pub(crate) born: u64,
    pub(crate) step: u64,
    /// When it was asked for: the serial number that came next.
    pub(crate) asked: u64,
    /// A re-offer of something raised: running cleanups are not asked.
    pub(crate) again: bool,
    pub(crate) extensions: u8,
    /// A node was born while it was open.
    pub(crate) saw_new: bool,
    /// Somebody took it.
    pub(crate) took: bool,
    /// Somebody took it since it was last extended.
    pub(crate) took_now: bool,
    /// The task was woken while it was open (beside the flag on the task itself).
    pub(crate) woken: bool,
}

/// Steps beyond the first for which an offer stays open without anybody taking it.
pub(crate) const EXTENSIONS: u8 = 2;

impl Offer {
    /// An offer that is asked for now, and that only nodes born before now may take; `id` is a new serial number.
    pub(crate) fn new(origin: NodeKey, id: u64, step: u64) -> Self {
        Self {
            origin,
            id,
            first: None,
            born: id,
            step,
            asked: id,
            again: false,
            extensions: 0,
            saw_new: false,
            took: false,
            took_now: false,
            woken: false,
        }
    }

    /// A re-offer of something raised. It has a number of its own: a scope in which somebody took the
    /// first offer is asked again, since what does not take this one is dropped.
    pub(crate) fn again(delivery: &Delivery, id: u64, step: u64) -> Self {
        let offer = Self::new(delivery.origin, id, step);
        Self { first: Some(delivery.offer), again: true, extensions: EXTENSIONS, ..offer }
    }
}

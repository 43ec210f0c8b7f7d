//! What a queue says of itself: plain numbers of one moment, and peaks since the queue was made.

/// What [`BaseQueue::stats`](super::BaseQueue::stats) says. Who has been called and has not run yet waits no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueStats {
    /// Items in the queue.
    pub size: usize,
    /// The most that were ever in it.
    pub peak_size: usize,
    /// Items that were put and not reported as done.
    pub unfinished: usize,
    /// How many wait for an item.
    pub getters: usize,
    /// The most who ever waited for an item at the same time.
    pub peak_getters: usize,
    /// How many wait for room.
    pub putters: usize,
    /// The most who ever waited for room at the same time.
    pub peak_putters: usize,
    /// How many wait until all is done.
    pub joiners: usize,
}

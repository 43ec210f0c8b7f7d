//! What can be seen of a channel.

/// A channel at one moment.
///
/// # Examples
/// ```
/// use evloop::channel::thread;
///
/// let (sender, mut receiver) = thread::channel(10);
/// sender.try_send('a').unwrap();
/// sender.try_send('b').unwrap();
/// receiver.try_recv().unwrap();
/// let stats = sender.stats();
/// assert_eq!((stats.sent, stats.received, stats.len), (2, 1, 1));
/// assert_eq!((stats.senders, stats.waiting_senders), (1, 0));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// How many items may wait to be received; `None`: any number.
    pub capacity: Option<usize>,
    /// Items that wait to be received.
    pub len: usize,
    /// Items sent so far.
    pub sent: u64,
    /// Items received so far.
    pub received: u64,
    /// Senders that exist.
    pub senders: usize,
    /// Sends that wait for room.
    pub waiting_senders: usize,
    /// Whether the receiver waits for an item.
    pub receiver_waits: bool,
}

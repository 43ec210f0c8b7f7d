//! What a channel tells about itself.

/// How a channel is doing; see [`Sender::stats`](super::Sender::stats).
///
/// # Examples
/// ```
/// use evloop::channel::mpsc;
///
/// evloop::run(async {
///     let (sender, mut receiver) = mpsc::channel(10);
///     sender.send(1).await.unwrap();
///     sender.send(2).await.unwrap();
///     receiver.recv().await.unwrap();
///     assert_eq!((receiver.stats().len, receiver.stats().peak), (1, 2));
/// });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// How many values are in the channel.
    pub len: usize,
    /// How many there were at most, since the channel was made.
    pub peak: usize,
    /// How many senders there are.
    pub senders: usize,
    /// How many tasks wait in `send` or `reserve` and have not been called yet.
    pub waiting_senders: usize,
    /// Does a task wait in `recv`?
    pub receiver_waits: bool,
}

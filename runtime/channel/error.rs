//! What can go wrong with a channel. An error that refuses a value contains it.
//!
//! `Debug` asks nothing of the value, so that `send(value).await.unwrap()` compiles for every `T`.

use std::error::Error;
use std::fmt;

/// Nobody will ever receive: the receiver is gone, or has closed the channel. Contains the value that was not sent.
///
/// # asyncio
/// `asyncio.QueueShutDown`, on the side of `put`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SendError<T = ()>(pub T);

impl<T> SendError<T> {
    /// The value that was not sent.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SendError(..)")
    }
}

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NO_RECEIVER)
    }
}

impl<T> Error for SendError<T> {}

/// Why a value was not sent at once, with the value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum TrySendError<T = ()> {
    /// There is no room for it now, or others are ahead in the line. `asyncio.QueueFull`.
    Full(T),
    /// Nobody will ever receive it. `asyncio.QueueShutDown`.
    Closed(T),
}

impl<T> TrySendError<T> {
    /// The value that was not sent.
    pub fn into_inner(self) -> T {
        match self {
            TrySendError::Full(value) | TrySendError::Closed(value) => value,
        }
    }
}

impl<T> fmt::Debug for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TrySendError::Full(_) => "Full(..)",
            TrySendError::Closed(_) => "Closed(..)",
        })
    }
}

impl<T> fmt::Display for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TrySendError::Full(_) => "the channel is full: await send() to wait for a slot",
            TrySendError::Closed(_) => NO_RECEIVER,
        })
    }
}

impl<T> Error for TrySendError<T> {}

/// All senders are gone, and there is nothing more to receive.
///
/// # asyncio
/// `asyncio.QueueShutDown`, on the side of `get`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecvError;

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NO_SENDER)
    }
}

impl Error for RecvError {}

/// Why nothing was received at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryRecvError {
    /// There is nothing now. `asyncio.QueueEmpty`.
    Empty,
    /// There is nothing and nothing will come. `asyncio.QueueShutDown`.
    Closed,
}

impl fmt::Display for TryRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TryRecvError::Empty => "nothing was sent yet: await to wait for it",
            TryRecvError::Closed => NO_SENDER,
        })
    }
}

impl Error for TryRecvError {}

const NO_RECEIVER: &str = "nobody will receive it: the channel was closed, or its receivers are gone";
pub(super) const NO_SENDER: &str = "nothing more will come: the channel was closed, or its senders are gone";

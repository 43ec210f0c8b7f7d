//! What can go wrong with a queue. An error that refuses an item contains it.
//!
//! `Debug` asks nothing of the item, so that `put(item).await.unwrap()` compiles for every `T`.

use std::error::Error;
use std::fmt;

/// The queue was shut down. From `put` it contains the item that was not put.
///
/// # asyncio
/// `asyncio.QueueShutDown`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct QueueShutDown<T = ()>(pub T);

impl<T> fmt::Debug for QueueShutDown<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("QueueShutDown(..)")
    }
}

impl<T> fmt::Display for QueueShutDown<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SHUT_DOWN)
    }
}

impl<T> Error for QueueShutDown<T> {}

/// Why `put_nowait` failed, with the item that was not put.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum PutNowaitError<T> {
    /// The queue holds `maxsize` items. `asyncio.QueueFull`.
    QueueFull(T),
    /// The queue was shut down. `asyncio.QueueShutDown`.
    QueueShutDown(T),
}

impl<T> PutNowaitError<T> {
    /// The item that was not put.
    pub fn into_item(self) -> T {
        match self {
            PutNowaitError::QueueFull(item) | PutNowaitError::QueueShutDown(item) => item,
        }
    }
}

impl<T> fmt::Debug for PutNowaitError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PutNowaitError::QueueFull(_) => "QueueFull(..)",
            PutNowaitError::QueueShutDown(_) => "QueueShutDown(..)",
        })
    }
}

impl<T> fmt::Display for PutNowaitError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PutNowaitError::QueueFull(_) => "the queue is full: await put() to wait for room",
            PutNowaitError::QueueShutDown(_) => SHUT_DOWN,
        })
    }
}

impl<T> Error for PutNowaitError<T> {}

/// Why `get_nowait` failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GetNowaitError {
    /// There is no item now. `asyncio.QueueEmpty`.
    QueueEmpty,
    /// There is no item and none will come. `asyncio.QueueShutDown`.
    QueueShutDown,
}

impl fmt::Display for GetNowaitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            GetNowaitError::QueueEmpty => "the queue is empty: await get() to wait for an item",
            GetNowaitError::QueueShutDown => SHUT_DOWN,
        })
    }
}

impl Error for GetNowaitError {}

const SHUT_DOWN: &str = "the queue was shut down: treat this as the end of the work";

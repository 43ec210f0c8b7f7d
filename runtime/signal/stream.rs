//! Signals, awaited.

use std::cell::Cell;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use futures_core::Stream;
use futures_core::stream::FusedStream;

use super::kind::Signal;
use super::loop_signals::LoopSignals;
use crate::kernel::{LoopHandle, guarded, probe};

/// A stream's place among the loop's listeners.
#[derive(Default)]
pub(super) struct Waiting {
    arrived: Cell<bool>,
    waker: Cell<Option<Waker>>,
}

impl Waiting {
    /// A signal has come, or the loop has ended.
    pub(super) fn arrive(&self) {
        self.arrived.set(true);
        if let Some(waker) = self.waker.take() {
            guarded("a waker panicked", || waker.wake());
        }
    }
}

/// The signals of one kind that come from now on. Made by [`signal`].
///
/// Those that come while nobody waits are remembered as one. It belongs to the loop it was made in, and is neither
/// `Send` nor `Sync`. With `futures_core::Stream`, which ends with the loop.
pub struct Signals {
    signal: Signal,
    signals: Rc<LoopSignals>,
    waiting: Rc<Waiting>,
    /// It was told that the loop has ended.
    has_heard: bool,
}

/// Listens to a kind of signal, from this call on and until the stream is dropped.
///
/// # Errors
/// Off any loop; what the system says: no descriptors are left for the pipe.
///
/// # asyncio
/// `loop.add_signal_handler(sig, event.set)`.
///
/// # Examples
/// ```
/// use evloop::signal::{Signal, signal};
///
/// evloop::run(async {
///     let mut ends = signal(Signal::SIGTERM)?;
///     rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM)?;
///     ends.recv().await;
///     println!("asked to end");
/// #   Ok::<(), std::io::Error>(())
/// })
/// # .unwrap();
/// ```
pub fn signal(kind: Signal) -> io::Result<Signals> {
    let handle = LoopHandle::current().ok_or_else(|| {
        io::Error::other("there is no running event loop to hear signals: call this inside of evloop::run")
    })?;
    let signals = LoopSignals::of(&handle, std::process::id())?;
    let waiting = signals.add_stream(kind)?;
    Ok(Signals { signal: kind, signals, waiting, has_heard: false })
}

/// Waits for the next Ctrl-C, or whatever else sends SIGINT.
///
/// It counts from the first poll on. While somebody waits here, Ctrl-C does not end the process, nor does it cancel
/// the main task of a [`Runner`](crate::Runner); afterwards it does again. So a program that stops in an orderly way
/// after the first can still be made to stop by two more.
///
/// # Errors
/// As [`signal`].
///
/// # Cancel safety
/// Safe.
///
/// # asyncio
/// `loop.add_signal_handler(SIGINT, …)`.
///
/// # Examples
/// ```no_run
/// #[evloop::main]
/// async fn main() -> std::io::Result<()> {
///     evloop::ctrl_c().await?;
///     println!("good bye");
///     Ok(())
/// }
/// ```
pub async fn ctrl_c() -> io::Result<()> {
    signal(Signal::SIGINT)?.recv().await;
    Ok(())
}

impl Signals {
    /// Waits for the next signal; returns at once if one has come since the last call.
    ///
    /// # Panics
    /// If the loop has ended in which the stream was made.
    ///
    /// # Cancel safety
    /// Safe: a signal that has come is there for the next call.
    #[track_caller]
    pub fn recv(&mut self) -> impl Future<Output = ()> + '_ {
        let location = std::panic::Location::caller();
        poll_fn(move |cx| {
            self.poll_recv(cx).map(|heard| {
                assert!(
                    heard.is_some(),
                    "the event loop in which this stream of signals was made has ended; make the stream in the loop \
                     that awaits it (recv() called at {location})"
                );
            })
        })
    }

    /// As [`recv`](Self::recv), for futures written by hand; `None` once the loop has ended.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<()>> {
        if self.signals.is_over() {
            self.has_heard = true;
            return Poll::Ready(None);
        }
        if self.waiting.arrived.replace(false) {
            return Poll::Ready(Some(()));
        }
        let former = self.waiting.waker.replace(Some(cx.waker().clone()));
        drop(former);
        probe::waits_for(|| format!("signal {:?}", self.signal).into());
        Poll::Pending
    }

    /// Which signal.
    #[must_use]
    pub fn signal(&self) -> Signal {
        self.signal
    }
}

impl Stream for Signals {
    type Item = ();

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<()>> {
        self.poll_recv(cx)
    }
}

/// Terminated once it has ended, which it does with its loop.
impl FusedStream for Signals {
    fn is_terminated(&self) -> bool {
        self.has_heard
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.signals.remove_stream(&self.waiting);
    }
}

impl fmt::Debug for Signals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signals").field("signal", &self.signal).finish_non_exhaustive()
    }
}

//! The runtimes, made once and kept: their memory is warm, as in a program that has been running.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use evloop::EventLoop;
use tokio::runtime::Runtime;
use tokio::task::LocalSet;

/// evloop, tokio's current_thread runtime, and the same with a `LocalSet` for tasks that are not `Send`.
///
/// tokio gets a timer and no I/O driver: with one, each of its looks outside is a system call, as each of
/// evloop's is. Its event interval is the default, 61 polls, next to evloop's 64.
pub(crate) struct Sides {
    evloop: EventLoop,
    tokio: Runtime,
    set: LocalSet,
}

impl Sides {
    pub(crate) fn new() -> Self {
        Self {
            evloop: EventLoop::new().expect("a poller"),
            tokio: tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime"),
            set: LocalSet::new(),
        }
    }

    /// Runs a measurement as a task of evloop.
    pub(crate) fn evloop<T>(&mut self, body: impl Future<Output = T>) -> T {
        self.evloop.run_until_complete(body).expect("the loop runs to the end")
    }

    /// Runs a measurement as a spawned task of tokio: the future given to `block_on` is served more
    /// slowly, by way of the driver.
    pub(crate) fn tokio<T: Send + 'static>(&mut self, body: impl Future<Output = T> + Send + 'static) -> T {
        self.tokio.block_on(async { tokio::spawn(body).await.expect("the task ends") })
    }

    /// Runs a measurement as a task of a `LocalSet`.
    pub(crate) fn local<T: 'static>(&mut self, body: impl Future<Output = T> + 'static) -> T {
        self.tokio.block_on(
            self.set.run_until(async { tokio::task::spawn_local(body).await.expect("the task ends") }),
        )
    }
}

/// A yield that wakes its task and is pending once: tokio's quickest. Its `yield_now` defers the wake until
/// the driver was asked, which is dear where a task is alone.
pub(crate) struct OwnWake(bool);

pub(crate) fn own_wake() -> OwnWake {
    OwnWake(false)
}

impl Future for OwnWake {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.0 {
            return Poll::Ready(());
        }
        self.0 = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Long enough never to come.
pub(crate) const FAR: Duration = Duration::from_secs(30);

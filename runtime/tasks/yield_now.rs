//! Letting others run.

use std::pin::Pin;
use std::task::{Context, Poll};

/// The future of [`yield_now`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct YieldNow(bool);

/// Lets everything that is ready run once before going on: the task goes to the end of the FIFO.
///
/// # Cancel safety
/// Safe.
///
/// # asyncio
/// `asyncio.sleep(0)`.
///
/// # Examples
/// ```
/// use std::{cell::Cell, rc::Rc};
///
/// evloop::run(async {
///     let ran = Rc::new(Cell::new(false));
///     evloop::call_soon({
///         let ran = ran.clone();
///         move || ran.set(true)
///     });
///     evloop::yield_now().await;
///     assert!(ran.get());
/// });
/// ```
pub fn yield_now() -> YieldNow {
    YieldNow(false)
}

impl Future for YieldNow {
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

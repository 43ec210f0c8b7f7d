//! What the tests share: a log, a value that logs its end, a collector of reports, a promise one can fail.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

pub(crate) use evloop::testing::SaysWhenDropped as LogsItsDrop;
use evloop::testing::Trace;
use evloop::{Clock, EventLoop, get_running_loop};

/// A list of events that many can write to: a [`Trace`] in the words of these tests, with stamps where a test wants one.
#[derive(Clone, Default)]
pub(crate) struct Log(Trace);

impl Log {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn push(&self, event: impl Into<String>) {
        self.0.say(event.into());
    }

    /// With the number of the iteration before it, as asyncio's traces are written: `3:event`.
    pub(crate) fn push_at(&self, event: impl std::fmt::Display) {
        self.0.say(format_args!("{}:{event}", tick()));
    }

    /// What was logged since the last call.
    pub(crate) fn take(&self) -> Vec<String> {
        self.0.take()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A value that logs `name` when it is dropped.
    pub(crate) fn on_drop(&self, name: impl Into<String>) -> LogsItsDrop {
        self.0.says_when_dropped(name)
    }

    /// A callback that logs `name` when it is called.
    pub(crate) fn callback(&self, name: &'static str) -> impl FnOnce() + use<> {
        self.0.says(name)
    }
}

/// Runs a closure when it is dropped.
pub(crate) struct OnDrop<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> OnDrop<F> {
    pub(crate) fn new(f: F) -> Self {
        Self(Some(f))
    }
}

impl<F: FnOnce()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        if let Some(f) = self.0.take() {
            f();
        }
    }
}

/// A future that owns a value and never ends.
pub(crate) async fn forever_with<T>(owned: T) {
    std::future::pending::<()>().await;
    drop(owned);
}

/// The iteration that the running loop is in.
pub(crate) fn tick() -> u64 {
    get_running_loop().expect("inside of a loop").iterations()
}

/// A loop on the virtual clock, for tests that run it themselves.
pub(crate) fn virtual_loop() -> EventLoop {
    EventLoop::builder().clock(Clock::Virtual).build().expect("a poller")
}

/// From now on, what the running loop's exception handler is told.
pub(crate) fn reports() -> Log {
    reports_of(&get_running_loop().expect("inside of a loop"))
}

/// From now on, what a loop's exception handler is told.
pub(crate) fn reports_of(event_loop: &evloop::LoopHandle) -> Log {
    let log = Log::new();
    let sink = log.clone();
    event_loop.set_exception_handler(move |context| sink.push(context.panic_message()));
    log
}

/// Lets other threads get as far as they can: a loop falls asleep, a `join` blocks. Real time, of which no
/// assertion depends.
pub(crate) fn pause(time: std::time::Duration) {
    std::thread::sleep(time);
}

/// Yields `n` times.
pub(crate) async fn yields(n: usize) {
    for _ in 0..n {
        evloop::yield_now().await;
    }
}

/// What a panic carried, if it was a text.
pub(crate) fn text(payload: &(dyn std::any::Any + Send)) -> &str {
    match payload.downcast_ref::<String>() {
        Some(text) => text,
        None => payload.downcast_ref::<&'static str>().copied().unwrap_or("not a text"),
    }
}

/// The text of the panic that `f` must end with.
pub(crate) fn panic_of<R>(f: impl FnOnce() -> R) -> String {
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)) {
        Ok(_) => panic!("it did not panic"),
        Err(payload) => text(&*payload).to_owned(),
    }
}

/// Polls a future by hand: the test is its executor for a moment.
pub(crate) fn poll_once<F: Future + Unpin>(future: &mut F, cx: &mut Context<'_>) -> Poll<F::Output> {
    Pin::new(future).poll(cx)
}

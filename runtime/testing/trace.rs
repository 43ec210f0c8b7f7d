//! Writing down what happens, in which order, and when.

use std::cell::RefCell;
use std::fmt::Display;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

use pin_project_lite::pin_project;

use crate::tasks::get_running_loop;
use crate::time::now;

/// A list of events that many can write to: its clones are one list.
///
/// # Examples
/// ```
/// use evloop::{create_task, finally, sleep, testing::Trace, time::secs, yield_now};
///
/// // As in a test with #[evloop::test].
/// #[evloop::main(clock = "virtual")]
/// async fn main() {
///     let trace = Trace::with_times();
///     let task = create_task({
///         let trace = trace.clone();
///         let body = trace.watch("body", sleep(secs(60)));
///         finally(body, async move {
///             sleep(secs(1)).await;
///             trace.say("clean");
///         })
///     });
///     yield_now().await;
///     task.cancel();
///     assert!(task.await.is_err());
///     trace.say("on");
///     assert_eq!(trace.take(), ["0ns:body: first poll", "0ns:body: dropped", "1s:clean", "1s:on"]);
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Trace {
    events: Rc<RefCell<Vec<String>>>,
    stamp: Stamp,
}

/// What stands before each event.
#[derive(Clone, Copy, Debug)]
enum Stamp {
    Nothing,
    /// The number of the loop's iteration, less this.
    Tick(u64),
    /// The time since then.
    Time(Instant),
}

impl Trace {
    /// A trace of events alone: `"event"`.
    #[must_use]
    pub fn new() -> Self {
        Self::stamped(Stamp::Nothing)
    }

    /// A trace of events with the time that had passed since now: `"5s:event"`.
    #[must_use]
    pub fn with_times() -> Self {
        Self::stamped(Stamp::Time(now()))
    }

    /// A trace of events with the number of the loop's iteration, the present one being 1: `"3:event"`. Outside of
    /// a loop, 1 is the first one.
    #[must_use]
    pub fn with_ticks() -> Self {
        Self::stamped(Stamp::Tick(iteration().saturating_sub(1)))
    }

    fn stamped(stamp: Stamp) -> Self {
        Self { events: Rc::default(), stamp }
    }

    /// Writes an event down.
    pub fn say(&self, event: impl Display) {
        let line = match self.stamp {
            Stamp::Nothing => event.to_string(),
            Stamp::Tick(before) => format!("{}:{event}", iteration().saturating_sub(before)),
            Stamp::Time(start) => format!("{:?}:{event}", now().saturating_duration_since(start)),
        };
        self.events.borrow_mut().push(line);
    }

    /// A callback that writes an event down.
    #[must_use = "it says nothing before it is called"]
    pub fn says<E: Display + 'static>(&self, event: E) -> impl FnOnce() + use<E> {
        let trace = self.clone();
        move || trace.say(event)
    }

    /// A value that writes an event down when it is dropped.
    pub fn says_when_dropped(&self, event: impl Into<String>) -> SaysWhenDropped {
        SaysWhenDropped { trace: self.clone(), event: event.into() }
    }

    /// Wraps a future: `"name: first poll"`, `"name: ready"`, or `"name: dropped"` if it is dropped before it is
    /// ready.
    ///
    /// # Cancel safety
    /// As the content.
    pub fn watch<F: IntoFuture>(&self, name: impl Into<String>, future: F) -> Watched<F::IntoFuture> {
        let record = Record { trace: self.clone(), name: name.into(), state: State::New };
        Watched { content: Some(future.into_future()), record }
    }

    /// What was written down since the last call.
    #[must_use]
    pub fn take(&self) -> Vec<String> {
        self.events.take()
    }

    /// Whether nothing was written down since the last [`take`](Self::take).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.borrow().is_empty()
    }
}

impl Default for Trace {
    fn default() -> Self {
        Self::new()
    }
}

/// The iteration that the loop is in, 0 outside of any.
fn iteration() -> u64 {
    get_running_loop().map_or(0, |event_loop| event_loop.iterations())
}

/// What [`Trace::says_when_dropped`] makes.
#[derive(Debug)]
#[must_use = "it is dropped at once unless it is kept"]
pub struct SaysWhenDropped {
    trace: Trace,
    event: String,
}

impl Drop for SaysWhenDropped {
    fn drop(&mut self) {
        self.trace.say(&self.event);
    }
}

pin_project! {
    /// The future of [`Trace::watch`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless awaited"]
    pub struct Watched<F> {
        // Gone when it was ready. It goes before the record speaks: what it says itself comes first.
        #[pin]
        content: Option<F>,
        record: Record,
    }
}

#[derive(Debug)]
struct Record {
    trace: Trace,
    name: String,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    New,
    Polled,
    Ready,
}

impl Record {
    fn reach(&mut self, state: State, event: &str) {
        self.state = state;
        self.trace.say(format_args!("{}: {event}", self.name));
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if self.state != State::Ready {
            self.reach(State::Ready, "dropped");
        }
    }
}

impl<F: Future> Future for Watched<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        if this.record.state == State::New {
            this.record.reach(State::Polled, "first poll");
        }
        let mut content =
            this.content.as_mut().as_pin_mut().expect("a watched future was polled after it was ready");
        let polled = content.as_mut().poll(cx);
        if polled.is_ready() {
            this.content.set(None);
            this.record.reach(State::Ready, "ready");
        }
        polled
    }
}

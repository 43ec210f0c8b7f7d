//! Tasks in the order in which they end.
//!
//! ```text
//! done callbacks ──► the first in line, or if nobody waits: ended [4, 0] ──► next()
//! the timer ───────► all in line
//! ```
//! Whoever waits stands in one line. An end that is heard is given to the first in it right away: he is woken
//! and finds it when he comes, whoever else asks meanwhile. If he is dropped before, he passes it on. There
//! are never more in line than ends are still to be heard: who comes in addition hears that there is nothing
//! for him.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_core::Stream;
use futures_core::stream::FusedStream;

use super::watch::Watch;
use super::{IntoTask, call_later};
use crate::kernel::{Task, TaskRef, TimerHandle, WaitKey, WaitList, guarded};
use crate::time::TimeoutError;

/// What the callbacks and those who wait have in common.
struct Shared {
    /// Tasks that have ended and that nobody was given yet, in order.
    ended: RefCell<VecDeque<usize>>,
    /// How many ends are still to be heard.
    running: Cell<usize>,
    line: WaitList<Waiter>,
    /// The time is over: no further ends are heard.
    expired: Cell<bool>,
    /// Somebody was told so.
    told: Cell<bool>,
    timer: RefCell<Option<TimerHandle>>,
}

/// What there is for somebody who asks.
#[derive(Clone, Copy)]
enum Answer {
    Ended(usize),
    TimeIsOver,
    Nothing,
}

/// Where somebody who waits finds his answer.
type Answered = Rc<Cell<Option<Answer>>>;

struct Waiter {
    waker: Waker,
    answer: Answered,
}

/// A place in line, or none.
#[derive(Default)]
struct Waiting(Option<(WaitKey, Answered)>);

impl Shared {
    /// A task has ended.
    fn hear(&self, index: usize) {
        if self.expired.get() {
            return;
        }
        self.running.set(self.running.get() - 1);
        if self.running.get() == 0 {
            self.stop_timer();
        }
        if !self.give_first(Answer::Ended(index)) {
            self.ended.borrow_mut().push_back(index);
        }
    }

    fn expire(&self) {
        self.expired.set(true);
        // Nobody joins any more.
        while self.give_first(Answer::TimeIsOver) {}
    }

    fn stop_timer(&self) {
        let timer = self.timer.borrow_mut().take();
        if let Some(timer) = timer {
            timer.cancel();
        }
    }

    /// Answers the first in line. False if nobody waits.
    fn give_first(&self, answer: Answer) -> bool {
        let Some(first) = self.line.pop_front() else { return false };
        first.answer.set(Some(answer));
        // One waker that panics must not keep the others in line from their answers.
        guarded("a waker panicked", || first.waker.wake());
        true
    }

    /// How many tasks there are to hand out, besides those that somebody was given.
    fn left(&self) -> usize {
        let running = if self.expired.get() { 0 } else { self.running.get() };
        running + self.ended.borrow().len()
    }

    fn poll(&self, waiting: &mut Waiting, waker: &Waker) -> Poll<Answer> {
        if let Some((key, answer)) = &waiting.0 {
            let Some(answer) = answer.take() else {
                let fresh = || Waiter { waker: waker.clone(), answer: answer.clone() };
                self.line.refresh_with(*key, |waiter| waiter.waker.will_wake(waker), fresh);
                return Poll::Pending;
            };
            waiting.0 = None;
            if matches!(answer, Answer::TimeIsOver) {
                self.told.set(true);
            }
            return Poll::Ready(answer);
        }
        let ended = self.ended.borrow_mut().pop_front();
        if let Some(index) = ended {
            return Poll::Ready(Answer::Ended(index));
        }
        if self.expired.get() {
            let first = !self.told.replace(true);
            return Poll::Ready(if first { Answer::TimeIsOver } else { Answer::Nothing });
        }
        if self.line.len() >= self.running.get() {
            return Poll::Ready(Answer::Nothing);
        }
        let answer = Answered::default();
        let key = self.line.push(Waiter { waker: waker.clone(), answer: answer.clone() });
        waiting.0 = Some((key, answer));
        Poll::Pending
    }

    /// Somebody does not wait any more.
    fn leave(&self, waiting: &mut Waiting) {
        let Some((key, answer)) = waiting.0.take() else { return };
        self.line.remove(key);
        if let Some(Answer::Ended(index)) = answer.take()
            && !self.give_first(Answer::Ended(index))
        {
            // It has ended before all that are there.
            self.ended.borrow_mut().push_front(index);
        }
    }
}

/// The tasks, and what was heard of them.
struct Completions<T> {
    tasks: RefCell<Vec<Option<Task<T>>>>,
    shared: Rc<Shared>,
    /// The place in line of this as a stream.
    stream: RefCell<Waiting>,
    /// As a stream it has ended.
    has_ended: bool,
    watch: Watch,
}

impl<T> Completions<T> {
    fn new(tasks: Vec<Task<T>>) -> Self {
        let shared = Rc::new(Shared {
            ended: RefCell::default(),
            running: Cell::new(tasks.len()),
            line: WaitList::of("as_completed"),
            expired: Cell::new(false),
            told: Cell::new(false),
            timer: RefCell::new(None),
        });
        let hears = shared.clone();
        // Those that are not handed out are detached.
        tasks.iter().for_each(|task| task.is_heard_of());
        let refs = tasks.iter().map(Task::task_ref).collect();
        let watch = Watch::new(refs, move |index, _: &TaskRef| hears.hear(index));
        let tasks = RefCell::new(tasks.into_iter().map(Some).collect());
        Self { tasks, shared, stream: RefCell::default(), has_ended: false, watch }
    }

    /// What awaiting gives: a task, or that the time is over.
    fn found(&self, answer: Answer) -> Option<Result<Task<T>, TimeoutError>> {
        match answer {
            Answer::Ended(index) => self.tasks.borrow_mut()[index].take().map(Ok),
            Answer::TimeIsOver => Some(Err(TimeoutError)),
            Answer::Nothing => None,
        }
    }

    fn poll_stream(&mut self, cx: &Context<'_>) -> Poll<Option<Result<Task<T>, TimeoutError>>> {
        let answer = self.shared.poll(self.stream.get_mut(), cx.waker());
        answer.map(|answer| {
            let found = self.found(answer);
            // For good: nobody else waits, since that would borrow this.
            self.has_ended |= found.is_none();
            found
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let shared = &self.shared;
        let given = self.stream.borrow().0.as_ref().and_then(|(_, answer)| answer.get());
        let left = shared.left() + usize::from(matches!(given, Some(Answer::Ended(_))));
        if shared.expired.get() {
            let all = left + usize::from(!shared.told.get());
            return (all, Some(all));
        }
        match *shared.timer.borrow() {
            None => (left, Some(left)),
            // What has ended; the rest, or less of it and the error.
            Some(_) => (left - shared.running.get() + 1, Some(left)),
        }
    }
}

impl<T> Drop for Completions<T> {
    fn drop(&mut self) {
        self.watch.stop();
        self.shared.stop_timer();
        // Nobody waits in line but the stream, which is this.
        self.shared.leave(self.stream.get_mut());
    }
}

/// Tasks in the order in which they end: what [`as_completed`] returns.
///
/// Dropping it detaches those that were not handed out; they run on.
#[must_use = "the tasks run; ask for the next one that ends"]
pub struct AsCompleted<T> {
    completions: Completions<T>,
}

/// Tasks in the order in which they end, for a time: what [`AsCompleted::timeout`] returns.
///
/// Dropping it detaches those that were not handed out; they run on.
#[must_use = "the tasks run; ask for the next one that ends"]
pub struct AsCompletedTimeout<T> {
    completions: Completions<T>,
}

/// Starts what is no task yet, and hands each task back when it has ended, in the order in which they do.
///
/// What was given as a task comes back as that very task, a future as the task it has become. Each is
/// finished: awaiting it does not suspend.
///
/// # Panics
/// Outside of a loop, if a future is to be started.
///
/// # asyncio
/// `asyncio.as_completed(aws)`, iterated over with `async for`. Its `timeout` is a method here:
/// [`AsCompleted::timeout`].
///
/// # Examples
/// ```
/// use evloop::{as_completed, sleep, time::millis};
///
/// evloop::run(async {
///     let completed = as_completed([30, 10, 20].map(|n| async move { sleep(millis(n)).await; n }));
///     let mut order = Vec::new();
///     while let Some(task) = completed.next().await {
///         order.push(task.await.unwrap());
///     }
///     assert_eq!(order, [10, 20, 30]);
/// });
/// ```
/// It is a [`Stream`], too:
/// ```
/// use evloop::{TaskError, as_completed};
/// use futures::{StreamExt, TryStreamExt};
///
/// evloop::run(async {
///     let completed = as_completed((1..4).map(|n| async move { n * n }));
///     let squares: Result<Vec<u32>, TaskError> = completed.then(IntoFuture::into_future).try_collect().await;
///     assert_eq!(squares.unwrap(), [1, 4, 9]);
/// });
/// ```
#[doc(alias = "FuturesUnordered")]
#[track_caller]
pub fn as_completed<I, T>(children: I) -> AsCompleted<T>
where
    I: IntoIterator<Item: IntoTask<Output = T>>,
{
    let mut tasks = Vec::new();
    // A loop rather than `map`: the tasks' place of creation is the caller's.
    for child in children {
        tasks.push(child.into_task());
    }
    AsCompleted { completions: Completions::new(tasks) }
}

impl<T> AsCompleted<T> {
    /// The next task that has ended; `None` when all were handed out, or there is none left besides those that
    /// other calls wait for.
    ///
    /// It does not suspend while there are ended tasks. Several calls may wait at once: they are served in
    /// the order in which they began to wait.
    ///
    /// # Cancel safety
    /// Safe. A task that was to be handed to the dropped call goes to the next one.
    ///
    /// # asyncio
    /// `await anext(iterator)`.
    ///
    /// # Examples
    /// ```
    /// use evloop::{as_completed, time::secs, wait_for};
    ///
    /// evloop::run(async {
    ///     let completed = as_completed([async { "soon" }]);
    ///     let task = completed.next().await.expect("one");
    ///     assert_eq!(task.await.unwrap(), "soon");
    ///     assert!(completed.next().await.is_none());
    /// });
    /// ```
    pub async fn next(&self) -> Option<Task<T>> {
        // Without a timer there is no timeout.
        Next::new(&self.completions).await.and_then(Result::ok)
    }

    /// Sets a limit to the whole, counted from now: once it is over, the next answer is an error and then
    /// there are no more. Tasks that have not ended by then are not cancelled.
    ///
    /// # Panics
    /// Outside of a loop.
    ///
    /// # asyncio
    /// `asyncio.as_completed(aws, timeout=…)`.
    ///
    /// # Examples
    /// ```
    /// use evloop::{as_completed, sleep, time::{millis, secs}};
    ///
    /// evloop::run(async {
    ///     let sleeps = [secs(3600), millis(1)].map(sleep);
    ///     let completed = as_completed(sleeps).timeout(millis(20));
    ///     assert!(completed.next().await.unwrap().is_ok());
    ///     assert!(completed.next().await.unwrap().is_err());
    ///     assert!(completed.next().await.is_none());
    /// });
    /// ```
    #[track_caller]
    pub fn timeout(self, timeout: Duration) -> AsCompletedTimeout<T> {
        let shared = &self.completions.shared;
        if shared.running.get() > 0 {
            let expires = shared.clone();
            let timer = call_later(timeout, move || expires.expire());
            shared.timer.replace(Some(timer));
        }
        AsCompletedTimeout { completions: self.completions }
    }
}

impl<T> AsCompletedTimeout<T> {
    /// As [`AsCompleted::next`], as long as there is time.
    ///
    /// When the time is over, tasks that have ended before are still handed out. Then all calls that wait
    /// get the error, or else the next call; after that it is `None`.
    ///
    /// # Errors
    /// [`TimeoutError`] when the time is over and tasks are left.
    ///
    /// # Cancel safety
    /// Safe. A task that was to be handed to the dropped call goes to the next one.
    ///
    /// # asyncio
    /// `await anext(iterator)`, which fails once for each task left; its `async for` ends at the first.
    pub async fn next(&self) -> Option<Result<Task<T>, TimeoutError>> {
        Next::new(&self.completions).await
    }
}

impl<T> Stream for AsCompleted<T> {
    type Item = Task<T>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Task<T>>> {
        self.completions.poll_stream(cx).map(|found| found.and_then(Result::ok))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.completions.size_hint()
    }
}

/// Terminated once it has ended as a stream.
impl<T> FusedStream for AsCompleted<T> {
    fn is_terminated(&self) -> bool {
        self.completions.has_ended
    }
}

/// Terminated once it has ended as a stream: after the error, if there is one.
impl<T> FusedStream for AsCompletedTimeout<T> {
    fn is_terminated(&self) -> bool {
        self.completions.has_ended
    }
}

impl<T> Stream for AsCompletedTimeout<T> {
    type Item = Result<Task<T>, TimeoutError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.completions.poll_stream(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.completions.size_hint()
    }
}

/// One call that waits.
struct Next<'a, T> {
    completions: &'a Completions<T>,
    waiting: Waiting,
}

impl<'a, T> Next<'a, T> {
    fn new(completions: &'a Completions<T>) -> Self {
        // Who asks by a call does not poll the stream: its place in line would be in the way.
        let mut stream = completions.stream.take();
        completions.shared.leave(&mut stream);
        Self { completions, waiting: Waiting::default() }
    }
}

impl<T> Future for Next<'_, T> {
    type Output = Option<Result<Task<T>, TimeoutError>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let completions = self.completions;
        completions.shared.poll(&mut self.waiting, cx.waker()).map(|answer| completions.found(answer))
    }
}

impl<T> Drop for Next<'_, T> {
    fn drop(&mut self) {
        self.completions.shared.leave(&mut self.waiting);
    }
}

impl<T> fmt::Debug for AsCompleted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsCompleted").field("tasks", &self.completions.watch).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for AsCompletedTimeout<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsCompletedTimeout").field("tasks", &self.completions.watch).finish_non_exhaustive()
    }
}

//! Waiting for tasks without taking part in what becomes of them.
//!
//! A [`Wait`] hears of its tasks' ends through done callbacks and wakes up when its mode says so, or when
//! its timer calls. Which tasks are done is looked at only then: whoever has ended by that time counts.
//! It is no scope: it owns nothing that would have to be cancelled.

use std::collections::HashSet;
use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::call_at;
use super::watch::News;
use crate::kernel::{Task, TaskRef, TimerHandle, far_from};
use crate::time::now;

/// [`wait`] until all tasks have ended.
///
/// # asyncio
/// `asyncio.ALL_COMPLETED`.
#[derive(Clone, Copy, Debug)]
pub struct AllCompleted;

/// [`wait`] until a task has ended, however it has.
///
/// # asyncio
/// `asyncio.FIRST_COMPLETED`.
#[derive(Clone, Copy, Debug)]
pub struct FirstCompleted;

/// [`wait`] until a task has returned `Err` or panicked, or all have ended. A cancelled task is not what
/// it waits for.
///
/// It is for tasks whose output is a `Result`. One that has ended well or whose output was taken counts as
/// one without an error. For other tasks, and for a [`TaskRef`], which does not know the output, take
/// [`FirstPanic`].
///
/// # asyncio
/// `asyncio.FIRST_EXCEPTION`.
#[derive(Clone, Copy, Debug)]
pub struct FirstException;

/// [`wait`] until a task has panicked, or all have ended.
///
/// # asyncio
/// `asyncio.FIRST_EXCEPTION`, for tasks that do not return a `Result`.
#[derive(Clone, Copy, Debug)]
pub struct FirstPanic;

/// When [`wait`] returns: [`AllCompleted`], [`FirstCompleted`], [`FirstException`] or [`FirstPanic`].
pub trait ReturnWhen<Member> {
    #[doc(hidden)]
    /// Whether a task's end may end the waiting, as far as can be told without its type.
    fn may_end(task: &TaskRef) -> bool;
    #[doc(hidden)]
    /// Whether the end of this task, which has ended, ends the waiting.
    fn ends(member: &Member) -> bool;
}

/// A task whose output is a `Result`, owned or borrowed; an implementation detail of [`FirstException`].
#[diagnostic::on_unimplemented(
    message = "`FirstException` needs tasks whose output is a `Result`",
    note = "`FirstPanic` takes any tasks, and any `TaskRef`"
)]
pub trait MayFail {
    #[doc(hidden)]
    fn has_failed(&self) -> bool;
}

impl<T, E> MayFail for Task<Result<T, E>> {
    fn has_failed(&self) -> bool {
        // The result of a task that panicked is not looked at: a panic that is seen here is still one that
        // nobody has taken notice of.
        has_panicked(self) || (!self.failed() && matches!(self.result(), Some(Ok(Err(_)))))
    }
}

impl<M: MayFail> MayFail for &M {
    fn has_failed(&self) -> bool {
        M::has_failed(self)
    }
}

impl<M: MayFail> MayFail for &mut M {
    fn has_failed(&self) -> bool {
        M::has_failed(self)
    }
}

fn has_panicked(task: &TaskRef) -> bool {
    task.failed() && !task.cancelled()
}

impl<Member> ReturnWhen<Member> for AllCompleted {
    fn may_end(_: &TaskRef) -> bool {
        false
    }

    fn ends(_: &Member) -> bool {
        false
    }
}

impl<Member> ReturnWhen<Member> for FirstCompleted {
    fn may_end(_: &TaskRef) -> bool {
        true
    }

    fn ends(_: &Member) -> bool {
        true
    }
}

impl<Member: MayFail> ReturnWhen<Member> for FirstException {
    fn may_end(task: &TaskRef) -> bool {
        !task.cancelled()
    }

    fn ends(member: &Member) -> bool {
        member.has_failed()
    }
}

impl<Member: AsRef<TaskRef>> ReturnWhen<Member> for FirstPanic {
    fn may_end(task: &TaskRef) -> bool {
        has_panicked(task)
    }

    fn ends(member: &Member) -> bool {
        has_panicked(member.as_ref())
    }
}

/// What [`wait`] has found: the tasks it was given, both parts in the order in which it was given them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waited<Member> {
    /// Those that have ended.
    pub done: Vec<Member>,
    /// Those that have not.
    pub pending: Vec<Member>,
}

/// The future of [`wait`]; `M` says when it is ready.
#[must_use = "futures do nothing unless awaited"]
pub struct Wait<Member, M> {
    members: Vec<Member>,
    deadline: Option<Instant>,
    /// Since the first poll.
    listening: Option<Listening>,
    mode: PhantomData<fn() -> M>,
}

struct Listening {
    news: News,
    timer: Option<TimerHandle>,
}

impl Drop for Listening {
    fn drop(&mut self) {
        if let Some(timer) = &self.timer {
            timer.cancel();
        }
    }
}

/// Waits until tasks have ended, all or the first of them, but no longer than `timeout` (counted from this
/// call), and says which have.
///
/// `tasks` are any number of `&Task`, `&mut Task`, `TaskRef`, `&TaskRef`, or tasks by value, and are handed
/// back as they were given, in two parts; the same task given twice counts once. Nothing is cancelled, by
/// the timeout neither; no error is returned: how a task has ended is to be seen in its
/// [`result`](Task::result). What is in [`done`](Waited::done) is found out when the waiting task goes on,
/// so there may be several for [`FirstCompleted`].
///
/// # Panics
/// If there are no tasks, and when polled after it was ready. Outside of a loop, if there is a timeout.
///
/// # Cancel safety
/// Safe. A cancellation takes effect at once, and the tasks run on: keep them outside and give references,
/// since those given by value are detached with the future.
///
/// # asyncio
/// `asyncio.wait(tasks, timeout=…, return_when=…)`.
///
/// # Examples
/// ```
/// use evloop::{AllCompleted, FirstCompleted, Waited, create_task, sleep, time::millis, wait};
///
/// evloop::run(async {
///     let tasks = [30, 10, 20].map(|n| create_task(async move { sleep(millis(n)).await; n }));
///
///     let first = wait(&tasks, FirstCompleted, None).await;
///     assert_eq!(first.done[0].result().unwrap().unwrap(), &10);
///     assert_eq!(first.pending.len(), 2);
///
///     // By value, it gives the tasks back, to await them or to wait again.
///     let Waited { done, pending } = wait(tasks, AllCompleted, millis(1000)).await;
///     assert!(pending.is_empty());
///     for (task, n) in done.into_iter().zip([30, 10, 20]) {
///         assert_eq!(task.await.unwrap(), n);
///     }
/// });
/// ```
/// [`FirstException`] looks into the output, hence does not take tasks without a `Result`:
/// ```
/// let task = evloop::EventLoop::new().unwrap().handle().create_task(async { Ok::<u8, ()>(7) });
/// let _ = evloop::wait([&task], evloop::FirstException, None);
/// ```
/// ```compile_fail
/// let task = evloop::EventLoop::new().unwrap().handle().create_task(async { 7 });
/// let _ = evloop::wait([&task], evloop::FirstException, None);
/// ```
#[track_caller]
pub fn wait<I, M>(tasks: I, return_when: M, timeout: impl Into<Option<Duration>>) -> Wait<I::Item, M>
where
    I: IntoIterator<Item: AsRef<TaskRef>>,
    M: ReturnWhen<I::Item>,
{
    let _ = return_when; // its type says all
    let mut known = HashSet::new();
    let members: Vec<_> = tasks.into_iter().filter(|member| known.insert(member.as_ref().id())).collect();
    assert!(!members.is_empty(), "wait() was given no tasks: there is nothing to wait for");
    let deadline = timeout.into().map(|timeout| {
        let now = now();
        now.checked_add(timeout).unwrap_or_else(|| far_from(now))
    });
    Wait { members, deadline, listening: None, mode: PhantomData }
}

impl<Member: AsRef<TaskRef>, M: ReturnWhen<Member>> Wait<Member, M> {
    fn listen(&self) -> Listening {
        let tasks = self.members.iter().map(|member| member.as_ref().clone()).collect();
        let news = News::of(tasks, M::may_end);
        let timer = self.deadline.map(|deadline| call_at(deadline, news.bell()));
        Listening { news, timer }
    }
}

/// The members are never pinned.
impl<Member, M> Unpin for Wait<Member, M> {}

impl<Member: AsRef<TaskRef>, M: ReturnWhen<Member>> Future for Wait<Member, M> {
    type Output = Waited<Member>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Waited<Member>> {
        let this = &mut *self;
        assert!(!this.members.is_empty(), "a wait was polled after it was ready");
        let mut listening = this.listening.take().unwrap_or_else(|| this.listen());
        let news = &mut listening.news;
        let mut over = news.has_rung() || news.all_ended();
        while let Some(index) = news.next_ended() {
            over |= M::ends(&this.members[index]);
        }
        if !over {
            news.wake_later("wait for", cx);
            this.listening = Some(listening);
            return Poll::Pending;
        }
        drop(listening);
        let members = std::mem::take(&mut this.members).into_iter();
        let (done, pending) = members.partition(|member| member.as_ref().done());
        Poll::Ready(Waited { done, pending })
    }
}

impl<Member: AsRef<TaskRef>, M> fmt::Debug for Wait<Member, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tasks: Vec<_> = self.members.iter().map(AsRef::as_ref).collect();
        f.debug_struct("Wait").field("tasks", &tasks).field("deadline", &self.deadline).finish()
    }
}

//! What users hold of a task: [`Task`] owns its output, [`TaskRef`] only knows it.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::ops::Deref;
use std::panic::Location;
use std::sync::Arc;

use super::awaiting::{NOWHERE, push_waiter, remove_waiter};
use super::current::{captured_context, drop_context, run_guarded_in};
use super::error::TaskError;
use super::header::{Header, TaskPtr};
use super::state::{CANCEL, CANCELLED, CONTEXT, DONE, FAILED, HEARD_OF, JOIN, OUTPUT, UNSEEN_PANIC};
use super::waiters::Waiter;
use super::{callback::Callback, raw, step};
use crate::kernel::context::{Home, LoopRef, Visit, with_current};
use crate::kernel::debug::{DebugReport, TaskInfo};
use crate::kernel::variables::Context;

/// A task, known but not owned: its name, its state, and the way to cancel it.
///
/// Cheap to clone; it keeps a small header alive, never the task's future or output.
///
/// # asyncio
/// The part of `asyncio.Task` that does not need the type of its result.
pub struct TaskRef {
    pub(super) task: TaskPtr,
    not_send: PhantomData<*const ()>,
}

/// Names a callback added by [`TaskRef::add_done_callback`], to remove it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallbackId {
    /// Numbers of different tasks look alike; an id must not remove a stranger's callback.
    task: u64,
    place: u64,
}

impl TaskRef {
    /// A counted reference.
    ///
    /// # Safety
    /// The task is alive and this is its thread.
    pub(super) unsafe fn of(task: TaskPtr) -> Self {
        // SAFETY: alive, at home.
        unsafe { task.state() }.clone_at_home();
        Self { task, not_send: PhantomData }
    }

    pub(super) fn header(&self) -> &Header {
        // SAFETY: this is a counted reference.
        unsafe { self.task.header() }
    }

    /// A number that no other task of this process has. Later tasks of a loop have larger ones.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.header().id
    }

    /// The task's name: what was set, else `Task-` and its number.
    ///
    /// # asyncio
    /// `task.get_name()`.
    #[must_use]
    pub fn name(&self) -> Arc<str> {
        let set = self.header().attached.side_if_any(|side| side.name.clone()).flatten();
        set.unwrap_or_else(|| format!("Task-{}", self.id()).into())
    }

    /// Gives the task a name.
    ///
    /// # asyncio
    /// `task.set_name(name)`.
    pub fn set_name(&self, name: impl Into<Arc<str>>) {
        let name = name.into();
        self.header().attached.side(|side| side.name = Some(name));
    }

    /// Whether the task has ended: with a value, by cancellation or by a panic.
    #[must_use]
    pub fn done(&self) -> bool {
        self.header().state.has(DONE)
    }

    /// Whether the task has ended by cancellation. A request alone does not count.
    #[must_use]
    pub fn cancelled(&self) -> bool {
        self.header().state.has(CANCELLED)
    }

    /// Whether the task has ended without a value: by cancellation or by a panic.
    pub(crate) fn failed(&self) -> bool {
        self.header().state.has(FAILED)
    }

    /// Asks the task to end; returns `false` if it has ended already.
    ///
    /// Nothing happens inside this call: at its next step the task is offered the request, and the
    /// innermost [`catch_cancel`](crate::catch_cancel), [`on_cancel`](crate::on_cancel),
    /// [`wait_for`](crate::wait_for), awaited task or [`gather`](crate::gather()) that it is suspended in
    /// takes it. If there is none, the task's future is dropped and the task ends cancelled. A task that
    /// has not run yet never runs.
    ///
    /// # asyncio
    /// `task.cancel()`. Each call counts ([`cancelling`](Self::cancelling)); several calls before the next
    /// step are one delivery, and so are those of one moment to the task and to somebody who awaits it.
    ///
    /// # Examples
    /// ```
    /// use evloop::time::secs;
    ///
    /// evloop::run(async {
    ///     let task = evloop::create_task(evloop::sleep(secs(3600)));
    ///     evloop::yield_now().await;
    ///     assert!(task.cancel());
    ///     assert!(!task.done(), "asked, not ended");
    ///     let task_ref = task.task_ref();
    ///     assert!(task.await.unwrap_err().is_cancelled());
    ///     assert!(task_ref.cancelled());
    ///     assert!(!task_ref.cancel());
    /// });
    /// ```
    pub fn cancel(&self) -> bool {
        self.request_cancel(None)
    }

    /// As [`cancel`](Self::cancel), with a message for [`CancelledError`](crate::CancelledError). The last
    /// message given wins.
    ///
    /// # asyncio
    /// `task.cancel(msg)`.
    pub fn cancel_with(&self, message: impl Into<Arc<str>>) -> bool {
        self.request_cancel(Some(message.into()))
    }

    /// Says why the task, whose step runs, is about to end as cancelled without having been asked to.
    pub(crate) fn ends_because(&self, message: impl Into<Arc<str>>) {
        let message = message.into();
        let former = self.header().attached.side(|side| side.message.replace(message));
        drop(former);
    }

    /// How many times the task was asked to end, less [`uncancel`](Self::uncancel) calls. Deliveries by
    /// deadlines or groups do not count.
    ///
    /// # asyncio
    /// `task.cancelling()`.
    #[must_use]
    pub fn cancelling(&self) -> u32 {
        self.header().attached.side_if_any(|side| side.cancelling).unwrap_or(0)
    }

    /// Takes one request back and returns how many are left. At zero, a request that was not delivered
    /// yet is withdrawn. After the task's end it changes nothing that can be observed.
    ///
    /// # asyncio
    /// `task.uncancel()`.
    pub fn uncancel(&self) -> u32 {
        let left = self.header().attached.side_if_any(|side| {
            side.cancelling = side.cancelling.saturating_sub(1);
            side.cancelling
        });
        let left = left.unwrap_or(0);
        if left == 0 {
            self.header().state.clear(CANCEL);
        }
        left
    }

    /// Calls `f` once the task has ended, one tick later, in order of registration among those who await
    /// the task. If it has ended already, `f` is scheduled now. A loop that ends drops `f` uncalled. It sees
    /// the [context variables](crate::ContextVar) as they are at this call.
    ///
    /// # asyncio
    /// `task.add_done_callback(f)`.
    pub fn add_done_callback(&self, f: impl FnOnce(&TaskRef) + 'static) -> CallbackId {
        if self.done() {
            let this = self.clone();
            // SAFETY: a counted reference, at home.
            let loop_ref = unsafe { self.task.loop_ref() };
            let callback = Callback::new(move || f(&this)).within(captured_context());
            loop_ref.with(|home| {
                if !home.closing.get() {
                    callback.schedule(home);
                    home.ring_if_idle(loop_ref.cell().shared());
                }
            });
            return CallbackId { task: self.id(), place: NOWHERE };
        }
        let callback = Waiter::Callback(Box::new(f), captured_context());
        let place = push_waiter(self.header(), callback);
        CallbackId { task: self.id(), place }
    }

    /// Removes a callback that was not scheduled yet; says whether there was one.
    ///
    /// # asyncio
    /// `task.remove_done_callback(f)`, which compares functions; here each registration has its id.
    pub fn remove_done_callback(&self, id: CallbackId) -> bool {
        id.task == self.id() && remove_waiter(self.header(), id.place).is_some()
    }

    /// Where the task was created, while it is unfinished.
    #[must_use]
    pub fn location(&self) -> Option<&'static Location<'static>> {
        if self.done() {
            return None;
        }
        // SAFETY: a counted reference, at home.
        let loop_ref = unsafe { self.task.loop_ref() };
        let place = self.header().live.get() as usize;
        loop_ref.with(|home| home.live.borrow().get(place).map(|live| live.location)).flatten()
    }

    /// Says that somebody hears of the task's end, whatever becomes of its handle.
    #[inline]
    pub(crate) fn is_heard_of(&self) {
        self.header().state.set(HEARD_OF);
    }

    /// Tells, in debug mode, that nobody will hear of the end of a task that still runs and whose handle is dropped.
    fn is_let_go(&self) {
        // SAFETY: a counted reference.
        let current = unsafe { self.task.block() }.home_if_current();
        if current.is_some_and(|home| !home.debug.is_on()) {
            return;
        }
        // SAFETY: as above, at home.
        let loop_ref = unsafe { self.task.loop_ref() };
        loop_ref.with(|home| {
            if home.debug.is_on() && !home.closing.get() && !self.is_known_about() {
                home.debug.tell(&DebugReport::NeverAwaited { task: self.info() });
            }
        });
    }

    /// Whether somebody has asked it to end, or will be told of its end.
    fn is_known_about(&self) -> bool {
        let header = self.header();
        if header.state.has(HEARD_OF) {
            return true;
        }
        let is_known = header.attached.side_if_any(|side| {
            side.cancelling > 0 || side.waiters.as_ref().is_some_and(|waiters| !waiters.is_empty())
        });
        header.attached.joiner().is_some() || is_known == Some(true)
    }

    /// Which task this is, for a report.
    pub(crate) fn info(&self) -> TaskInfo {
        let name = self.header().attached.side_if_any(|side| side.name.clone()).flatten();
        TaskInfo { id: self.id(), name, location: self.location() }
    }

    /// The context that the task's steps run in: not a copy, so what is set in it is seen by the task. `None`
    /// once the task has ended and its [`Task`] is gone.
    ///
    /// # asyncio
    /// `task.get_context()`.
    #[must_use]
    pub fn context(&self) -> Option<Context> {
        if self.done() { self.header().context() } else { Some(self.header().context_made()) }
    }

    /// The task's context, if anything was ever set in it or it was given one.
    pub(crate) fn context_if_any(&self) -> Option<Context> {
        self.header().context()
    }

    /// Whether this task is the one whose step runs.
    pub(crate) fn is_current(&self) -> bool {
        // SAFETY: a counted reference.
        unsafe { self.task.block() }.home_if_current().is_some_and(|home| self.task.is_current(home))
    }
}

impl Clone for TaskRef {
    fn clone(&self) -> Self {
        // SAFETY: this is a counted reference, at home, where a `TaskRef` always is.
        unsafe { Self::of(self.task) }
    }
}

impl Drop for TaskRef {
    fn drop(&mut self) {
        // SAFETY: this is one reference, counted at home, where a `TaskRef` always is.
        unsafe { self.task.release_at_home() };
    }
}

impl AsRef<TaskRef> for TaskRef {
    fn as_ref(&self) -> &TaskRef {
        self
    }
}

impl PartialEq for TaskRef {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id()
    }
}

impl Eq for TaskRef {}

impl Hash for TaskRef {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id().hash(state);
    }
}

impl fmt::Debug for TaskRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match (self.done(), self.cancelled(), self.cancelling()) {
            (true, true, _) => "cancelled",
            (true, false, _) => "finished",
            (false, _, 0) => "pending",
            (false, _, _) => "cancelling",
        };
        let mut f = f.debug_struct("Task");
        f.field("name", &self.name()).field("state", &state);
        if let Some(location) = self.location() {
            f.field("created_at", &format_args!("{location}"));
        }
        f.finish()
    }
}

/// A running or finished task, and the right to its output.
///
/// Await it for the output: `task.await` gives `Result<T, TaskError>`. Dropping it detaches the task,
/// which runs on; a panic that nobody can see any more is reported to the exception handler. It derefs to
/// [`TaskRef`], which has the rest of the methods.
///
/// A `Task` is [`IntoFuture`] rather than a future itself, so that [`gather`](crate::gather()) can tell tasks
/// from futures; where a combinator wants a future, give it `task.join()` (or `task.into_future()`).
///
/// # asyncio
/// `asyncio.Task`.
///
/// # Examples
/// ```
/// evloop::run(async {
///     let task = evloop::create_task(async { 6 * 7 });
///     assert_eq!(task.await.unwrap(), 42);
/// });
/// ```
#[must_use = "a dropped task runs on, detached; await it, or say so with `detach()`"]
pub struct Task<T> {
    task: TaskRef,
    output: PhantomData<T>,
}

impl<T> Task<T> {
    /// The handle of a new task.
    ///
    /// # Safety
    /// This is its thread, `T` the output of its future, and the caller gives its reference away.
    pub(super) unsafe fn owning(task: TaskPtr) -> Self {
        Self { task: TaskRef { task, not_send: PhantomData }, output: PhantomData }
    }

    /// Lets the task run on by itself.
    pub fn detach(self) {
        // What the drop would do; it says that this is meant.
        self.task.header().state.clear(JOIN);
    }

    /// A reference that knows the task and does not own its output.
    #[must_use]
    pub fn task_ref(&self) -> TaskRef {
        self.task.clone()
    }

    /// The output, if the task has ended and nobody took it.
    ///
    /// # asyncio
    /// `task.result()` and `task.exception()`; `None` stands for `InvalidStateError`.
    #[must_use]
    pub fn result(&self) -> Option<Result<&T, &TaskError>> {
        let header = self.task.header();
        if !header.state.has(OUTPUT) {
            return None;
        }
        header.state.clear(UNSEEN_PANIC);
        let task = self.task.task;
        if header.state.has(FAILED) {
            // SAFETY: OUTPUT and FAILED say that there is an error, and it stays until it is taken, which needs
            // `&mut self` or `self`.
            return Some(Err(unsafe { raw::error_place(task).as_ref() }));
        }
        // SAFETY: the place of a `T`: `Task<T>` is only made for futures of output `T`. It stays as an error does.
        Some(Ok(unsafe { (task.vtable().output)(task).cast::<T>().as_ref() }))
    }

    /// Takes the output, if the task has ended and nobody took it before.
    #[must_use]
    pub fn take_result(&mut self) -> Option<Result<T, TaskError>> {
        let header = self.task.header();
        if !header.state.has(OUTPUT) {
            return None;
        }
        header.state.clear(OUTPUT | UNSEEN_PANIC);
        let task = self.task.task;
        if header.state.has(FAILED) {
            // SAFETY: as in `result`; read once, since OUTPUT is cleared.
            return Some(Err(*unsafe { raw::error_place(task).read() }));
        }
        // SAFETY: as above.
        Some(Ok(unsafe { (task.vtable().output)(task).cast::<T>().read() }))
    }
}

/// The output is in the task's own memory, never in the handle.
impl<T> Unpin for Task<T> {}

impl<T> Deref for Task<T> {
    type Target = TaskRef;

    fn deref(&self) -> &TaskRef {
        &self.task
    }
}

impl<T> AsRef<TaskRef> for Task<T> {
    fn as_ref(&self) -> &TaskRef {
        &self.task
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        let state = &self.task.header().state;
        if !state.has(DONE) && state.has(JOIN) {
            // First, since whoever is told of it may run the loop, up to the task's end.
            self.task.is_let_go();
        }
        if state.has(OUTPUT | CONTEXT) && state.has(DONE) {
            // Inside of the loop, also when its host drops this between turns: what happens in there is
            // told to the loop's own handler.
            // SAFETY: a counted reference, at home.
            let loop_ref = unsafe { self.task.task.loop_ref() };
            let _visit = Visit::new(&loop_ref);
            if state.has(OUTPUT) {
                // SAFETY: at home, and this handle owns the output.
                unsafe { step::drop_output(self.task.task) };
            }
            drop_context(self.task.header().take_context());
        }
        // From here on nobody owns the output: the task drops it at its end, if that is still to come.
        // The reference itself ends with the field.
        state.clear(JOIN);
    }
}

impl<T> fmt::Debug for Task<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.task.fmt(f)
    }
}

/// A task that borrows from its caller's frame: it ends no later than this guard.
pub(crate) struct BorrowedTask<'a, T> {
    task: Task<T>,
    loop_ref: LoopRef,
    borrowed: PhantomData<&'a ()>,
}

impl<'a, T> BorrowedTask<'a, T> {
    /// Starts it, in a context if that is not to be an empty one. The guard must be dropped, not forgotten: it
    /// stays in this crate's own frames.
    pub(crate) fn spawn<F: Future<Output = T> + 'a>(
        loop_ref: &LoopRef,
        home: &Home,
        future: F,
        location: &'static Location<'static>,
        context: Option<Context>,
    ) -> Self {
        // SAFETY: the guard drops future and output; only the header can outlive it. Others reach the task
        // by `TaskRef` and wakers alone, which touch neither.
        let task = unsafe { raw::make(loop_ref, home, future, location) };
        // SAFETY: new, in no list; the state begins with QUEUED, the list's claim.
        unsafe { home.ready.push(task.entry()) };
        // SAFETY: the output's type is `T`, and a new task has the reference of a `Task`.
        let task = unsafe { Task::owning(task) };
        if let Some(context) = context {
            task.header().set_context(context);
        }
        Self { task, loop_ref: loop_ref.clone(), borrowed: PhantomData }
    }

    pub(crate) fn task_ref(&self) -> &TaskRef {
        &self.task
    }

    pub(crate) fn take_result(&mut self) -> Option<Result<T, TaskError>> {
        self.task.take_result()
    }
}

impl<T> Drop for BorrowedTask<'_, T> {
    fn drop(&mut self) {
        if !self.task.done() {
            let _entered = self.loop_ref.enter();
            self.loop_ref.with(|home| end(&self.task, home));
        }
    }
}

/// Ends an unfinished task as cancelled, outside of its step.
pub(super) fn end(task: &TaskRef, home: &Home) {
    debug_assert!(!task.is_current(), "a loop ended in the middle of a step");
    if !task.done() {
        // SAFETY: a counted reference, at home, unfinished, not being polled: a step runs inside of a turn
        // only, which borrows the `EventLoop`, while this is called when that is dropped, or from the frame
        // that makes the turns, between them. (To leave the task alone in doubt would be no way out: what a
        // borrowed main borrows ends now.)
        let ended = || unsafe {
            step::end_cancelled(task.task);
            step::finish(task.task, home);
        };
        let context = task.header().context();
        run_guarded_in(context.as_ref(), ended);
        drop_context(context);
    }
}

/// Ends all unfinished tasks of a loop, in order of creation: their futures are dropped.
pub(crate) fn close_all(home: &Home) {
    loop {
        let tasks = live_tasks(home);
        if tasks.is_empty() {
            return;
        }
        for task in &tasks {
            end(task, home);
        }
    }
}

/// The unfinished tasks of a loop, in order of creation.
pub(crate) fn live_tasks(home: &Home) -> Vec<TaskRef> {
    let mut tasks: Vec<TaskRef> = home
        .live
        .borrow()
        .iter()
        // SAFETY: the table holds entries of unfinished tasks only, which are alive; `&Home` is at home.
        .map(|(_, live)| unsafe { TaskRef::of(TaskPtr::from_entry(live.task)) })
        .collect();
    tasks.sort_unstable_by_key(TaskRef::id);
    tasks
}

/// The task whose step runs.
pub(crate) fn current_task(home: &Home) -> Option<TaskRef> {
    // SAFETY: `current_task` is set by `step::run` only, to the task whose step runs: it is unfinished, hence
    // alive, and `&Home` is at home.
    home.current_task.get().map(|entry| unsafe { TaskRef::of(TaskPtr::from_entry(entry)) })
}

/// The number of the task whose step runs; 0 outside of any. Without counting a reference, for those who only note it.
#[inline]
pub(crate) fn current_task_id() -> u64 {
    let id = with_current(|_, home| {
        // SAFETY: as in `current_task`.
        home.current_task.get().map_or(0, |entry| unsafe { TaskPtr::from_entry(entry).header() }.id)
    });
    id.unwrap_or(0)
}

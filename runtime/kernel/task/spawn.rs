//! The birth of a task: what it is given, and when it begins.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use super::current::{context_for_child, has_none_for_children};
use super::eager::step_at_once;
use super::handle::{Task, TaskRef, end};
use super::header::TaskPtr;
use super::raw;
use crate::kernel::context::{Home, LoopRef};
use crate::kernel::variables::Context;

/// A task that is to be started with a name, in a certain context, or at once.
///
/// [`spawn`](Self::spawn) starts it in the running loop; [`LoopHandle::create_task_with`](crate::LoopHandle::create_task_with)
/// in another one of this thread, and [`TaskGroup::create_task_with`](crate::TaskGroup::create_task_with) in a group.
///
/// # asyncio
/// The keyword arguments of `create_task`.
///
/// # Examples
/// ```
/// use evloop::Task;
///
/// evloop::run(async {
///     let task = Task::builder().name("answer").eager(true).spawn(async { 6 * 7 });
///     assert_eq!(&*task.name(), "answer");
///     assert!(task.done(), "it did not have to wait for anything");
///     assert_eq!(task.await.unwrap(), 42);
/// });
/// ```
#[derive(Clone, Default)]
#[must_use = "a builder starts nothing until it is given a future"]
pub struct TaskBuilder {
    name: Option<Arc<str>>,
    context: Option<Context>,
    eager: Option<bool>,
}

impl Task<()> {
    /// A task with settings, of any output: see [`TaskBuilder`].
    pub fn builder() -> TaskBuilder {
        TaskBuilder::default()
    }
}

impl TaskBuilder {
    /// The task's name, instead of `Task-` and its number.
    ///
    /// # asyncio
    /// `create_task(…, name=…)`.
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The context that the task's steps run in, instead of a copy of the creator's: this very one, so that what
    /// one of its tasks sets is seen by all.
    ///
    /// # asyncio
    /// `create_task(…, context=…)`.
    ///
    /// # Examples
    /// ```
    /// use evloop::{ContextVar, Task, copy_context};
    ///
    /// static TOTAL: ContextVar<u32> = ContextVar::new("total").with_default(|| 0);
    ///
    /// evloop::run(async {
    ///     let shared = copy_context();
    ///     for n in 1..=3 {
    ///         let add = async move { drop(TOTAL.set(TOTAL.get().unwrap() + n)) };
    ///         Task::builder().context(&shared).spawn(add).await.unwrap();
    ///     }
    ///     assert_eq!((shared.get(&TOTAL), TOTAL.get()), (Some(6), Some(0)));
    /// });
    /// ```
    pub fn context(mut self, context: &Context) -> Self {
        self.context = Some(context.clone());
        self
    }

    /// Whether the task has its first step inside of the call that creates it, instead of at the end of the FIFO;
    /// without this, what the loop was [built](crate::Builder::eager_tasks) with decides.
    ///
    /// That step is the new task's own: [`current_task`](crate::current_task) says so, and the creator's goes on
    /// afterwards. If it ends the task, the task is done when the call returns, and to await it takes no tick; its
    /// callbacks are called in the next iteration as always, and a panic stays in the task. Where no iteration is
    /// under way, before the loop runs, the task begins as any other.
    ///
    /// Each eager task that creates another one in its first step takes room on the stack below that one: some
    /// thousand of them inside of each other are too many.
    ///
    /// # asyncio
    /// `create_task(…, eager_start=…)`.
    pub fn eager(mut self, eager: bool) -> Self {
        self.eager = Some(eager);
        self
    }
}

impl fmt::Debug for TaskBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskBuilder")
            .field("name", &self.name)
            .field("context", &self.context)
            .field("eager", &self.eager)
            .finish()
    }
}

/// Starts a task in a loop.
#[inline]
pub(crate) fn spawn<F: Future + 'static>(
    loop_ref: &LoopRef,
    home: &Home,
    future: F,
    location: &'static Location<'static>,
) -> Task<F::Output> {
    // SAFETY: `'static`.
    let task = unsafe { raw::make(loop_ref, home, future, location) };
    if home.eager.get() || home.closing.get() || !has_none_for_children(home) {
        // SAFETY: new, at home.
        unsafe { begin(task, loop_ref, home, TaskBuilder::default()) };
    } else {
        // Nothing is to be looked at: nearly all tasks.
        // SAFETY: new, at home.
        unsafe { queue(task, loop_ref, home) };
    }
    // SAFETY: the output's type is that of the future, and a new task has the reference of a `Task`.
    unsafe { Task::owning(task) }
}

/// As [`spawn`], with settings.
pub(crate) fn spawn_with<F: Future + 'static>(
    loop_ref: &LoopRef,
    home: &Home,
    future: F,
    location: &'static Location<'static>,
    builder: TaskBuilder,
) -> Task<F::Output> {
    // SAFETY: `'static`.
    let task = unsafe { raw::make(loop_ref, home, future, location) };
    // SAFETY: new, at home.
    unsafe { begin(task, loop_ref, home, builder) };
    // SAFETY: as in `spawn`.
    unsafe { Task::owning(task) }
}

/// # Safety
/// New, at home.
#[inline]
unsafe fn queue(task: TaskPtr, loop_ref: &LoopRef, home: &Home) {
    // SAFETY: alive and in no list; the state begins with QUEUED, the list's claim.
    unsafe { home.ready.push(task.entry()) };
    home.ring_if_idle(loop_ref.cell().shared());
}

/// # Safety
/// New, at home.
#[inline(never)]
unsafe fn begin(task: TaskPtr, loop_ref: &LoopRef, home: &Home, builder: TaskBuilder) {
    let TaskBuilder { name, context, eager } = builder;
    // SAFETY: alive.
    let header = unsafe { task.header() };
    if name.is_some() {
        header.attached.side(|side| side.name = name);
    }
    if let Some(context) = context.or_else(context_for_child) {
        header.set_context(context);
    }
    let in_turn = home.turning.get() && !home.closing.get() && loop_ref.cell().is_current();
    if in_turn && eager.unwrap_or(home.eager.get()) {
        // SAFETY: new, at home, in a turn of its own loop.
        return unsafe { step_at_once(task, home) };
    }
    // SAFETY: new, at home.
    unsafe { queue(task, loop_ref, home) };
    if home.closing.get() {
        // SAFETY: alive, at home.
        end(&unsafe { TaskRef::of(task) }, home);
    }
}

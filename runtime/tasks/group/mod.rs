//! Task groups: tasks that end before the code that started them goes on.
//!
//! `supervise.rs` is the group's life, `members.rs` what it shares with its children, `child.rs` what they are
//! wrapped in, `slots.rs` the limit, `error.rs` what comes out. Here are the faces.

mod child;
mod error;
mod members;
mod slots;
mod supervise;

use std::convert::Infallible;
use std::fmt;
use std::panic::Location;
use std::rc::Rc;

pub use error::{ErrorGroup, GroupClosed};

use crate::kernel::{Task, TaskBuilder};
use members::Members;
use supervise::supervise;

/// A group of tasks that are waited for, in the hands of its body and its children.
///
/// [`TaskGroup::scope`] runs a body that starts tasks with [`create_task`](Self::create_task), and returns when
/// they have all ended. It is the way to start tasks: none outlives its group, no failure goes unseen, and a
/// cancellation reaches all of them and waits for their cleanups.
///
/// | | the body gives | children give | returns |
/// |---|---|---|---|
/// | [`scope`](Self::scope) | `R` | anything | `R` |
/// | [`try_scope`](Self::try_scope) | `Result<R, E>` | `Result<T, E>` | `Result<R, ErrorGroup<E>>` |
/// | [`cancellable`](Self::cancellable) | `R` | anything | `Option<R>`: `None` if [`cancel`](Self::cancel) ended the body |
/// | [`try_cancellable`](Self::try_cancellable) | `Result<R, E>` | `Result<T, E>` | `Result<Option<R>, ErrorGroup<E>>` |
///
/// The handle is cheap to clone, and children may have clones: they, too, may start tasks, also while the group
/// is waiting for its end.
///
/// * A child that **panics**, or in a `try_` group returns an **`Err`**, cancels the body and all other children.
///   When all have ended, the panic goes on in the code around the group, or the errors are returned. A panic
///   beats errors; further panics are told to the loop's exception handler.
/// * A child that is **cancelled** disturbs nobody.
/// * A **cancellation of the group**'s own task, or a deadline around it, is passed to the body and then to all children,
///   each time it comes; it goes on outwards when they have ended. If there are errors then, they are returned,
///   and the cancellation goes on at the next suspension.
/// * The wait is **never cut short**. A plain drop of the group's future (by a `select!`) cannot wait: it asks the
///   children to end.
///
/// # asyncio
/// `asyncio.TaskGroup`. Children are cancelled in the order of their creation.
///
/// # Examples
/// ```
/// use evloop::{TaskGroup, sleep, time::millis};
/// use std::{cell::RefCell, rc::Rc};
///
/// evloop::run(async {
///     let log = Rc::new(RefCell::new(Vec::new()));
///     TaskGroup::scope(async |tg| {
///         for n in 1..=3 {
///             let log = log.clone();
///             let _ = tg.create_task(async move {
///                 sleep(millis(n)).await;
///                 log.borrow_mut().push(n);
///             });
///         }
///     })
///     .await;
///     assert_eq!(*log.borrow(), [1, 2, 3]);
/// });
/// ```
#[doc(alias = "nursery")]
#[doc(alias = "JoinSet")]
pub struct TaskGroup {
    members: Rc<Members<Infallible>>,
}

/// As [`TaskGroup`], for tasks that may fail: what the body of [`TaskGroup::try_scope`] gets.
///
/// # asyncio
/// `asyncio.TaskGroup`.
pub struct TryTaskGroup<E: 'static> {
    members: Rc<Members<E>>,
}

impl TaskGroup {
    /// A group with settings.
    ///
    /// # Examples
    /// ```
    /// use evloop::{TaskGroup, time::{millis, now}};
    ///
    /// evloop::run(async {
    ///     let start = now();
    ///     TaskGroup::builder().limit(2).scope(async |tg| {
    ///         for _ in 0..6 {
    ///             let _ = tg.create_task(evloop::sleep(millis(5))); // two at a time
    ///         }
    ///     })
    ///     .await;
    ///     assert!(now() - start >= millis(5));
    /// });
    /// ```
    pub fn builder() -> TaskGroupBuilder {
        TaskGroupBuilder { limit: None }
    }

    /// Runs `body`, waits until all tasks of the group have ended, and returns what the body returned. The body
    /// may borrow; its tasks may not (see [`scope`](crate::scope()) for those that may).
    ///
    /// # Panics
    /// When the body or a child panics, with the first panic, after all have ended; outside of a loop.
    ///
    /// # Cancel safety
    /// Lossy: dropping the future asks the tasks to end and does not wait; their values go with them. A
    /// cancellation waits.
    ///
    /// # asyncio
    /// `async with asyncio.TaskGroup() as tg:`.
    ///
    /// # Examples
    /// ```
    /// use evloop::TaskGroup;
    ///
    /// evloop::run(async {
    ///     let sum = TaskGroup::scope(async |tg| {
    ///         let one = tg.create_task(async { 1 }).unwrap();
    ///         let two = tg.create_task(async { 2 }).unwrap();
    ///         one.await.unwrap() + two.await.unwrap()
    ///     });
    ///     assert_eq!(sum.await, 3);
    /// });
    /// ```
    pub async fn scope<R>(body: impl AsyncFnOnce(Self) -> R) -> R {
        Self::builder().scope(body).await
    }

    /// Runs `body`, waits until all tasks of the group have ended, and returns what the body returned, or the
    /// errors: the first one, be it a task's or the body's, has cancelled all others.
    ///
    /// # Errors
    /// All errors, in the order in which they came, the body's last.
    ///
    /// # Panics
    /// As [`scope`](Self::scope).
    ///
    /// # Cancel safety
    /// As [`scope`](Self::scope); errors that were not returned are dropped.
    ///
    /// # asyncio
    /// `async with asyncio.TaskGroup() as tg:`, which raises an `ExceptionGroup`.
    ///
    /// # Examples
    /// ```
    /// use evloop::{TaskGroup, sleep, time::secs};
    ///
    /// evloop::run(async {
    ///     let failed = TaskGroup::try_scope(async |tg| {
    ///         let _ = tg.create_task(async { Err::<(), _>("out of luck") });
    ///         let _ = tg.create_task(async { Ok(sleep(secs(3600)).await) }); // cancelled
    ///         Ok(())
    ///     });
    ///     assert_eq!(failed.await.unwrap_err().first(), &"out of luck");
    /// });
    /// ```
    pub async fn try_scope<R, E: 'static>(
        body: impl AsyncFnOnce(TryTaskGroup<E>) -> Result<R, E>,
    ) -> Result<R, ErrorGroup<E>> {
        Self::builder().try_scope(body).await
    }

    /// As [`scope`](Self::scope), for a body that [`cancel`](Self::cancel) may end: `None` says that it did.
    ///
    /// # Panics
    /// As [`scope`](Self::scope).
    ///
    /// # Cancel safety
    /// As [`scope`](Self::scope).
    ///
    /// # asyncio
    /// `async with asyncio.TaskGroup() as tg:` with a `tg.cancel()` in it.
    ///
    /// # Examples
    /// ```
    /// use evloop::{TaskGroup, sleep, time::{millis, secs}};
    ///
    /// evloop::run(async {
    ///     let ended = TaskGroup::cancellable(async |tg| {
    ///         let group = tg.clone();
    ///         let _ = tg.create_task(async move {
    ///             sleep(millis(1)).await;
    ///             group.cancel(); // enough
    ///         });
    ///         sleep(secs(3600)).await;
    ///     });
    ///     assert_eq!(ended.await, None);
    /// });
    /// ```
    pub async fn cancellable<R>(body: impl AsyncFnOnce(Self) -> R) -> Option<R> {
        Self::builder().cancellable(body).await
    }

    /// As [`try_scope`](Self::try_scope), for a body that [`cancel`](TryTaskGroup::cancel) may end: `None` says
    /// that it did.
    ///
    /// # Errors
    /// As [`try_scope`](Self::try_scope).
    ///
    /// # Panics
    /// As [`scope`](Self::scope).
    ///
    /// # Cancel safety
    /// As [`try_scope`](Self::try_scope).
    ///
    /// # asyncio
    /// `async with asyncio.TaskGroup() as tg:` with a `tg.cancel()` in it.
    pub async fn try_cancellable<R, E: 'static>(
        body: impl AsyncFnOnce(TryTaskGroup<E>) -> Result<R, E>,
    ) -> Result<Option<R>, ErrorGroup<E>> {
        Self::builder().try_cancellable(body).await
    }

    /// Starts a task in the group; its first step is at the end of the FIFO. The result may be dropped: the
    /// group waits for the task all the same.
    ///
    /// # Errors
    /// [`GroupClosed`] once the group has ended, or is ending because a child failed or it was cancelled; the
    /// future is dropped. Code in the body need not care: it is being cancelled itself then.
    ///
    /// # Panics
    /// Outside of a loop.
    ///
    /// # asyncio
    /// `tg.create_task(coro)`.
    #[doc(alias = "spawn")]
    #[track_caller]
    pub fn create_task<F: Future + 'static>(&self, future: F) -> Result<Task<F::Output>, GroupClosed> {
        self.members.add(future, Location::caller())
    }

    /// As [`create_task`](Self::create_task), with a name, in a certain context, or at once.
    ///
    /// # Errors
    /// As `create_task`.
    ///
    /// # Panics
    /// Outside of a loop.
    ///
    /// # asyncio
    /// `tg.create_task(coro, name=…, context=…, eager_start=…)`.
    #[track_caller]
    pub fn create_task_with<F: Future + 'static>(
        &self,
        builder: TaskBuilder,
        future: F,
    ) -> Result<Task<F::Output>, GroupClosed> {
        self.members.add_with(future, Location::caller(), builder)
    }
}

impl<E: 'static> TryTaskGroup<E> {
    /// Starts a task in the group; its first step is at the end of the FIFO. The result may be dropped: the
    /// group waits for the task all the same.
    ///
    /// An error of the task goes to the group, and to it alone. Whoever awaits the task sees it end as cancelled,
    /// with a message that says so; mostly nobody does, since the group cancels all others.
    ///
    /// # Errors
    /// As [`TaskGroup::create_task`].
    ///
    /// # Panics
    /// Outside of a loop.
    ///
    /// # asyncio
    /// `tg.create_task(coro)`, where whoever awaits the task gets the exception, too.
    #[doc(alias = "spawn")]
    #[track_caller]
    pub fn create_task<T: 'static>(
        &self,
        future: impl Future<Output = Result<T, E>> + 'static,
    ) -> Result<Task<T>, GroupClosed> {
        self.members.add(child::reporting(self.members.clone(), future), Location::caller())
    }

    /// As [`create_task`](Self::create_task), with a name, in a certain context, or at once.
    ///
    /// # Errors
    /// As [`TaskGroup::create_task`].
    ///
    /// # Panics
    /// Outside of a loop.
    ///
    /// # asyncio
    /// `tg.create_task(coro, name=…, context=…, eager_start=…)`.
    #[track_caller]
    pub fn create_task_with<T: 'static>(
        &self,
        builder: TaskBuilder,
        future: impl Future<Output = Result<T, E>> + 'static,
    ) -> Result<Task<T>, GroupClosed> {
        let future = child::reporting(self.members.clone(), future);
        self.members.add_with(future, Location::caller(), builder)
    }
}

/// What both kinds of groups can do.
macro_rules! handle {
    ($name:literal, $Group:ident $(<$E:ident>)?) => {
        impl$(<$E: 'static>)? $Group$(<$E>)? {
            /// Ends the group early: all children are asked to end, and there will be no others. So is the body, in
            /// [`cancellable`](TaskGroup::cancellable) and [`try_cancellable`](TaskGroup::try_cancellable); in the
            /// other two it goes on, since it has a value to give, unless a child fails. The first call counts; after the
            /// group's end it does nothing.
            ///
            /// # asyncio
            /// `tg.cancel()`.
            pub fn cancel(&self) {
                self.members.cancel();
            }

            /// Waits until a task could start at once: always, if the group has no
            /// [`limit`](TaskGroupBuilder::limit); else when fewer than that run and nobody waits to.
            ///
            /// # Cancel safety
            /// Safe.
            ///
            /// # asyncio
            /// No counterpart: there one shares a `Semaphore`.
            ///
            /// # Examples
            /// ```
            /// use evloop::{TaskGroup, sleep, time::millis};
            ///
            /// evloop::run(async {
            ///     TaskGroup::builder().limit(100).scope(async |tg| {
            ///         for _ in 0..1000 {
            ///             tg.wait_for_room().await; // never more than a hundred of them exist
            ///             let _ = tg.create_task(sleep(millis(1)));
            ///             assert!(tg.len() <= 100);
            ///         }
            ///     })
            ///     .await;
            /// });
            /// ```
            pub async fn wait_for_room(&self) {
                if let Some(slots) = self.members.slots() {
                    slots::wait_for_room(slots).await;
                }
            }

            /// How many tasks of the group have not ended.
            #[must_use]
            pub fn len(&self) -> usize {
                self.members.len()
            }

            /// Whether no task of the group is left.
            #[must_use]
            pub fn is_empty(&self) -> bool {
                self.len() == 0
            }
        }

        impl$(<$E: 'static>)? Clone for $Group$(<$E>)? {
            fn clone(&self) -> Self {
                Self { members: self.members.clone() }
            }
        }

        impl$(<$E: 'static>)? fmt::Debug for $Group$(<$E>)? {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct($name)
                    .field("tasks", &self.len())
                    .field("open", &self.members.is_open())
                    .finish()
            }
        }
    };
}

handle!("TaskGroup", TaskGroup);
handle!("TryTaskGroup", TryTaskGroup<E>);

/// Settings for a [`TaskGroup`].
#[derive(Clone, Debug)]
#[must_use = "a builder starts nothing until one of its scopes is awaited"]
pub struct TaskGroupBuilder {
    limit: Option<usize>,
}

impl TaskGroupBuilder {
    /// How many of the group's tasks may run at once. The others wait in line, in order of creation, without
    /// having begun; cancelled there, they never begin. 0 is taken as 1.
    ///
    /// A task keeps its slot while it waits. If all that run wait for tasks that stand in line, they do so for ever.
    pub fn limit(mut self, tasks: usize) -> Self {
        self.limit = Some(tasks.max(1));
        self
    }

    /// As [`TaskGroup::scope`].
    ///
    /// # Panics
    /// As [`TaskGroup::scope`].
    pub async fn scope<R>(self, body: impl AsyncFnOnce(TaskGroup) -> R) -> R {
        match self.run(false, body).await {
            Some(value) => value,
            None => {
                unreachable!("without its own cancel, the body gives a value or the group does not return")
            }
        }
    }

    /// As [`TaskGroup::cancellable`].
    ///
    /// # Panics
    /// As [`TaskGroup::scope`].
    pub async fn cancellable<R>(self, body: impl AsyncFnOnce(TaskGroup) -> R) -> Option<R> {
        self.run(true, body).await
    }

    /// As [`TaskGroup::try_scope`].
    ///
    /// # Errors
    /// As [`TaskGroup::try_scope`].
    ///
    /// # Panics
    /// As [`TaskGroup::scope`].
    pub async fn try_scope<R, E: 'static>(
        self,
        body: impl AsyncFnOnce(TryTaskGroup<E>) -> Result<R, E>,
    ) -> Result<R, ErrorGroup<E>> {
        match self.try_run(false, body).await? {
            Some(value) => Ok(value),
            None => unreachable!("without its own cancel, a body that is dropped comes with errors"),
        }
    }

    /// As [`TaskGroup::try_cancellable`].
    ///
    /// # Errors
    /// As [`TaskGroup::try_scope`].
    ///
    /// # Panics
    /// As [`TaskGroup::scope`].
    pub async fn try_cancellable<R, E: 'static>(
        self,
        body: impl AsyncFnOnce(TryTaskGroup<E>) -> Result<R, E>,
    ) -> Result<Option<R>, ErrorGroup<E>> {
        self.try_run(true, body).await
    }

    async fn run<R>(self, cancels_body: bool, body: impl AsyncFnOnce(TaskGroup) -> R) -> Option<R> {
        let members = Members::new(self.limit, cancels_body);
        let group = TaskGroup { members: members.clone() };
        match supervise(members, async { Ok(body(group).await) }).await {
            Ok(value) => value,
            Err(errors) => match *errors.first() {},
        }
    }

    async fn try_run<R, E: 'static>(
        self,
        cancels_body: bool,
        body: impl AsyncFnOnce(TryTaskGroup<E>) -> Result<R, E>,
    ) -> Result<Option<R>, ErrorGroup<E>> {
        let members = Members::new(self.limit, cancels_body);
        let group = TryTaskGroup { members: members.clone() };
        // Called in there: a closure that is no `async` one may start tasks and panic before it gives a future.
        supervise(members, async { body(group).await }).await
    }
}

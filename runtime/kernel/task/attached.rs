//! What hangs on a task beside its future, in one word: nothing, its first awaiter, or the box of what few tasks
//! need, which then has the awaiter too.
//!
//! Most tasks never have the box, and of those that are awaited most have one awaiter. A word for each would be
//! eight bytes more in every task.

use std::cell::Cell;
use std::panic::Location;
use std::ptr;
use std::sync::Arc;

use super::header::TaskPtr;
use super::waiters::Waiters;
use crate::kernel::scope::delivery::Offer;
use crate::kernel::variables::Context;

/// See the module's description. At home only, but for the drop, which may be anywhere once the task has ended.
pub(super) struct Attached {
    /// Null; or a task's address and [`IS_JOINER`]; or a `Box<Side>`, which this owns.
    word: Cell<*mut ()>,
}

/// Set in the address of a task: both kinds are aligned to more than that.
const IS_JOINER: usize = 1;
const _: () = assert!(align_of::<Side>() > IS_JOINER && align_of::<super::header::Header>() > IS_JOINER);

/// What few tasks need.
#[derive(Default)]
pub(super) struct Side {
    /// The first awaiter, if it came in time to be one.
    joiner: Option<TaskPtr>,
    /// `Arc`, not `Rc`: the box may be dropped on another thread once the task has ended.
    pub(super) name: Option<Arc<str>>,
    /// Where it was created, of a task that has panicked, in debug mode.
    pub(super) location: Option<&'static Location<'static>>,
    /// `cancel()` calls less `uncancel()` calls.
    pub(super) cancelling: u32,
    /// When it was last asked to end, as deliveries say it, and which of these moments it has last heard of.
    pub(super) asked: u64,
    pub(super) heard: u64,
    pub(super) message: Option<Arc<str>>,
    /// Awaiters and callbacks in order of registration.
    pub(super) waiters: Option<Waiters>,
    /// Wide enough never to come round: whoever polls a join again and again enters the list each time.
    pub(super) next_waiter: u64,
    /// The task's offer that stays open into the next step.
    pub(super) offer: Option<Offer>,
    /// What its steps run in. It is of this thread, and is taken out before the box may be dropped elsewhere.
    pub(super) context: Option<Context>,
}

impl Attached {
    pub(super) const fn nothing() -> Self {
        Self { word: Cell::new(ptr::null_mut()) }
    }

    /// The first awaiter, if it is a task of this loop: counted like a waker of it.
    #[inline]
    pub(super) fn joiner(&self) -> Option<TaskPtr> {
        match as_joiner(self.word.get()) {
            Some(joiner) => Some(joiner),
            None => self.side_if_any(|side| side.joiner).flatten(),
        }
    }

    /// Sets the first awaiter, where there is none.
    #[inline]
    pub(super) fn set_joiner(&self, joiner: TaskPtr) {
        debug_assert!(self.joiner().is_none(), "its count would be lost");
        if self.word.get().is_null() {
            self.word.set(joiner.as_data().cast_mut().map_addr(|address| address | IS_JOINER));
        } else {
            self.side(|side| side.joiner = Some(joiner));
        }
    }

    /// Takes the first awaiter out, with its count.
    #[inline]
    pub(super) fn take_joiner(&self) -> Option<TaskPtr> {
        match as_joiner(self.word.get()) {
            Some(joiner) => {
                self.word.set(ptr::null_mut());
                Some(joiner)
            }
            None => self.side_if_any(|side| side.joiner.take()).flatten(),
        }
    }

    /// Reads or changes the side box, made on first use. `f` must not run foreign code: the box is out of
    /// its place meanwhile.
    pub(super) fn side<R>(&self, f: impl FnOnce(&mut Side) -> R) -> R {
        let mut side = self.take_side().unwrap_or_default();
        if let Some(joiner) = as_joiner(self.word.get()) {
            side.joiner = Some(joiner);
        }
        let result = f(&mut side);
        self.put_side(side);
        result
    }

    /// As [`side`](Self::side), if there is one.
    #[inline]
    pub(super) fn side_if_any<R>(&self, f: impl FnOnce(&mut Side) -> R) -> Option<R> {
        let mut side = self.take_side()?;
        let result = f(&mut side);
        self.put_side(side);
        Some(result)
    }

    /// Drops the box, if there is one: the task's memory is about to be freed.
    pub(super) fn drop_side(&self) {
        debug_assert!(as_joiner(self.word.get()).is_none(), "told when the task ended");
        drop(self.take_side());
    }

    #[inline]
    fn take_side(&self) -> Option<Box<Side>> {
        let word = self.word.get();
        if word.is_null() || as_joiner(word).is_some() {
            return None;
        }
        self.word.set(ptr::null_mut());
        // SAFETY: neither of the other two kinds, so `put_side` made the word from a box; and nobody has taken it
        // since, for who does leaves null.
        Some(unsafe { Box::from_raw(word.cast()) })
    }

    /// Puts the box into its place, which is empty or has the joiner that the box has, too.
    #[inline]
    fn put_side(&self, side: Box<Side>) {
        self.word.set(Box::into_raw(side).cast());
    }
}

/// The awaiter in a word, if there is one.
#[inline]
fn as_joiner(word: *mut ()) -> Option<TaskPtr> {
    let task = word.map_addr(|address| address & !IS_JOINER);
    // SAFETY: the bit is set in what `set_joiner` has made of `TaskPtr::as_data`, and in nothing else.
    (task != word).then(|| unsafe { TaskPtr::from_data(task) })
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    /// So often has somebody entered the list of those who wait for the task.
    fn after_many_waits(task: &crate::TaskRef) {
        task.header().attached.side(|side| side.next_waiter = (u32::MAX - 1).into());
    }

    #[test]
    fn waiters_are_told_apart_after_any_number_of_waits() {
        crate::run(async {
            let task = crate::create_task(crate::yield_now());
            let called = Rc::new(Cell::new(0));
            let first = task.add_done_callback(|_| ());
            after_many_waits(&task);
            let add = |count: u32| {
                let called = called.clone();
                task.add_done_callback(move |_| called.set(called.get() + count))
            };
            let _kept: Vec<_> = (0..5).map(|_| add(1)).collect();
            assert!(task.remove_done_callback(add(10)) && task.remove_done_callback(first));
            assert!((&task).await.is_ok());
            crate::yield_now().await;
            assert_eq!(called.get(), 5);
        });
    }

    #[test]
    fn a_callback_id_of_another_task_removes_nobody() {
        crate::run(async {
            let task = crate::create_task(crate::yield_now());
            let other = crate::create_task(crate::yield_now());
            let id = other.add_done_callback(|_| ());
            let called = Rc::new(Cell::new(false));
            let sets = called.clone();
            task.add_done_callback(move |_| sets.set(true));
            assert!(!task.remove_done_callback(id));
            assert!(task.await.is_ok() && other.await.is_ok());
            crate::yield_now().await;
            assert!(called.get());
        });
    }

    /// A task that ends in the second tick, and one that awaits it and has come to where it waits.
    async fn awaited() -> (crate::Task<()>, crate::Task<()>) {
        let task = crate::create_task(async {
            crate::yield_now().await;
            crate::yield_now().await;
        });
        let known = task.task_ref();
        let awaiter = crate::create_task(async move { assert!((&task).await.is_ok()) });
        crate::yield_now().await;
        crate::yield_now().await;
        assert!(!known.done());
        (awaiter, crate::create_task(async move { known.set_name("named while awaited") }))
    }

    #[test]
    fn an_awaiter_is_kept_when_the_box_comes_later() {
        crate::run(async {
            let (awaiter, naming) = awaited().await;
            assert!(naming.await.is_ok() && awaiter.await.is_ok());
        });
    }

    #[test]
    fn an_awaiter_finds_its_place_where_the_box_is_already() {
        crate::run(async {
            let task = crate::Task::builder().name("named first").spawn(crate::yield_now());
            let known = task.task_ref();
            assert!(task.await.is_ok());
            assert_eq!(&*known.name(), "named first");
        });
    }

    #[test]
    fn an_awaiter_leaves_whether_the_box_is_there_or_not() {
        for named in [false, true] {
            crate::run(async move {
                let task = crate::create_task(std::future::pending::<()>());
                if named {
                    task.set_name("named");
                }
                let known = task.task_ref();
                let mut waits = Box::pin(async { (&task).await.is_ok() });
                std::future::poll_fn(|cx| {
                    assert!(waits.as_mut().poll(cx).is_pending());
                    std::task::Poll::Ready(())
                })
                .await;
                assert!(known.header().attached.joiner().is_some(), "it waits");
                drop(waits);
                assert!(known.header().attached.joiner().is_none(), "it has left");
                let called = Rc::new(Cell::new(false));
                let sets = called.clone();
                task.add_done_callback(move |_| sets.set(true));
                task.cancel();
                assert!(task.await.is_err() && called.get());
            });
        }
    }
}

//! Hearing of the ends of several tasks: what `gather`, `wait`, `shield` and `as_completed` stand on.
//!
//! As in asyncio, an end is heard by a done callback, one tick after it happened, in the order in which
//! the callbacks were added among all who want to know. [`Watch`] is the callbacks; [`News`] is a watch
//! with one waiter, whom a callback wakes only when that may decide something.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::task::{Context, Waker};

use crate::kernel::{CallbackId, TaskRef, probe};

/// A done callback on each of several tasks; those that were not scheduled yet are removed when this is
/// dropped.
pub(super) struct Watch {
    tasks: Vec<TaskRef>,
    /// For each task; `None` if it is not watched.
    callbacks: Vec<Option<CallbackId>>,
}

impl Watch {
    /// Has `heard` called for each task that ends, with its index. A callback that is scheduled already
    /// comes even if the watch is dropped before.
    pub(super) fn new(tasks: Vec<TaskRef>, heard: impl Fn(usize, &TaskRef) + Clone + 'static) -> Self {
        Self::of_some(tasks, |_| true, heard)
    }

    /// As [`new`](Self::new), of those tasks alone that are `wanted`.
    fn of_some(
        tasks: Vec<TaskRef>,
        wanted: fn(&TaskRef) -> bool,
        heard: impl Fn(usize, &TaskRef) + Clone + 'static,
    ) -> Self {
        let add = |(index, task): (usize, &TaskRef)| {
            let heard = heard.clone();
            wanted(task).then(|| task.add_done_callback(move |task| heard(index, task)))
        };
        let callbacks = tasks.iter().enumerate().map(add).collect();
        Self { tasks, callbacks }
    }

    pub(super) fn tasks(&self) -> &[TaskRef] {
        &self.tasks
    }

    /// Hears of no further ends.
    pub(super) fn stop(&mut self) {
        let callbacks = std::mem::take(&mut self.callbacks);
        for (task, id) in self.tasks.iter().zip(callbacks) {
            id.map(|id| task.remove_done_callback(id));
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop();
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tasks.fmt(f)
    }
}

/// What the callbacks tell the waiter.
#[derive(Default)]
struct Heard {
    /// Tasks that have ended, in order.
    ended: Vec<usize>,
    rung: bool,
    waker: Option<Waker>,
}

/// The ends of several tasks, as one waiter hears of them.
pub(super) struct News {
    watch: Watch,
    heard: Rc<RefCell<Heard>>,
    /// How much of what was heard the waiter has looked at.
    seen: usize,
}

impl News {
    /// Watches `tasks`; the waiter is woken when one ends that `may_decide`, and when all have ended.
    pub(super) fn of(tasks: Vec<TaskRef>, may_decide: fn(&TaskRef) -> bool) -> Self {
        Self::with(tasks, Vec::new(), |_| true, may_decide)
    }

    /// As [`of`](Self::of); what has ended already has been heard of.
    pub(super) fn of_unfinished(tasks: Vec<TaskRef>, may_decide: fn(&TaskRef) -> bool) -> Self {
        let ended = tasks.iter().enumerate().filter(|(_, task)| task.done()).map(|(index, _)| index);
        let ended = ended.collect();
        Self::with(tasks, ended, |task| !task.done(), may_decide)
    }

    fn with(
        tasks: Vec<TaskRef>,
        ended: Vec<usize>,
        wanted: fn(&TaskRef) -> bool,
        may_decide: fn(&TaskRef) -> bool,
    ) -> Self {
        let heard = Rc::new(RefCell::new(Heard { ended, ..Heard::default() }));
        let count = tasks.len();
        let tell = {
            let heard = heard.clone();
            move |index, task: &TaskRef| {
                let waker = {
                    let mut heard = heard.borrow_mut();
                    heard.ended.push(index);
                    let decides = heard.ended.len() == count || may_decide(task);
                    if decides { heard.waker.take() } else { None }
                };
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
        };
        Self { watch: Watch::of_some(tasks, wanted, tell), heard, seen: 0 }
    }

    pub(super) fn tasks(&self) -> &[TaskRef] {
        self.watch.tasks()
    }

    pub(super) fn all_ended(&self) -> bool {
        self.heard.borrow().ended.len() == self.tasks().len()
    }

    /// The next task that has ended and that the waiter has not looked at yet.
    pub(super) fn next_ended(&mut self) -> Option<usize> {
        let index = *self.heard.borrow().ended.get(self.seen)?;
        self.seen += 1;
        Some(index)
    }

    /// A bell for another reason to end the waiting than the end of a task.
    pub(super) fn bell(&self) -> impl FnOnce() + 'static {
        let heard = self.heard.clone();
        move || {
            let waker = {
                let mut heard = heard.borrow_mut();
                heard.rung = true;
                heard.waker.take()
            };
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    /// Whether the bell was rung.
    pub(super) fn has_rung(&self) -> bool {
        self.heard.borrow().rung
    }

    /// Says whom to wake from now on; `how` is what they are to who waits, as in `gather of`.
    pub(super) fn wake_later(&self, how: &'static str, cx: &Context<'_>) {
        self.say(how);
        let waker = cx.waker().clone();
        let former = self.heard.borrow_mut().waker.replace(waker);
        drop(former);
    }
}

impl News {
    /// Says which tasks are waited for.
    fn say(&self, how: &'static str) {
        probe::waits_for_tasks(how, || {
            let unfinished = self.tasks().iter().filter(|task| !task.done());
            unfinished.map(TaskRef::id).collect()
        });
    }
}

impl Drop for News {
    fn drop(&mut self) {
        // Callbacks that are scheduled already keep `heard`; they shall wake nobody any more.
        let waker = self.heard.borrow_mut().waker.take();
        drop(waker);
    }
}

impl fmt::Debug for News {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.watch.fmt(f)
    }
}

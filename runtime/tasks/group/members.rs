//! Who belongs to a group, and what became of them: shared by the group's future, its handles and its
//! children.
//!
//! A child's end costs a number in a slab; only a failure, and the end of the last one, put a callback into the
//! FIFO, which then acts. So the group hears of them one iteration after the child's last step, as asyncio's
//! does by its done callbacks (O31, O32), without one callback for each child.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::Location;
use std::rc::Rc;
use std::task::{Context, Waker};

use slab::Slab;

use super::child::{Child, Membership};
use super::error::GroupClosed;
use super::slots::{Queued, Slots};
use crate::kernel::{
    Delivery, Handle, LoopHandle, Panic, Task, TaskBuilder, TaskRef, guarded, probe, report_panic,
    spawn_here, spawn_here_with, with_current,
};
use crate::tasks::NoRunningLoop;

/// How far a group is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// The children have been asked to end; there will be no others.
    Ending,
    /// The group's future has returned or is gone.
    Closed,
}

pub(super) struct Members<E> {
    /// A child that is having its first step inside of its creation is not known yet.
    children: RefCell<Slab<Option<TaskRef>>>,
    state: Cell<State>,
    /// In the order in which they came.
    errors: RefCell<Vec<E>>,
    /// The first panic of a child or of the body, for the group to go on with.
    panic: RefCell<Option<Panic>>,
    /// A child has failed: the others are to be asked to end.
    failed: Cell<bool>,
    /// A callback that acts on what has happened stands in the FIFO.
    notified: Cell<bool>,
    /// The callback, to have it act at once.
    notice: Cell<Option<Handle>>,
    /// The body is to be asked to end, in this poll or not before the next one.
    asks_body: Cell<bool>,
    asks_body_next: Cell<bool>,
    /// The children have been asked since the group's future was last polled.
    asked: Cell<bool>,
    /// The first step of the group's task after that.
    asked_step: Cell<u64>,
    /// Whether `cancel` asks the body, too.
    cancels_body: bool,
    /// `cancel` did not: a failure still has to.
    body_goes_on: Cell<bool>,
    /// The group's future waits for the children's end, and the iteration in which it was told of that.
    waits: Cell<bool>,
    heard: Cell<Option<u64>>,
    /// The group's future is being polled: it need not be woken.
    polled: Cell<bool>,
    waker: RefCell<Option<Waker>>,
    /// How many may run at once.
    slots: Option<Rc<Slots>>,
}

impl<E: 'static> Members<E> {
    pub(super) fn new(limit: Option<usize>, cancels_body: bool) -> Rc<Self> {
        Rc::new(Self {
            children: RefCell::default(),
            state: Cell::new(State::Open),
            errors: RefCell::default(),
            panic: RefCell::default(),
            failed: Cell::new(false),
            notified: Cell::new(false),
            notice: Cell::default(),
            asks_body: Cell::new(false),
            asks_body_next: Cell::new(false),
            asked: Cell::new(false),
            asked_step: Cell::new(0),
            cancels_body,
            body_goes_on: Cell::new(false),
            waits: Cell::new(false),
            heard: Cell::new(None),
            polled: Cell::new(false),
            waker: RefCell::default(),
            slots: limit.map(|limit| Rc::new(Slots::new(limit))),
        })
    }

    /// Unfinished children.
    pub(super) fn len(&self) -> usize {
        self.children.borrow().len()
    }

    /// Whether no child is left and that has been heard of; if in this very iteration, by a group that was waiting
    /// for it, then it goes on in the next one, as asyncio's (O32).
    pub(super) fn have_ended(&self, cx: &Context<'_>) -> bool {
        if self.len() > 0 || self.notified.get() {
            self.waits.set(true);
            return false;
        }
        let just_now = self.heard.get().is_some() && self.heard.get() == iteration();
        if just_now {
            cx.waker().wake_by_ref();
        }
        !just_now
    }

    /// Says which children the group waits for.
    pub(super) fn say_who_is_left(&self) {
        probe::waits_for_tasks("the children of its TaskGroup:", || {
            self.children.borrow().iter().filter_map(|(_, child)| child.as_ref().map(TaskRef::id)).collect()
        });
    }

    pub(super) fn is_open(&self) -> bool {
        self.state.get() == State::Open
    }

    pub(super) fn slots(&self) -> Option<Rc<Slots>> {
        self.slots.clone()
    }

    /// Starts a child.
    pub(super) fn add<F: Future + 'static>(
        self: &Rc<Self>,
        future: F,
        location: &'static Location<'static>,
    ) -> Result<Task<F::Output>, GroupClosed> {
        Ok(match self.slots_if_open()? {
            Some(slots) => self.spawn(Queued::new(slots, future), |child| spawn_here(child, location).ok()),
            None => self.spawn(future, |child| spawn_here(child, location).ok()),
        })
    }

    /// As [`add`](Self::add), with settings.
    pub(super) fn add_with<F: Future + 'static>(
        self: &Rc<Self>,
        future: F,
        location: &'static Location<'static>,
        builder: TaskBuilder,
    ) -> Result<Task<F::Output>, GroupClosed> {
        Ok(match self.slots_if_open()? {
            Some(slots) => {
                let queued = Queued::new(slots, future);
                self.spawn(queued, |child| spawn_here_with(child, location, builder).ok())
            }
            None => self.spawn(future, |child| spawn_here_with(child, location, builder).ok()),
        })
    }

    fn slots_if_open(&self) -> Result<Option<Rc<Slots>>, GroupClosed> {
        if self.is_open() { Ok(self.slots()) } else { Err(GroupClosed) }
    }

    fn spawn<F: Future + 'static>(
        self: &Rc<Self>,
        future: F,
        start: impl FnOnce(Child<F, E>) -> Option<Task<F::Output>>,
    ) -> Task<F::Output> {
        let place = self.children.borrow_mut().insert(None);
        let child = Child::new(future, Membership::new(self.clone(), place));
        let Some(task) = start(child) else { panic!("{NoRunningLoop}") };
        task.is_heard_of();
        // A child that ended in its creation has left already: it was eager, or its loop is being dropped.
        if task.done() {
            if self.failed.get() {
                self.act_at_once();
            }
        } else {
            self.children.borrow_mut()[place] = Some(task.task_ref());
            if !self.is_open() {
                // It had a part in that itself, by its first step: the others have been asked then.
                task.cancel();
            }
        }
        task
    }

    /// A child's future is gone.
    pub(super) fn leave(self: &Rc<Self>, place: usize) {
        let (gone, empty) = {
            let mut children = self.children.borrow_mut();
            (children.try_remove(place), children.is_empty())
        };
        // Who ends in its own creation leaves a group that is not waiting for it.
        let was_known = gone.flatten().is_some();
        if empty && was_known {
            self.notify();
        }
    }

    /// A child has failed.
    pub(super) fn fail(self: &Rc<Self>, error: E) {
        if self.state.get() == State::Closed {
            // Nobody would take it out, and it may hold a handle of this very group.
            return drop(error);
        }
        self.errors.borrow_mut().push(error);
        self.failed.set(true);
        self.notify();
    }

    /// A child has panicked with `payload`. The first panic is the group's; all others are the business of whoever
    /// calls this, and come back as errors.
    pub(super) fn panicked(
        self: &Rc<Self>,
        payload: Box<dyn Any + Send>,
    ) -> Result<Panic, Box<dyn Any + Send>> {
        self.failed.set(true);
        self.notify();
        if self.state.get() == State::Closed || self.panic.borrow().is_some() {
            return Err(payload);
        }
        let panic = Panic::new(payload);
        *self.panic.borrow_mut() = Some(panic.clone());
        Ok(panic)
    }

    /// The body has panicked.
    pub(super) fn body_panicked(&self, payload: Box<dyn Any + Send>) {
        if self.panic.borrow().is_some() {
            report_panic("the body of a task group panicked after one of its tasks", payload);
        } else {
            *self.panic.borrow_mut() = Some(Panic::new(payload));
        }
    }

    /// Has somebody act on what has happened, in the next iteration.
    fn notify(self: &Rc<Self>) {
        if self.state.get() == State::Closed || self.notified.replace(true) {
            return;
        }
        let notice = Notice(self.clone());
        if let Some(event_loop) = LoopHandle::current() {
            self.notice.set(Some(event_loop.call_soon_in(None, move || drop(notice))));
        }
    }

    /// Does not wait for the next iteration.
    fn act_at_once(&self) {
        if self.notified.get()
            && let Some(notice) = self.notice.take()
        {
            // The notice acts when it is dropped.
            notice.cancel();
        }
    }

    fn act(&self) {
        self.notified.set(false);
        if self.failed.get() && self.body_goes_on.replace(false) {
            // The children were asked by `cancel`.
            self.ask_body();
            self.wake();
        } else if self.failed.get() && self.is_open() {
            self.ask_body();
            self.end_children();
            self.asked.set(true);
            self.wake();
        } else if self.waits.get() && self.len() == 0 {
            self.heard.set(iteration());
            self.wake();
        }
    }

    /// Has the body asked to end, by a poll of its own.
    fn ask_body(&self) {
        if self.polled.get() {
            self.asks_body_next.set(true);
        } else {
            self.asks_body.set(true);
        }
    }

    /// From the outside: the children, and the body if that is wanted, are asked to end.
    pub(super) fn cancel(&self) {
        if !self.is_open() {
            return;
        }
        self.asks_body.set(self.cancels_body);
        self.body_goes_on.set(!self.cancels_body);
        self.end_children();
        self.asked.set(true);
        if !self.polled.get() {
            self.wake();
        }
    }

    /// The group has got a delivery, which goes to all children. One that was taken in the step in which the group
    /// acted on a failure of its own is one with that: asked twice, children would leave the cleanups that they
    /// have begun.
    pub(super) fn forward(&self, delivery: &Delivery) {
        if self.is_open() || delivery.step != self.asked_step.get() {
            self.end_children();
        }
    }

    /// Asks all children to end, in order of their creation; there will be no others.
    pub(super) fn end_children(&self) {
        if self.is_open() {
            self.state.set(State::Ending);
        }
        let mut children: Vec<TaskRef> =
            self.children.borrow().iter().filter_map(|(_, task)| task.clone()).collect();
        children.sort_unstable_by_key(TaskRef::id);
        for child in children {
            child.cancel();
        }
    }

    /// Whether the body is to be asked to end; said once.
    pub(super) fn takes_ask(&self) -> bool {
        self.asks_body.replace(false)
    }

    /// While the result lives, the group's future is being polled.
    pub(super) fn polled(&self, cx: &Context<'_>) -> Attended<'_> {
        let known = self.waker.borrow().as_ref().is_some_and(|waker| waker.will_wake(cx.waker()));
        if !known {
            let waker = cx.waker().clone();
            let former = self.waker.borrow_mut().replace(waker);
            drop(former);
        }
        self.polled.set(true);
        if self.asks_body_next.replace(false) {
            self.asks_body.set(true);
        }
        if self.asked.replace(false) {
            self.asked_step.set(with_current(|_, home| home.step()).unwrap_or(0));
        }
        Attended(&self.polled)
    }

    fn wake(&self) {
        let waker = self.waker.borrow_mut().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The group's future has what it wants, or goes. Handles may stay: they keep nothing of it.
    pub(super) fn close(&self) {
        self.state.set(State::Closed);
        let waker = self.waker.take();
        guarded("a waker panicked when it was dropped", || drop(waker));
    }

    pub(super) fn take_errors(&self) -> Vec<E> {
        self.errors.take()
    }

    pub(super) fn take_panic(&self) -> Option<Panic> {
        self.panic.take()
    }

    /// The group's future is dropped before its end: nobody waits for the children any more.
    pub(super) fn abandon(&self) {
        if self.state.get() == State::Closed {
            return;
        }
        self.close();
        self.end_children();
        if let Some(panic) = self.take_panic() {
            report_panic("a task of a group panicked and the group was dropped", panic.into_payload());
        }
        let errors = self.take_errors();
        guarded("an error panicked when it was dropped with its task group", || drop(errors));
    }
}

/// The iteration that the loop is in.
fn iteration() -> Option<u64> {
    with_current(|_, home| home.turns.get())
}

/// Acts when it is dropped: by the callback, or with it, if the children's loop ends before that.
struct Notice<E: 'static>(Rc<Members<E>>);

impl<E> Drop for Notice<E> {
    fn drop(&mut self) {
        self.0.act();
    }
}

/// See [`Members::polled`].
pub(super) struct Attended<'a>(&'a Cell<bool>);

impl Drop for Attended<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

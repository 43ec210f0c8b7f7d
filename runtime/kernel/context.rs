//! A loop's state, and which loop this thread is in.
//!
//! [`Home`] is all that a loop owns on its own thread, as plain cells; [`Shared`] is what other threads
//! see. Both live in one counted block (`home_cell.rs`). This module holds the state; what is done with it
//! stands above: tasks in `task/`, the turn in `event_loop.rs`.
//!
//! Rule: no foreign code (a poll, a waker, a callback, the drop of a user's value) runs while any
//! `RefCell` in here is borrowed.

use std::any::Any;
use std::cell::{Cell, Ref, RefCell};
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread::{self, Thread};

use slab::Slab;

use super::clock::{BIRTH, TimeSource};
use super::debug::Debug;
use super::exception::ExceptionHandler;
use super::home_cell::{self, AwayRef, Entered, HomeCell, HomeRef};
use super::reactor::{Reactor, SharedPoller};
use super::scheduler::inbox::{Inbox, Posted};
use super::scheduler::memory::FreeList;
use super::scheduler::{Entry, Letter, ReadyList};
use super::scope::tree::{NIL, ScopeTree};
use super::slots::Slots;
use super::timers::Timers;
use super::variables::Inside;

pub(crate) type Block = HomeCell<Shared, Home>;
pub(crate) type LoopRef = HomeRef<Shared, Home>;
pub(crate) type RemoteRef = AwayRef<Shared, Home>;

/// What every thread may touch.
pub(crate) struct Shared {
    /// Unique in the process.
    pub(crate) id: u64,
    /// The thread that made it.
    pub(crate) thread: Thread,
    pub(crate) inbox: Inbox<Letter>,
    pub(crate) poller: SharedPoller,
    /// Living proxies: while there are any, virtual time passes at real pace.
    pub(crate) proxies: AtomicUsize,
    /// Running jobs of the blocking pool: while there are any, virtual time stands still.
    pub(crate) jobs: AtomicUsize,
    /// Whether the loop's time is virtual: only then it has to hear that a proxy or a job has ended.
    virtual_time: bool,
}

impl Shared {
    pub(crate) fn new(poller: SharedPoller, virtual_time: bool) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            thread: thread::current(),
            inbox: Inbox::new(),
            poller,
            proxies: AtomicUsize::new(0),
            jobs: AtomicUsize::new(0),
            virtual_time,
        }
    }

    /// Which loop this is and on which thread, in words.
    pub(crate) fn whereabouts(&self) -> String {
        format!("loop {} of {}", self.id, thread_name(&self.thread))
    }

    /// Ends one of the things that `count` counts; a loop whose clock waits for that hears of it.
    pub(crate) fn count_down(&self, count: &AtomicUsize) {
        count.fetch_sub(1, Ordering::Release);
        if self.virtual_time {
            self.poller.ring();
        }
    }

    /// Posts a letter and rings if need be; a closed loop gives it back.
    pub(crate) fn post(&self, letter: Letter) -> Result<(), Letter> {
        if self.inbox.post(letter)? == Posted::Ring {
            self.poller.ring();
        }
        Ok(())
    }
}

/// A thread in words.
pub(crate) fn thread_name(thread: &Thread) -> String {
    match thread.name() {
        Some(name) => format!("thread `{name}`"),
        None => format!("thread {:?}", thread.id()),
    }
}

/// An unfinished task in the loop's table.
#[derive(Clone, Copy)]
pub(crate) struct Live {
    pub(crate) task: NonNull<Entry>,
    /// Where it was created.
    pub(crate) location: &'static std::panic::Location<'static>,
}

/// What only the loop's own thread may touch.
pub(crate) struct Home {
    pub(crate) ready: ReadyList,
    pub(crate) memory: FreeList,
    pub(crate) live: RefCell<Slab<Live>>,
    pub(crate) timers: Timers,
    pub(crate) scopes: RefCell<ScopeTree>,
    pub(crate) reactor: Reactor,
    pub(crate) slots: Slots,
    /// How often the step that runs may still take something from outside.
    pub(crate) budget: Cell<u32>,
    pub(crate) time: TimeSource,
    /// The task whose step runs.
    pub(crate) current_task: Cell<Option<NonNull<Entry>>>,
    /// The scope node that is being polled, [`NIL`] at the top of a task.
    pub(crate) current_node: Cell<u32>,
    /// Whose context variables this code sees, where it is not simply the step of a task; and whether it is not.
    inside: RefCell<Inside>,
    pub(crate) is_inside: Cell<bool>,
    /// Whether tasks have their first step at once, if nobody says otherwise.
    pub(crate) eager: Cell<bool>,
    /// Steps begun so far.
    steps: Cell<u64>,
    /// How many had begun when the last one that was inside of another ended, and the number of the one that went on.
    went_on: Cell<(u64, u64)>,
    /// Batches run so far: asyncio's iterations.
    pub(crate) turns: Cell<u64>,
    /// Whether the loop is inside its turn; outside, whatever becomes ready has to ring the bell.
    pub(crate) turning: Cell<bool>,
    pub(crate) running: Cell<bool>,
    pub(crate) stopping: Cell<bool>,
    /// The loop is being taken down: nothing new is accepted.
    pub(crate) closing: Cell<bool>,
    pub(crate) handler: RefCell<Option<Rc<ExceptionHandler>>>,
    pub(crate) debug: Debug,
    /// A buffer that takes turns with the inbox's.
    pub(crate) letters: Cell<Vec<Letter>>,
    task_ids: Cell<(u64, u64)>,
    /// What layers above keep for the life of the loop (the blocking pool), by type.
    pub(crate) extensions: RefCell<Vec<Rc<dyn Any>>>,
}

/// Task numbers are taken from the process-wide counter in lots, so that a spawn costs nothing atomic.
const ID_LOT: u64 = 256;

/// How often one step may take something that refills from outside (a socket, a pipe): then the others have
/// their turn first. Queues and the like have no such limit: what fills them is a task, and it waits.
pub(crate) const BUDGET: u32 = 128;

impl Home {
    pub(crate) fn new(time: TimeSource, debug: Debug) -> Self {
        Self {
            ready: ReadyList::new(),
            memory: FreeList::new(),
            live: RefCell::new(Slab::new()),
            timers: Timers::starting_at(BIRTH),
            scopes: RefCell::new(ScopeTree::new()),
            reactor: Reactor::new(),
            slots: Slots::new(),
            budget: Cell::new(BUDGET),
            time,
            current_task: Cell::new(None),
            current_node: Cell::new(NIL),
            inside: RefCell::new(Inside::Nothing),
            is_inside: Cell::new(false),
            eager: Cell::new(false),
            steps: Cell::new(0),
            went_on: Cell::new((0, 0)),
            turns: Cell::new(0),
            turning: Cell::new(false),
            running: Cell::new(false),
            stopping: Cell::new(false),
            closing: Cell::new(false),
            handler: RefCell::new(None),
            debug,
            letters: Cell::new(Vec::new()),
            task_ids: Cell::new((1, 0)),
            extensions: RefCell::new(Vec::new()),
        }
    }

    /// Whose context variables this code sees, where it is not simply the step of a task.
    pub(crate) fn inside(&self) -> Ref<'_, Inside> {
        self.inside.borrow()
    }

    /// Goes inside of something else; the caller goes back by what this returns.
    #[inline]
    pub(crate) fn go_inside(&self, inside: Inside) -> Inside {
        self.is_inside.set(!matches!(inside, Inside::Nothing));
        self.inside.replace(inside)
    }

    /// Numbers the step that begins.
    #[inline]
    pub(crate) fn begin_step(&self) {
        self.steps.set(self.steps.get() + 1);
    }

    /// The number of the step that runs: no two have the same, and who begins later has the larger one.
    pub(crate) fn step(&self) -> u64 {
        let (begun, number) = self.went_on.get();
        if begun == self.steps.get() { number } else { self.steps.get() }
    }

    /// Says that the step of this number goes on: those that began inside of it have ended.
    pub(crate) fn go_on(&self, number: u64) {
        self.went_on.set((self.steps.get(), number));
    }

    /// A task number: unique in the process, increasing within the loop.
    #[inline]
    pub(crate) fn next_task_id(&self) -> u64 {
        static NEXT_LOT: AtomicU64 = AtomicU64::new(1);
        let (mut next, mut end) = self.task_ids.get();
        if next > end {
            next = NEXT_LOT.fetch_add(ID_LOT, Ordering::Relaxed);
            end = next + ID_LOT - 1;
        }
        self.task_ids.set((next + 1, end));
        next
    }

    /// Whether the step that runs may take one more thing from outside.
    #[inline]
    pub(crate) fn afford(&self) -> bool {
        let left = self.budget.get();
        self.budget.set(left.saturating_sub(1));
        left > 0
    }

    /// Mail comes first: what another thread scheduled before this moment stands before what is scheduled
    /// now, as in asyncio, where both go to the same FIFO at once.
    #[inline]
    pub(crate) fn mail_first(&self, shared: &Shared) {
        if shared.inbox.has_mail() {
            self.collect_mail(shared);
        }
    }

    /// Moves the mail into the FIFO.
    pub(crate) fn collect_mail(&self, shared: &Shared) {
        let mut letters = self.letters.take();
        shared.inbox.collect(&mut letters);
        for letter in letters.drain(..) {
            // SAFETY: the letters come from this loop's own inbox, and `&Home` exists on its thread only.
            unsafe { letter.deliver(&self.ready) };
        }
        self.letters.set(letters);
    }

    /// Tells a host that waits on the bell that there is something to do; inside a turn nobody waits.
    #[inline]
    pub(crate) fn ring_if_idle(&self, shared: &Shared) {
        if !self.turning.get() {
            shared.poller.ring();
        }
    }

    /// The extension of type `T`, made on first use.
    pub(crate) fn extension<T: 'static>(&self, make: impl FnOnce() -> T) -> Rc<T> {
        if let Some(found) = self.find_extension() {
            return found;
        }
        let made = Rc::new(make());
        self.extensions.borrow_mut().push(made.clone());
        made
    }

    /// The extension of type `T`, if there is one.
    pub(crate) fn find_extension<T: 'static>(&self) -> Option<Rc<T>> {
        let all = self.extensions.borrow();
        all.iter().find_map(|any| any.clone().downcast().ok())
    }
}

/// Calls `f` with the loop this thread is in, or returns `None` outside of any.
#[inline]
pub(crate) fn with_current<R>(f: impl FnOnce(&Block, &Home) -> R) -> Option<R> {
    // SAFETY: `Shared` and `Home` are the types of every block that is entered (the aliases above are what
    // the crate uses).
    let block = unsafe { home_cell::current::<Shared, Home>() }?;
    // SAFETY: current, hence alive; and it stays alive until this call returns, since the guard that made it
    // current is held by one of the frames that wait for this one. The reference does not leave this call.
    let block = unsafe { block.as_ref() };
    block.home_if_current().map(|home| f(block, home))
}

/// As [`with_current`], with a reference that may be handed out.
#[inline]
pub(crate) fn with_current_loop<R>(f: impl FnOnce(&LoopRef, &Home) -> R) -> Option<R> {
    // SAFETY: as in `with_current`.
    let block = unsafe { home_cell::current::<Shared, Home>() }?;
    // SAFETY: current, hence alive as long as this call, as in `with_current`; on its birth thread, since a loop is
    // entered nowhere else; the pointer is `current`'s.
    let loop_ref = unsafe { LoopRef::borrowed(block) };
    loop_ref.cell().home_if_current().map(|home| f(&loop_ref, home))
}

/// Being inside of a loop, possibly between its turns, for foreign code that is run on its behalf.
///
/// Nobody who makes something ready in there rings, since inside of a loop somebody is about to look. Between
/// turns that is the host, who sleeps on the bell: this rings for them when it goes.
pub(crate) struct Visit<'a> {
    loop_ref: &'a LoopRef,
    deadline: Option<u64>,
    entered: Option<Entered<Shared, Home>>,
}

impl<'a> Visit<'a> {
    /// Enters the loop, unless this is inside of it already or it is closed.
    pub(crate) fn new(loop_ref: &'a LoopRef) -> Self {
        let elsewhere = !loop_ref.cell().is_current() && !loop_ref.is_closed();
        let entered = elsewhere.then(|| loop_ref.enter());
        let home = entered.as_ref().and_then(Entered::home);
        Self { loop_ref, deadline: home.and_then(|home| home.timers.next_deadline()), entered }
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        if let Some(home) = self.entered.as_ref().and_then(Entered::home)
            && (!home.ready.is_empty() || home.timers.next_deadline() != self.deadline)
        {
            home.ring_if_idle(self.loop_ref.cell().shared());
        }
    }
}

/// Takes a counted reference to the loop this thread is in.
pub(crate) fn current_loop() -> Option<LoopRef> {
    // SAFETY: as in `with_current`.
    let block = unsafe { home_cell::current::<Shared, Home>() }?;
    // SAFETY: current, hence alive; on its birth thread, since a loop is entered nowhere else; the pointer is
    // `current`'s.
    Some(unsafe { LoopRef::retain(block) })
}

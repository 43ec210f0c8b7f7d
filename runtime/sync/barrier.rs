//! A place where a number of tasks meet before any of them goes on, again and again.
//!
//! ```text
//!              the last party arrives
//!   Filling ──────────────────────────► Draining
//!    ▲ ▲ ▲                                │ │ reset, somebody is inside (from Filling and Broken, too)
//!    │ │ └──── the last one has left ─────┘ ▼
//!    │ └────── the last one has left ─── Resetting
//!    └──────── reset, nobody is inside ─ Broken ◄── abort, from anywhere
//! ```
//!
//! *Inside* are those who arrived and have not left: they wait for the others, or were woken and have not run yet.
//! What the state is when they run is what they get. While it drains or resets, newcomers wait outside. Back in
//! `Filling` the barrier calls as many of them as it has room for, and keeps that room for them: nobody who arrives
//! later can take it, so nobody waits outside for ever. They must come themselves, though, and may find another state.

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::stats::BarrierStats;
use crate::kernel::{Place, Standing, WaitList, call_each};

/// Lets tasks wait for each other: a fixed number of them has to arrive before they all go on.
///
/// It can be used any number of times. Share it between tasks by `Rc<Barrier>`.
///
/// # asyncio
/// `asyncio.Barrier`. `reset` and `abort` do not wait there either; here they are plain functions. Differences:
/// indices are always unique, and tasks that wait for the next round keep their turn, whoever comes after them.
///
/// # Examples
/// ```
/// use evloop::{Barrier, gather};
/// use std::rc::Rc;
///
/// evloop::run(async {
///     let barrier = Rc::new(Barrier::new(3));
///     let party = || {
///         let barrier = barrier.clone();
///         async move { barrier.wait().await.unwrap() }
///     };
///     assert_eq!(gather([party(), party(), party()]).await.unwrap(), [0, 1, 2]);
/// });
/// ```
pub struct Barrier {
    parties: usize,
    state: Cell<State>,
    /// How many are inside.
    count: Cell<usize>,
    /// How many were called from outside and have not come.
    called: Cell<usize>,
    inside: WaitList,
    outside: WaitList,
    /// Indices of those who left while it was filling.
    given_back: RefCell<Vec<usize>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Filling,
    Draining,
    Resetting,
    Broken,
}

impl Barrier {
    /// Makes a barrier for so many parties.
    ///
    /// # Panics
    /// If `parties` is 0.
    ///
    /// # asyncio
    /// `asyncio.Barrier(parties)`.
    pub const fn new(parties: usize) -> Self {
        assert!(parties > 0, "a barrier needs at least one party");
        Barrier {
            parties,
            state: Cell::new(State::Filling),
            count: Cell::new(0),
            called: Cell::new(0),
            inside: WaitList::of("Barrier::wait"),
            outside: WaitList::of("Barrier::wait"),
            given_back: RefCell::new(Vec::new()),
        }
    }

    /// Waits until all parties have arrived. Each gets a number of its own below [`parties`](Barrier::parties), in
    /// the order of arrival. The last one to arrive does not wait.
    ///
    /// A round is over when all of its parties have gone on; who calls `wait` before that waits for the next one.
    ///
    /// # Errors
    /// [`BrokenBarrierError`] if the barrier is [aborted](Barrier::abort) before the task goes on, or was before; or
    /// if it is [reset](Barrier::reset) after the task has arrived and before it goes on.
    ///
    /// # Cancel safety
    /// Safe. Dropping the future means not having arrived: the barrier is not broken, and waits for another party,
    /// which gets the number. When the others are on their way already, they go on.
    ///
    /// # asyncio
    /// `await barrier.wait()` or `async with barrier as index:`.
    pub fn wait(&self) -> impl Future<Output = Result<usize, BrokenBarrierError>> {
        Wait { barrier: self, index: None, place: Place::new() }
    }

    /// Begins anew: who has arrived and not gone on gets an error, and when they have all left the barrier fills
    /// again. With nobody inside it does so at once, also if it was broken. Who waits for the next round stays.
    ///
    /// # asyncio
    /// `await barrier.reset()`.
    ///
    /// # Examples
    /// ```
    /// use evloop::{Barrier, BrokenBarrierError};
    ///
    /// let barrier = std::rc::Rc::new(Barrier::new(2));
    /// evloop::run(async {
    ///     let early = evloop::create_task({
    ///         let barrier = barrier.clone();
    ///         async move { barrier.wait().await }
    ///     });
    ///     evloop::yield_now().await;
    ///     barrier.reset();
    ///     assert_eq!(early.await.unwrap(), Err(BrokenBarrierError));
    ///     assert!(!barrier.broken());
    /// });
    /// ```
    pub fn reset(&self) {
        if self.count.get() > 0 {
            self.state.set(State::Resetting);
            self.inside.wake_all();
        } else {
            self.fill();
        }
    }

    /// Breaks the barrier: all who wait, and all who come, get an error, until it is [`reset`](Barrier::reset).
    ///
    /// # asyncio
    /// `await barrier.abort()`.
    ///
    /// # Examples
    /// ```
    /// use evloop::{Barrier, BrokenBarrierError};
    ///
    /// evloop::run(async {
    ///     let barrier = Barrier::new(2);
    ///     barrier.abort();
    ///     assert_eq!(barrier.wait().await, Err(BrokenBarrierError));
    /// });
    /// ```
    pub fn abort(&self) {
        self.state.set(State::Broken);
        self.called.set(self.called.get() + self.outside.len());
        WaitList::wake_all_of(&[&self.inside, &self.outside]);
    }

    /// How many have to arrive.
    ///
    /// # asyncio
    /// `barrier.parties`.
    pub fn parties(&self) -> usize {
        self.parties
    }

    /// How many have arrived and wait for the others; 0 unless the barrier is filling.
    ///
    /// # asyncio
    /// `barrier.n_waiting`.
    pub fn n_waiting(&self) -> usize {
        if self.state.get() == State::Filling { self.count.get() } else { 0 }
    }

    /// Was the barrier aborted, and not reset since?
    ///
    /// # asyncio
    /// `barrier.broken`.
    pub fn broken(&self) -> bool {
        self.state.get() == State::Broken
    }

    /// How many wait, in this round and for the next one.
    ///
    /// # asyncio
    /// No counterpart.
    pub fn stats(&self) -> BarrierStats {
        BarrierStats {
            waiters: self.inside.len(),
            peak_waiters: self.inside.peak(),
            next_round: self.outside.len(),
        }
    }

    /// Is there room for one more than those who are inside and those it is kept for?
    fn has_room(&self) -> bool {
        self.count.get() + self.called.get() < self.parties
    }

    /// Takes one in and gives him his index.
    fn enter(&self) -> usize {
        let fresh = self.count.replace(self.count.get() + 1);
        self.given_back.borrow_mut().pop().unwrap_or(fresh)
    }

    /// Lets one out of those who are inside.
    fn leave(&self, index: usize) {
        self.count.set(self.count.get() - 1);
        let is_empty = self.count.get() == 0;
        match self.state.get() {
            State::Filling | State::Draining | State::Resetting if is_empty => self.fill(),
            State::Filling => {
                self.given_back.borrow_mut().push(index);
                self.call_next();
            }
            State::Draining | State::Resetting | State::Broken => {}
        }
    }

    /// Begins a round; nobody is inside.
    fn fill(&self) {
        self.state.set(State::Filling);
        self.given_back.borrow_mut().clear();
        self.call_next();
    }

    /// Calls from outside as many as there is room for.
    fn call_next(&self) {
        call_each(|| {
            let is_open = self.state.get() == State::Filling && self.has_room();
            let waker = if is_open { self.outside.pop_front()? } else { return None };
            self.called.set(self.called.get() + 1);
            Some(|| waker.wake())
        });
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Barrier")
            .field("state", &self.state.get())
            .field("waiters", &self.n_waiting())
            .field("parties", &self.parties)
            .finish()
    }
}

/// The barrier was aborted, or it was reset while the task was inside.
///
/// # asyncio
/// `asyncio.BrokenBarrierError`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrokenBarrierError;

impl fmt::Display for BrokenBarrierError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the barrier was aborted or reset: not all parties have met")
    }
}

impl Error for BrokenBarrierError {}

struct Wait<'a> {
    barrier: &'a Barrier,
    /// Of one who is inside, and whose place is in that line.
    index: Option<usize>,
    place: Place,
}

impl Future for Wait<'_> {
    type Output = Result<usize, BrokenBarrierError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let barrier = self.barrier;
        if self.index.is_some() {
            return match self.place.poll(&barrier.inside, cx.waker()) {
                Standing::InLine => Poll::Pending,
                Standing::Called | Standing::Outside => Poll::Ready(self.go_on()),
            };
        }
        let standing = self.place.poll(&barrier.outside, cx.waker());
        if standing == Standing::InLine {
            return Poll::Pending;
        }
        let waker = cx.waker().clone(); // foreign code, which may have come in itself: before looking around
        let may_enter = if standing == Standing::Called {
            barrier.called.set(barrier.called.get() - 1);
            true
        } else {
            barrier.has_room()
        };
        match barrier.state.get() {
            State::Broken => return Poll::Ready(Err(BrokenBarrierError)),
            State::Filling if may_enter => {}
            State::Filling | State::Draining | State::Resetting => {
                self.place.enter_as(&barrier.outside, waker);
                return Poll::Pending;
            }
        }
        self.index = Some(barrier.enter());
        if barrier.count.get() < barrier.parties {
            self.place.enter_as(&barrier.inside, waker);
            return Poll::Pending;
        }
        barrier.state.set(State::Draining);
        barrier.inside.wake_all();
        Poll::Ready(self.go_on())
    }
}

impl Wait<'_> {
    fn go_on(&mut self) -> Result<usize, BrokenBarrierError> {
        let index = self.index.take().expect("it is inside");
        let all_met = self.barrier.state.get() == State::Draining;
        self.barrier.leave(index);
        if all_met { Ok(index) } else { Err(BrokenBarrierError) }
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let barrier = self.barrier;
        match self.index.take() {
            Some(index) => {
                self.place.leave(&barrier.inside);
                barrier.leave(index);
            }
            None => {
                if self.place.leave(&barrier.outside) == Standing::Called {
                    barrier.called.set(barrier.called.get() - 1);
                    barrier.call_next();
                }
            }
        }
    }
}

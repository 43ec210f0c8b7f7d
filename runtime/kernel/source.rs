//! A descriptor that tasks wait for: its life between the system's poller and the loop's slots.
//!
//! A [`Source`] is `Send` and `Sync` without a lock if what it holds is: it consists of the descriptor, and,
//! once somebody had to wait for it, of a counted reference to the loop and the number of a slot there. All
//! else, readiness and waiters, is in the slot, at home.
//!
//! ```text
//! new ──── first wait ───► bound to this loop ──── dropped, anywhere ───► out of the poller at once,
//!                               │    ▲                                    on that thread; then closed;
//!                               └────┘                                    the slot is freed at home,
//!             &mut self, poll_*: moves to another loop                    by mail if this is not home
//! ```
//!
//! It is bound no earlier, so accepting on one loop and serving on another costs nothing. Used on another
//! loop through `&self`, and off any loop, it answers with an error that says so.

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::thread;

use polling::AsSource;

use super::context::{Home, RemoteRef, Shared, current_loop, thread_name, with_current};
use super::debug::probe;
use super::reactor::{Direction, Handle, Interest, PollMode, SharedPoller, Watched};
use super::report::guarded;
use super::slots::{Owner, Rearm, Slot, SlotKey, WaiterKey, Watcher, Who};
use super::task::callback::Callback;

/// See the module's description.
pub(crate) struct Source<T: AsSource> {
    watched: Watched<T, Place>,
}

/// Where a source is registered. Its slot goes with it.
struct Place {
    remote: RemoteRef,
    key: SlotKey,
    handle: Handle<Slot>,
}

impl Drop for Place {
    /// The registration has ended by now, or was never made; and a slot is reused at home only.
    fn drop(&mut self) {
        let key = self.key;
        if let Some(home) = self.remote.home_if_current() {
            free(home, key);
        } else if let Err(letter) = self.remote.shared().post(Callback::letter(move || {
            with_current(|_, home| free(home, key));
        })) {
            // The loop is gone, and its slots with it.
            letter.discard();
        }
    }
}

/// Frees a slot. Whoever still waits there waits for nothing: they are woken, to find that out.
fn free(home: &Home, key: SlotKey) {
    for watcher in home.slots.free(key) {
        if let Watcher::Wake(waker) = watcher {
            guarded("a waker panicked", || waker.wake());
        }
    }
}

impl AsRef<SharedPoller> for Place {
    fn as_ref(&self) -> &SharedPoller {
        &self.remote.shared().poller
    }
}

/// What an operation on a descriptor that is ready has brought.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Done<R> {
    pub(crate) value: R,
    /// It got less than it asked for: there is nothing more, as far as that can be known.
    pub(crate) drained: bool,
}

impl<R> Done<R> {
    /// There may be more.
    pub(crate) fn more(value: R) -> Self {
        Self { value, drained: false }
    }
}

impl Done<usize> {
    /// A read into a buffer of `room` bytes. Nothing at all is the end, which can be read again.
    pub(crate) fn read(count: usize, room: usize) -> Self {
        Self { value: count, drained: 0 < count && count < room }
    }
}

impl<T: AsSource> Source<T> {
    /// The descriptor must be non-blocking.
    pub(crate) fn new(io: T) -> Self {
        Self { watched: Watched::new(io) }
    }

    #[inline]
    pub(crate) fn io(&self) -> &T {
        self.watched.io()
    }

    /// The descriptor, out of the loop.
    pub(crate) fn into_io(self) -> T {
        self.watched.into_io()
    }

    /// Tries `op` if the descriptor may be ready, and otherwise waits until it is. `op` is repeated if it says
    /// [`Interrupted`](io::ErrorKind::Interrupted).
    #[inline(always)]
    pub(crate) fn poll_io<R>(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        mut who: Who<'_>,
        mut op: impl FnMut(&T) -> io::Result<Done<R>>,
    ) -> Poll<io::Result<R>> {
        let Some(place) = self.watched.place() else {
            return self.poll_unbound(cx, direction, who, op);
        };
        let Some(home) = place.remote.home_if_current() else { return Poll::Ready(Err(elsewhere(place))) };
        let Some(slot) = home.slots.at(&place.handle) else { return Poll::Ready(Err(closed())) };
        while slot.is_ready(direction) {
            if !home.afford() {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            match op(self.io()) {
                Ok(done) => {
                    if done.drained {
                        slot.drained(direction);
                    }
                    slot.forget_told(direction, &mut who);
                    return Poll::Ready(Ok(done.value));
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => slot.exhausted(direction),
                    io::ErrorKind::Interrupted => {}
                    _ => return Poll::Ready(Err(error)),
                },
            }
        }
        if home.slots.wait_again(slot, direction, &mut who, cx.waker()) {
            return Poll::Pending;
        }
        wait(home, slot, place, direction, who, cx.waker())
            .map_or_else(|error| Poll::Ready(Err(error)), |()| Poll::Pending)
    }

    /// The first operations: nothing is registered, so it is tried first.
    #[cold]
    #[inline(never)]
    fn poll_unbound<R>(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        who: Who<'_>,
        mut op: impl FnMut(&T) -> io::Result<Done<R>>,
    ) -> Poll<io::Result<R>> {
        loop {
            match with_current(|_, home| home.afford()) {
                None => return Poll::Ready(Err(no_loop())),
                Some(true) => {}
                Some(false) => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
            }
            match op(self.io()) {
                Ok(done) => return Poll::Ready(Ok(done.value)),
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => break,
                    io::ErrorKind::Interrupted => {}
                    _ => return Poll::Ready(Err(error)),
                },
            }
        }
        self.poll_first_wait(cx, direction, who).map(Err)
    }

    /// Registers and waits.
    #[cold]
    fn poll_first_wait(&self, cx: &mut Context<'_>, direction: Direction, who: Who<'_>) -> Poll<io::Error> {
        let bound = match self.watched.place() {
            // An operation of the user's, that has waited for the same descriptor, was faster.
            Some(_) => Ok(()),
            None => with_current(|block, home| self.bind(block.shared(), home, direction))
                .unwrap_or_else(|| Err(no_loop())),
        };
        let result = bound.and_then(|()| {
            let place = self.watched.place().ok_or_else(no_loop)?;
            let home = place.remote.home_if_current().ok_or_else(|| elsewhere(place))?;
            let slot = home.slots.at(&place.handle).ok_or_else(closed)?;
            wait(home, slot, place, direction, who, cx.waker())
        });
        match result {
            Ok(()) => Poll::Pending,
            Err(error) => Poll::Ready(error),
        }
    }

    /// Registers with the loop this code runs in. `exhausted` is the direction in which there was nothing.
    fn bind(&self, shared: &Shared, home: &Home, exhausted: Direction) -> io::Result<()> {
        let Some(loop_ref) = current_loop().filter(|_| !home.closing.get()) else { return Err(closed()) };
        let mode = shared.poller.mode();
        let exhausted = Interest::of(exhausted);
        let armed = if mode == PollMode::Edge { Interest::BOTH } else { exhausted };
        let key = home.slots.reserve(Owner::Source, mode, armed, exhausted);
        let handle = home.slots.handle(key).ok_or_else(closed)?;
        let place = Place { remote: RemoteRef::new(&loop_ref), key, handle };
        if let Err(error) = self.watched.bind(place, key.as_usize(), armed, mode) {
            return Err(match self.watched.place() {
                Some(place) => elsewhere(place),
                None if error.kind() == io::ErrorKind::AlreadyExists => watched_otherwise(),
                None => error,
            });
        }
        for stale in home.slots.registered(key, self.watched.raw()) {
            if let Watcher::Call(call) = stale {
                guarded("a callback panicked when it was dropped", || call.end());
            }
        }
        Ok(())
    }

    /// Whoever has it alone may take it along to another loop.
    #[inline]
    pub(crate) fn come_here(&mut self) {
        if self.watched.place().is_some_and(|place| !place.remote.is_current()) {
            drop(self.watched.unbind());
        }
    }

    /// Waits until the descriptor may be ready.
    pub(crate) fn poll_ready(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        who: Who<'_>,
    ) -> Poll<io::Result<()>> {
        // Without a registration nothing would remember that there was nothing.
        if self.watched.place().is_none() {
            return self.poll_first_wait(cx, direction, who).map(Err);
        }
        self.poll_io(cx, direction, who, |_| Ok(Done::more(())))
    }

    /// Waits until the descriptor may be ready: try then, and wait again if there is nothing.
    pub(crate) fn ready<W: Way>(&self) -> Ready<'_, T, W> {
        Ready(Standing::new(self))
    }

    /// A future that tries `op` whenever the descriptor may be ready, until it does not say
    /// [`WouldBlock`](io::ErrorKind::WouldBlock).
    pub(crate) fn io_when<W, R, F>(&self, _: W, op: F) -> Io<'_, T, W, F>
    where
        W: Way,
        F: FnMut(&T) -> io::Result<Done<R>>,
    {
        Io { standing: Standing::new(self), at_once: false, op }
    }

    /// Does what needs no readiness.
    #[cold]
    fn try_at_once<R>(&self, op: impl FnMut(&T) -> io::Result<Done<R>>) -> io::Result<R> {
        match self.watched.place() {
            Some(place) if !place.remote.is_current() => Err(elsewhere(place)),
            None if with_current(|_, _| ()).is_none() => Err(no_loop()),
            _ => retried(self.io(), op).map(|done| done.value),
        }
    }

    /// Tries `op` at once, if the descriptor may be ready; notes it if it is not.
    pub(crate) fn try_io<R>(
        &self,
        direction: Direction,
        op: impl FnMut(&T) -> io::Result<Done<R>>,
    ) -> io::Result<R> {
        let place = self.watched.place();
        let here = match place {
            Some(place) => Some((place, place.remote.home_if_current().ok_or_else(|| elsewhere(place))?)),
            None if with_current(|_, _| ()).is_none() => return Err(no_loop()),
            None => None,
        };
        let slot = match here {
            Some((place, home)) => Some(home.slots.at(&place.handle).ok_or_else(closed)?),
            None => None,
        };
        // Unless nobody has had the kernel watch since: then no event would ever say that there is something again.
        if slot.is_some_and(|slot| !slot.is_ready(direction) && slot.is_armed(direction)) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let result = retried(self.io(), op);
        if let Some(slot) = slot {
            match &result {
                Ok(done) if done.drained => slot.drained(direction),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => slot.exhausted(direction),
                _ => {}
            }
        }
        result.map(|done| done.value)
    }
}

/// Repeats what a signal has interrupted.
fn retried<T, R>(io: &T, mut op: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
    loop {
        match op(io) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Stands in line, and has the kernel watch.
#[inline(never)]
fn wait(
    home: &Home,
    slot: &Slot,
    place: &Place,
    direction: Direction,
    who: Who<'_>,
    waker: &Waker,
) -> io::Result<()> {
    // The loop frees all slots at its end, and whoever waits then waits for nothing.
    if !slot.in_use() {
        return Err(closed());
    }
    probe::waits_for(|| slot.what_is_waited_for(direction).into());
    let (former, rearm) = home.slots.wait(slot, place.key, direction, who, waker);
    drop(former);
    rearm.map_or(Ok(()), |rearm| apply(slot, place.as_ref(), rearm))
}

/// Makes a change that a slot asks for.
pub(super) fn apply(slot: &Slot, poller: &SharedPoller, rearm: Rearm) -> io::Result<()> {
    let result = poller.modify(rearm.raw, rearm.key.as_usize(), rearm.interest, rearm.mode);
    if result.is_err() {
        slot.disarmed();
    }
    result
}

/// Why a source that is bound cannot be used here.
#[cold]
fn elsewhere(place: &Place) -> io::Error {
    let there = place.remote.shared().whereabouts();
    io::Error::other(match with_current(|block, _| block.shared().whereabouts()) {
        None => format!(
            "no event loop runs on this thread, {}, and this socket is registered with {there}: use it there, inside of \
             evloop::run",
            thread_name(&thread::current()),
        ),
        Some(here) => format!(
            "this socket has waited in another event loop, {there}, and is registered there, while this is {here}: use it \
             there, or where you have it alone move it by `&mut` (poll_read, poll_write and the like) or by `into_std` and \
             `from_std`"
        ),
    })
}

#[cold]
fn no_loop() -> io::Error {
    let name = thread_name(&thread::current());
    io::Error::other(format!("no event loop runs on this thread, {name}: use sockets inside of evloop::run"))
}

#[cold]
pub(super) fn closed() -> io::Error {
    io::Error::other("the event loop is being closed: nothing can be waited for any more")
}

#[cold]
pub(super) fn watched_otherwise() -> io::Error {
    io::Error::new(
        io::ErrorKind::AlreadyExists,
        "this descriptor is watched in this event loop already, by add_reader, add_writer or another owner",
    )
}

/// A place in a slot's line, left when dropped.
struct Standing<'a, T: AsSource, W: Way> {
    source: &'a Source<T>,
    waiter: Option<WaiterKey>,
    way: PhantomData<W>,
}

impl<'a, T: AsSource, W: Way> Standing<'a, T, W> {
    fn new(source: &'a Source<T>) -> Self {
        Self { source, waiter: None, way: PhantomData }
    }
}

impl<T: AsSource, W: Way> Drop for Standing<'_, T, W> {
    fn drop(&mut self) {
        // On another thread, the waker stays behind until the next event, and wakes a task that does not mind.
        if let Some(waiter) = self.waiter
            && let Some(place) = self.source.watched.place()
            && let Some(home) = place.remote.home_if_current()
        {
            drop(home.slots.leave(place.key, W::DIRECTION, waiter));
        }
    }
}

/// A direction as a type, so that a future need not remember its own.
pub(crate) trait Way {
    const DIRECTION: Direction;
}

/// See [`Way`].
pub(crate) struct Reading;

/// See [`Way`].
pub(crate) struct Writing;

impl Way for Reading {
    const DIRECTION: Direction = Direction::Read;
}

impl Way for Writing {
    const DIRECTION: Direction = Direction::Write;
}

/// The future of [`Source::io_when`].
pub(crate) struct Io<'a, T: AsSource, W: Way, F> {
    standing: Standing<'a, T, W>,
    /// There is nothing that could be waited for.
    at_once: bool,
    op: F,
}

impl<T: AsSource, W: Way, F> Io<'_, T, W, F> {
    /// Does not wait for readiness if `trivial`: then `op` never says [`WouldBlock`](io::ErrorKind::WouldBlock).
    pub(crate) fn at_once_if(mut self, trivial: bool) -> Self {
        self.at_once = trivial;
        self
    }
}

// Nothing in it is pinned.
impl<T: AsSource, W: Way, F> Unpin for Io<'_, T, W, F> {}

impl<T, R, W, F> Future for Io<'_, T, W, F>
where
    T: AsSource,
    W: Way,
    F: FnMut(&T) -> io::Result<Done<R>>,
{
    type Output = io::Result<R>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { standing, at_once, op } = &mut *self;
        if *at_once {
            return Poll::Ready(standing.source.try_at_once(op));
        }
        standing.source.poll_io(cx, W::DIRECTION, Who::Future(&mut standing.waiter), op)
    }
}

/// The future of [`Source::ready`].
pub(crate) struct Ready<'a, T: AsSource, W: Way>(Standing<'a, T, W>);

impl<T: AsSource, W: Way> Unpin for Ready<'_, T, W> {}

impl<T: AsSource, W: Way> Future for Ready<'_, T, W> {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let standing = &mut self.0;
        standing.source.poll_ready(cx, W::DIRECTION, Who::Future(&mut standing.waiter))
    }
}

impl<T: AsSource + fmt::Debug> fmt::Debug for Source<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.io().fmt(f)
    }
}

//! `add_reader` and `add_writer`: a callback for each iteration in which a descriptor is ready.
//!
//! The descriptor is somebody else's, and is registered level-triggered: as long as it is ready, each look at
//! the system calls again. A callback is scheduled like any other, into the one FIFO.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::rc::Rc;

use super::context::{Home, Shared, with_current};
use super::loop_handle::LoopHandle;
use super::reactor::{Direction, Interest};
use super::report::guarded;
use super::slots::{Owner, Repeated, Slot, Watcher};
use super::source::{closed, watched_otherwise};
use super::task::callback::Callback;
use super::task::captured_context;
use super::variables::Context;

/// A callback that is scheduled again and again.
struct Reader {
    callback: RefCell<Option<Box<dyn FnMut()>>>,
    /// It stands in the FIFO.
    scheduled: Cell<bool>,
    removed: Cell<bool>,
    /// What it runs in, each time.
    context: Option<Context>,
}

impl Reader {
    fn run(&self) {
        self.scheduled.set(false);
        // Outside while it runs: it may remove itself, or be replaced.
        let callback = if self.removed.get() { None } else { self.callback.take() };
        let mut back = Back { reader: self, callback };
        if let Some(callback) = &mut back.callback {
            callback();
        }
    }
}

impl Repeated for Reader {
    fn due(self: Rc<Self>) {
        if !self.scheduled.replace(true) {
            with_current(|_, home| {
                let reader = self.clone();
                let context = reader.context.clone();
                Callback::new(move || reader.run()).within(context).schedule(home);
            });
        }
    }

    fn end(&self) {
        self.removed.set(true);
        drop(self.callback.take());
    }
}

/// Puts a callback back after its call, also when it panics.
struct Back<'a> {
    reader: &'a Reader,
    callback: Option<Box<dyn FnMut()>>,
}

impl Drop for Back<'_> {
    fn drop(&mut self) {
        if !self.reader.removed.get() {
            *self.reader.callback.borrow_mut() = self.callback.take();
        }
    }
}

impl LoopHandle {
    /// Calls `callback` in each iteration in which there is something to read on the descriptor, or its end,
    /// until [`remove_reader`](Self::remove_reader). A second callback for the same descriptor replaces the
    /// first. Remove it before the descriptor is closed. Unix only.
    ///
    /// # Errors
    /// [`AlreadyExists`](io::ErrorKind::AlreadyExists) if a socket of this crate or an
    /// [`AsyncFd`](crate::AsyncFd) is waited for under this descriptor; what the system says (regular files
    /// are refused); an error once the loop is closed.
    ///
    /// # asyncio
    /// `loop.add_reader(fd, callback)`.
    ///
    /// # Examples
    /// ```
    /// use std::io::{Read, Write};
    /// use std::os::unix::net::UnixStream;
    ///
    /// evloop::run(async {
    ///     let event_loop = evloop::get_running_loop().unwrap();
    ///     let (mut one, other) = UnixStream::pair()?;
    ///     let got = evloop::Promise::new();
    ///     event_loop.add_reader(&other, {
    ///         let (got, mut other) = (got.clone(), other.try_clone()?);
    ///         move || {
    ///             let mut byte = [0];
    ///             other.read_exact(&mut byte).unwrap();
    ///             let _ = got.set_result(byte[0]);
    ///         }
    ///     })?;
    ///     one.write_all(b"!")?;
    ///     assert_eq!(got.await.unwrap(), b'!');
    ///     assert!(event_loop.remove_reader(&other));
    /// #   Ok::<(), std::io::Error>(())
    /// })
    /// # .unwrap();
    /// ```
    pub fn add_reader(&self, fd: impl AsFd, callback: impl FnMut() + 'static) -> io::Result<()> {
        self.watch(&fd, Direction::Read, Box::new(callback))
    }

    /// Calls `callback` in each iteration in which the descriptor takes something. As
    /// [`add_reader`](Self::add_reader).
    ///
    /// # Errors
    /// As `add_reader`.
    ///
    /// # asyncio
    /// `loop.add_writer(fd, callback)`.
    pub fn add_writer(&self, fd: impl AsFd, callback: impl FnMut() + 'static) -> io::Result<()> {
        self.watch(&fd, Direction::Write, Box::new(callback))
    }

    /// Ends what [`add_reader`](Self::add_reader) began; a call that is due is not made any more. `false` if there
    /// was nothing to end, or the loop is closed.
    ///
    /// # asyncio
    /// `loop.remove_reader(fd)`.
    pub fn remove_reader(&self, fd: impl AsFd) -> bool {
        self.unwatch(&fd, Direction::Read)
    }

    /// Ends what [`add_writer`](Self::add_writer) began. As [`remove_reader`](Self::remove_reader).
    ///
    /// # asyncio
    /// `loop.remove_writer(fd)`.
    pub fn remove_writer(&self, fd: impl AsFd) -> bool {
        self.unwatch(&fd, Direction::Write)
    }
}

impl LoopHandle {
    fn watch(&self, fd: &impl AsFd, direction: Direction, callback: Box<dyn FnMut()>) -> io::Result<()> {
        let reader = Rc::new(Reader {
            callback: RefCell::new(Some(callback)),
            scheduled: Cell::new(false),
            removed: Cell::new(false),
            context: captured_context(),
        });
        let shared = self.loop_ref().cell().shared();
        let watched = self.loop_ref().with(|home| {
            if home.closing.get() {
                return Err(closed());
            }
            watch(home, shared, fd, direction, &reader)
        });
        watched.unwrap_or_else(|| Err(closed()))
    }

    fn unwatch(&self, fd: &impl AsFd, direction: Direction) -> bool {
        let raw = fd.as_fd().as_raw_fd();
        let poller = &self.loop_ref().cell().shared().poller;
        let former = self.loop_ref().with(|home| {
            let (slot, _) = home.slots.find(raw).filter(|(_, owner)| *owner == Owner::Callbacks)?;
            let former = home.slots.set_repeating(slot, direction, None)?;
            let left = home.slots.get(slot)?.wanted();
            // It fails if the descriptor was closed behind our back: then it has left by itself.
            if left.is_empty() {
                let _ = poller.delete(raw);
                drop(home.slots.free(slot));
            } else {
                let _ = poller.modify(raw, slot.as_usize(), left, poller.repeating_mode());
            }
            Some(former)
        });
        former.flatten().map(end).is_some()
    }
}

fn watch(
    home: &Home,
    shared: &Shared,
    fd: &impl AsFd,
    direction: Direction,
    reader: &Rc<Reader>,
) -> io::Result<()> {
    if replace(home, shared, fd, direction, reader)? {
        return Ok(());
    }
    add(home, shared, fd, direction, reader.clone())
}

/// Lets a reader watch a descriptor that others watch already, maybe in the same direction. `false` if there
/// are none, or what they watch was closed and its number stands for another descriptor now.
fn replace(
    home: &Home,
    shared: &Shared,
    fd: &impl AsFd,
    direction: Direction,
    reader: &Rc<Reader>,
) -> io::Result<bool> {
    let raw = fd.as_fd().as_raw_fd();
    let found = home.slots.find(raw).filter(|(_, owner)| *owner == Owner::Callbacks);
    let Some((slot, _)) = found else { return Ok(false) };
    let interest = home.slots.get(slot).map_or(Interest::NONE, Slot::wanted).with(Interest::of(direction));
    match shared.poller.modify(raw, slot.as_usize(), interest, shared.poller.repeating_mode()) {
        Ok(()) => {
            home.slots.set_repeating(slot, direction, Some(reader.clone())).into_iter().for_each(end);
            Ok(true)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Registers a descriptor for its first reader.
fn add(
    home: &Home,
    shared: &Shared,
    fd: &impl AsFd,
    direction: Direction,
    reader: Rc<Reader>,
) -> io::Result<()> {
    let (mode, interest) = (shared.poller.repeating_mode(), Interest::of(direction));
    let slot = home.slots.reserve(Owner::Callbacks, mode, interest, Interest::NONE);
    if let Err(error) = shared.poller.add_fd(fd.as_fd(), slot.as_usize(), interest, mode) {
        drop(home.slots.free(slot));
        return Err(if error.kind() == io::ErrorKind::AlreadyExists { watched_otherwise() } else { error });
    }
    let raw = fd.as_fd().as_raw_fd();
    let closed = home.slots.registered(slot, raw);
    if closed.is_empty() {
        home.slots.set_repeating(slot, direction, Some(reader));
        return Ok(());
    }
    // Their end comes first, and drops others' closures, which may come here again: so everything is as before.
    let _ = shared.poller.delete(raw);
    drop(home.slots.free(slot));
    closed.into_iter().for_each(end);
    watch(home, shared, fd, direction, &reader)
}

fn end(watcher: Watcher) {
    if let Watcher::Call(call) = watcher {
        guarded("a callback panicked when it was dropped", || call.end());
    }
}

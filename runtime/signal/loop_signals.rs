//! A loop's side: its pipe, who listens, and what becomes of a byte that has arrived.
//!
//! The pipe is made with the loop's first listener and lives as long as the loop; it is watched only while
//! somebody listens, since a loop on the virtual clock keeps real time as long as it watches something. What the
//! watching calls is an entry of the FIFO like any other. It reads a bounded number of signals; each of them
//! schedules the loop's callback and wakes the loop's streams of its kind, in the order in which they were added.

use std::cell::{Cell, RefCell};
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::rc::{Rc, Weak};

use super::handlers::Handler;
use super::kind::Signal;
use super::post_box::{INTERRUPT, LOOK, PostBox};
use super::registry;
use super::stream::Waiting;
use crate::kernel::LoopHandle;

/// Most signals in one look. More wait for the next one, so that a rain of them leaves room for others.
const MOST: usize = 64;

/// See the module's description. Shared by the loop and its streams.
pub(super) struct LoopSignals {
    handle: LoopHandle,
    /// A forked child may have a copy of this, which is nobody's.
    process: u32,
    mailbox: RefCell<Option<Rc<Mailbox>>>,
    listeners: RefCell<Vec<Listener>>,
    /// The `Runner`, for SIGINT that nobody listens to.
    interrupts: RefCell<Option<Rc<dyn Fn()>>>,
    watching: Cell<bool>,
    over: Cell<bool>,
}

struct Listener {
    signal: Signal,
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    Callback(Rc<Handler>),
    Stream(Rc<Waiting>),
}

/// A post box with its pipe.
struct Mailbox {
    post_box: &'static PostBox,
    reader: io::PipeReader,
    _writer: io::PipeWriter,
}

impl Mailbox {
    fn new(process: u32) -> io::Result<Self> {
        let (reader, writer) = pipe()?;
        let post_box = registry::take_post_box(process);
        post_box.open(writer.as_raw_fd(), process);
        Ok(Self { post_box, reader, _writer: writer })
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        // Before the pipe is closed.
        let process = std::process::id();
        self.post_box.close(process);
        registry::give_post_box_back(self.post_box, process);
    }
}

/// A pipe that never blocks.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn pipe() -> io::Result<(io::PipeReader, io::PipeWriter)> {
    use rustix::pipe::{PipeFlags, pipe_with};
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    Ok((reader.into(), writer.into()))
}

/// A pipe that never blocks.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn pipe() -> io::Result<(io::PipeReader, io::PipeWriter)> {
    let (reader, writer) = io::pipe()?;
    rustix::io::ioctl_fionbio(&reader, true)?;
    rustix::io::ioctl_fionbio(&writer, true)?;
    Ok((reader, writer))
}

/// The loop's own reference, in its table of extensions: what it drops is over.
struct AtTheLoopsEnd(Rc<LoopSignals>);

impl Drop for AtTheLoopsEnd {
    fn drop(&mut self) {
        self.0.end();
    }
}

fn closed() -> io::Error {
    io::Error::other("the event loop is closed; keep the EventLoop alive as long as its handles are used")
}

impl LoopSignals {
    /// Those of a loop, made on first use.
    pub(super) fn of(handle: &LoopHandle, process: u32) -> io::Result<Rc<Self>> {
        let make = || {
            AtTheLoopsEnd(Rc::new(Self {
                handle: handle.clone(),
                process,
                mailbox: RefCell::default(),
                listeners: RefCell::default(),
                interrupts: RefCell::default(),
                watching: Cell::new(false),
                over: Cell::new(false),
            }))
        };
        let at_the_end = handle.loop_ref().with(|home| (!home.closing.get()).then(|| home.extension(make)));
        at_the_end.flatten().map(|at_the_end| at_the_end.0.clone()).ok_or_else(closed)
    }

    /// Those of a loop, if anybody has ever listened there.
    pub(super) fn find(handle: &LoopHandle) -> Option<Rc<Self>> {
        let found = handle.loop_ref().with(|home| home.find_extension::<AtTheLoopsEnd>());
        found.flatten().map(|at_the_end| at_the_end.0.clone())
    }

    /// Whether the loop has ended.
    pub(super) fn is_over(&self) -> bool {
        self.over.get()
    }

    pub(super) fn add_stream(self: &Rc<Self>, signal: Signal) -> io::Result<Rc<Waiting>> {
        let waiting = Rc::new(Waiting::default());
        self.add(signal, Kind::Stream(waiting.clone()))?;
        Ok(waiting)
    }

    pub(super) fn remove_stream(self: &Rc<Self>, waiting: &Rc<Waiting>) {
        self.remove(|_, kind| matches!(kind, Kind::Stream(other) if Rc::ptr_eq(other, waiting)));
    }

    /// The callback of a signal, if there is one.
    pub(super) fn callback(&self, signal: Signal) -> Option<Rc<Handler>> {
        self.listeners.borrow().iter().find_map(|listener| match &listener.kind {
            Kind::Callback(handler) if listener.signal == signal => Some(handler.clone()),
            _ => None,
        })
    }

    pub(super) fn add_callback(self: &Rc<Self>, signal: Signal, handler: Rc<Handler>) -> io::Result<()> {
        self.add(signal, Kind::Callback(handler))
    }

    pub(super) fn remove_callback(self: &Rc<Self>, signal: Signal) -> Option<Rc<Handler>> {
        match self.remove(|of, kind| of == signal && matches!(kind, Kind::Callback(_)))? {
            Kind::Callback(handler) => Some(handler),
            Kind::Stream(_) => None,
        }
    }

    fn add(self: &Rc<Self>, signal: Signal, kind: Kind) -> io::Result<()> {
        let process = std::process::id();
        let mailbox = self.mailbox(process)?;
        if !self.listens(signal) {
            mailbox.post_box.want(signal.byte());
            if let Err(error) = registry::listen(signal.as_raw(), process) {
                mailbox.post_box.want_no_more(signal.byte());
                return Err(error);
            }
        }
        self.listeners.borrow_mut().push(Listener { signal, kind });
        self.watch(&mailbox).inspect_err(|_| {
            let last = self.listeners.borrow_mut().pop();
            self.left(signal, process);
            drop(last);
        })
    }

    fn remove(self: &Rc<Self>, which: impl Fn(Signal, &Kind) -> bool) -> Option<Kind> {
        let mut listeners = self.listeners.borrow_mut();
        let place = listeners.iter().position(|listener| which(listener.signal, &listener.kind))?;
        let listener = listeners.remove(place);
        drop(listeners);
        let process = std::process::id();
        self.left(listener.signal, process);
        self.watch_no_more(process);
        Some(listener.kind)
    }

    fn listens(&self, signal: Signal) -> bool {
        self.listeners.borrow().iter().any(|listener| listener.signal == signal)
    }

    /// Somebody has left who listened to this signal.
    fn left(&self, signal: Signal, process: u32) {
        if !self.listens(signal) && self.process == process {
            if let Some(mailbox) = &*self.mailbox.borrow() {
                mailbox.post_box.want_no_more(signal.byte());
            }
            registry::leave(signal.as_raw(), process);
        }
    }

    /// The `Runner` begins to listen to SIGINT, if nobody else does. What came for it earlier is gone.
    pub(super) fn add_interrupts(self: &Rc<Self>, hook: Rc<dyn Fn()>, process: u32) -> io::Result<()> {
        let mailbox = self.mailbox(process)?;
        // Of a handler on another thread that was still at work when the run before had ended.
        mailbox.post_box.notice();
        mailbox.post_box.want(INTERRUPT);
        registry::listen(libc::SIGINT, process).inspect_err(|_| mailbox.post_box.want_no_more(INTERRUPT))?;
        *self.interrupts.borrow_mut() = Some(hook);
        self.watch(&mailbox).inspect_err(|_| self.remove_interrupts())
    }

    pub(super) fn remove_interrupts(self: &Rc<Self>) {
        let hook = self.interrupts.borrow_mut().take();
        let process = std::process::id();
        if hook.is_none() || self.process != process {
            return;
        }
        if let Some(mailbox) = self.mailbox.borrow().clone() {
            mailbox.post_box.want_no_more(INTERRUPT);
            registry::leave(libc::SIGINT, process);
            // It came too late, and is not the next run's: its byte means nothing any more.
            mailbox.post_box.notice();
        }
        self.watch_no_more(process);
    }

    fn mailbox(&self, process: u32) -> io::Result<Rc<Mailbox>> {
        if self.over.get() || self.process != process {
            return Err(closed());
        }
        let mut place = self.mailbox.borrow_mut();
        if let Some(mailbox) = &*place {
            return Ok(mailbox.clone());
        }
        let mailbox = Rc::new(Mailbox::new(self.process)?);
        *place = Some(mailbox.clone());
        Ok(mailbox)
    }

    fn watch(self: &Rc<Self>, mailbox: &Mailbox) -> io::Result<()> {
        if !self.watching.get() {
            let this = Rc::downgrade(self);
            self.handle.add_reader(&mailbox.reader, move || arrived(&this))?;
            self.watching.set(true);
        }
        self.say_who_listens();
        Ok(())
    }

    fn watch_no_more(&self, process: u32) {
        if self.process != process {
            // A forked child has the parent's poller, not a copy of it.
            return;
        }
        let nobody = self.listeners.borrow().is_empty() && self.interrupts.borrow().is_none();
        if nobody && self.watching.replace(false) {
            let mailbox = self.mailbox.borrow().clone();
            if let Some(mailbox) = mailbox {
                self.handle.remove_reader(&mailbox.reader);
            }
        }
        self.say_who_listens();
    }

    /// For debug mode: if only the runner listens, to Ctrl-C, the program waits for nothing here.
    fn say_who_listens(&self) {
        let alone = self.watching.get() && self.listeners.borrow().is_empty();
        self.handle.loop_ref().with(|home| home.debug.background.set(usize::from(alone)));
    }

    /// Takes bytes out of the pipe, and does what they say. There may be more; the pipe is watched, so that is seen
    /// again.
    fn read(&self, mailbox: &Mailbox) {
        let mut bytes = [0; MOST];
        let count = (&mailbox.reader).read(&mut bytes).unwrap_or(0);
        for &byte in &bytes[..count] {
            self.hear(byte, mailbox.post_box);
        }
        // After each look: the pipe may be empty now without having said so.
        for number in mailbox.post_box.take_overflow() {
            self.hear(number, mailbox.post_box);
        }
    }

    fn hear(&self, byte: u8, post_box: &PostBox) {
        match byte {
            LOOK => {}
            // One that was noticed before is of a run that has ended.
            INTERRUPT if !post_box.notice() => {}
            INTERRUPT => {
                let hook = self.interrupts.borrow().clone();
                if let Some(hook) = hook {
                    hook();
                }
            }
            number => {
                let listeners = self.listeners.borrow();
                let concerned = listeners.iter().filter(|listener| listener.signal.byte() == number);
                let concerned: Vec<_> = concerned.map(|listener| listener.kind.clone()).collect();
                drop(listeners);
                for kind in concerned {
                    match kind {
                        Kind::Callback(handler) => handler.schedule(&self.handle),
                        Kind::Stream(waiting) => waiting.arrive(),
                    }
                }
            }
        }
    }

    /// The loop's end: nobody listens any more.
    fn end(&self) {
        self.over.set(true);
        let listeners = self.listeners.take();
        let hook = self.interrupts.take();
        let process = std::process::id();
        if self.process == process {
            let mut signals: Vec<_> = listeners.iter().map(|listener| listener.signal.as_raw()).collect();
            signals.sort_unstable();
            signals.dedup();
            signals.into_iter().for_each(|signal| registry::leave(signal, process));
            if hook.is_some() {
                registry::leave(libc::SIGINT, process);
            }
        }
        drop(self.mailbox.take());
        for listener in listeners {
            match listener.kind {
                Kind::Callback(handler) => handler.remove(),
                Kind::Stream(waiting) => waiting.arrive(),
            }
        }
    }
}

/// There is something in the pipe.
fn arrived(signals: &Weak<LoopSignals>) {
    let Some(signals) = signals.upgrade() else { return };
    let mailbox = signals.mailbox.borrow().clone();
    if let Some(mailbox) = mailbox {
        signals.read(&mailbox);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::cell::Cell;
    use std::io::Write;
    use std::rc::Rc;

    use super::LoopSignals;
    use crate::kernel::EventLoop;
    use crate::yield_now;

    /// A handler on another thread that is slower than the run it is for. No signal is raised here.
    #[test]
    fn a_handler_that_was_inside_when_a_run_ended_does_not_interrupt_the_next() {
        let mut event_loop = EventLoop::new().unwrap();
        let process = std::process::id();
        let signals = LoopSignals::of(&event_loop.handle(), process).unwrap();
        let interrupts = Rc::new(Cell::new(0));
        let begin = || {
            let interrupts = interrupts.clone();
            let hook = Rc::new(move || interrupts.set(interrupts.get() + 1));
            signals.add_interrupts(hook, process).unwrap();
        };
        // Each is what the handler does, at the pace of another thread.
        let mailbox = signals.mailbox(process).unwrap();
        let write = |_, byte: u8| (&mailbox._writer).write(&[byte]).is_ok();

        begin();
        let late = mailbox.post_box.enter(process).unwrap();
        signals.remove_interrupts();
        assert!(late.interrupt(write));
        drop(late);
        begin();
        event_loop.run_until_complete(async { (yield_now().await, yield_now().await) }).unwrap();
        assert_eq!(interrupts.get(), 0);

        let inside = mailbox.post_box.enter(process).unwrap();
        assert!(inside.interrupt(write), "what came too late is not waiting to be noticed");
        drop(inside);
        event_loop.run_until_complete(async { (yield_now().await, yield_now().await) }).unwrap();
        assert_eq!(interrupts.get(), 1);
        signals.remove_interrupts();
    }
}

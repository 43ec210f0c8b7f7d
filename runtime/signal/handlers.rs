//! Callbacks for signals.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;

use super::kind::Signal;
use super::loop_signals::LoopSignals;
use crate::kernel::{Context, LoopHandle, captured_context, guarded};

/// A loop's callback for one signal. The closure in it may change, the handler stays.
pub(super) struct Handler {
    callback: RefCell<Option<Box<dyn FnMut()>>>,
    /// How often the closure was changed: one that runs meanwhile is not put back.
    changes: Cell<u64>,
    /// What the closure runs in, each time.
    context: RefCell<Option<Context>>,
}

impl Handler {
    fn new(callback: Box<dyn FnMut()>) -> Rc<Self> {
        Rc::new(Self {
            callback: RefCell::new(Some(callback)),
            changes: Cell::new(0),
            context: RefCell::new(captured_context()),
        })
    }

    /// One signal is one entry in the FIFO.
    pub(super) fn schedule(self: &Rc<Self>, handle: &LoopHandle) {
        let handler = self.clone();
        let context = self.context.borrow().clone();
        handle.call_soon_in(context, move || handler.run());
    }

    fn run(&self) {
        // Outside while it runs: it may remove itself, or be replaced.
        let mut back = Back { handler: self, changes: self.changes.get(), callback: self.callback.take() };
        if let Some(callback) = &mut back.callback {
            callback();
        }
    }

    fn change(&self, callback: Option<Box<dyn FnMut()>>) {
        self.changes.set(self.changes.get() + 1);
        let context = callback.as_ref().and_then(|_| captured_context());
        let former = (self.callback.replace(callback), self.context.replace(context));
        dropped(former);
    }

    /// Drops the closure: what is scheduled already calls nothing.
    pub(super) fn remove(&self) {
        self.change(None);
    }
}

fn dropped<T>(callback: T) {
    guarded("a callback panicked when it was dropped", || drop(callback));
}

/// Puts a closure back after its call, also when it panics.
struct Back<'a> {
    handler: &'a Handler,
    changes: u64,
    callback: Option<Box<dyn FnMut()>>,
}

impl Drop for Back<'_> {
    fn drop(&mut self) {
        let callback = self.callback.take();
        if self.handler.changes.get() == self.changes {
            *self.handler.callback.borrow_mut() = callback;
        } else {
            // Perhaps in the middle of its own panic, where a second one would end the process.
            dropped(callback);
        }
    }
}

impl LoopHandle {
    /// Calls `callback` for each signal of this kind that the process gets, until
    /// [`remove_signal_handler`](Self::remove_signal_handler) or the loop's end. A second callback for the same
    /// signal replaces the first; other loops, and [streams](crate::signal::signal), hear it as well. Unix only.
    ///
    /// The callback is an ordinary entry of the FIFO: it may do what any callback may. Signals of one kind that
    /// come while the system still has one of them for this process are one signal.
    ///
    /// # Errors
    /// What the system says: no descriptors are left for the pipe. An error once the loop is closed.
    ///
    /// # asyncio
    /// `loop.add_signal_handler(sig, callback)`, on every thread.
    ///
    /// # Examples
    /// ```
    /// use evloop::signal::Signal;
    ///
    /// evloop::run(async {
    ///     let event_loop = evloop::get_running_loop().unwrap();
    ///     let reloads = evloop::Promise::new();
    ///     event_loop.add_signal_handler(Signal::SIGHUP, {
    ///         let reloads = reloads.clone();
    ///         move || reloads.set_result("read the configuration again").unwrap()
    ///     })?;
    ///     rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::HUP)?;
    ///     assert_eq!(reloads.await.unwrap(), "read the configuration again");
    ///     assert!(event_loop.remove_signal_handler(Signal::SIGHUP));
    /// #   Ok::<(), std::io::Error>(())
    /// })
    /// # .unwrap();
    /// ```
    #[doc(alias = "on_signal")]
    pub fn add_signal_handler(&self, signal: Signal, callback: impl FnMut() + 'static) -> io::Result<()> {
        let signals = LoopSignals::of(self, std::process::id())?;
        match signals.callback(signal) {
            Some(handler) => {
                handler.change(Some(Box::new(callback)));
                Ok(())
            }
            None => signals.add_callback(signal, Handler::new(Box::new(callback))),
        }
    }

    /// Ends what [`add_signal_handler`](Self::add_signal_handler) began; a call that is due is not made any more.
    /// With the process's last listener to the signal, what was there before is put back. `false` if there was
    /// nothing to end.
    ///
    /// # asyncio
    /// `loop.remove_signal_handler(sig)`.
    pub fn remove_signal_handler(&self, signal: Signal) -> bool {
        let removed = LoopSignals::find(self).and_then(|signals| signals.remove_callback(signal));
        removed.map(|handler| handler.remove()).is_some()
    }
}

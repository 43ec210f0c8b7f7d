//! The latest value of something, for all who want to know.
//!
//! A value lies in an `Rc`. Whoever looks gets a [`Snapshot`], which is one more reference to it; whoever sends puts
//! another `Rc` in its place. So no guard is ever in anybody's way: a snapshot may be held across an `await`, and while
//! others send and modify. The price is that to modify is to write on a copy as long as somebody holds a snapshot
//! (`Rc::make_mut`), hence `T: Clone` there. Rejected: guards of a `RefCell`, with which a task that holds one across
//! an `await` makes another task's `send` panic.
//!
//! Each value has a number, and each receiver knows the last one that it has seen.

mod receiver;
mod sender;
mod snapshot;

pub use super::error::{RecvError, SendError};
pub use receiver::Receiver;
pub use sender::Sender;
pub use snapshot::Snapshot;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::kernel::WaitList;

/// Makes a channel that keeps the latest value only, which is `initial` until another one is sent.
///
/// The receiver has seen `initial`: its [`changed`](Receiver::changed) waits for the next one. Receivers can be cloned.
///
/// # asyncio
/// `asyncio.Condition` around an attribute.
///
/// # Examples
/// ```
/// use evloop::channel::watch;
///
/// evloop::run(async {
///     let (sender, mut receiver) = watch::channel("starting");
///     let watcher = evloop::create_task(async move {
///         let mut seen = vec![*receiver.borrow()];
///         while receiver.changed().await.is_ok() {
///             seen.push(*receiver.borrow_and_update());
///         }
///         seen
///     });
///     evloop::yield_now().await;
///     sender.send("loading").unwrap();
///     sender.send("ready").unwrap(); // only the latest counts
///     evloop::yield_now().await;
///     drop(sender);
///     assert_eq!(watcher.await.unwrap(), ["starting", "ready"]);
/// });
/// ```
pub fn channel<T>(initial: T) -> (Sender<T>, Receiver<T>) {
    let sender = Sender::new(Rc::new(Shared {
        value: RefCell::new(Some(Rc::new(initial))),
        version: Cell::new(0),
        senders: Cell::new(0),
        receivers: Cell::new(0),
        line: WaitList::of("watch::Receiver::changed"),
        watchers: WaitList::of("watch::Sender::closed"),
    }));
    let receiver = sender.subscribe();
    (sender, receiver)
}

struct Shared<T> {
    /// Borrowed only to clone or to replace the `Rc`; `None` while somebody modifies the value.
    value: RefCell<Option<Rc<T>>>,
    version: Cell<u64>,
    senders: Cell<usize>,
    receivers: Cell<usize>,
    /// Receivers that wait for a change. A call goes to every one.
    line: WaitList,
    /// Senders that wait for the last receiver to go.
    watchers: WaitList,
}

impl<T> Shared<T> {
    #[track_caller]
    fn latest(&self) -> Rc<T> {
        self.value.borrow().clone().expect(MODIFIES)
    }

    /// Makes this the latest value; returns the one before.
    #[track_caller]
    fn replace(&self, value: T) -> Rc<T> {
        if self.value.borrow().is_none() {
            drop(value); // the value's own code, while nothing is borrowed and nothing unwinds
            panic!("{MODIFIES}");
        }
        let former = self.value.replace(Some(Rc::new(value))).expect(MODIFIES);
        self.announce();
        former
    }

    /// There is another value now.
    fn announce(&self) {
        self.version.set(self.version.get() + 1);
        self.line.wake_all();
    }
}

const MODIFIES: &str =
    "the value is being modified: use the argument of send_modify's closure, not the channel";

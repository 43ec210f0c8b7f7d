//! Order of events, dropping and fairness, on an executor small enough to see through.

mod barrier;
mod condition;
mod event;
mod lock;
mod model;
mod once_cell;
mod promise;
mod rw_lock;
mod semaphore;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::future::{Future, poll_fn};
use std::mem;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

/// asyncio's loop without I/O and time: one FIFO, run in batches that are called ticks.
#[derive(Clone, Default)]
pub(crate) struct HandLoop(Rc<Inner>);

type Task = Pin<Box<dyn Future<Output = ()>>>;

#[derive(Default)]
struct Inner {
    ready: Arc<Mutex<VecDeque<usize>>>,
    tasks: RefCell<BTreeMap<usize, Task>>,
    spawned: Cell<usize>,
    tick: Cell<usize>,
    log: RefCell<Vec<String>>,
}

struct TaskWaker {
    id: usize,
    ready: Arc<Mutex<VecDeque<usize>>>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        let mut ready = self.ready.lock().unwrap();
        if !ready.contains(&self.id) {
            ready.push_back(self.id);
        }
    }
}

impl HandLoop {
    /// Runs `main` from tick 1 until nothing is ready; returns the log.
    pub(crate) fn trace<F: Future<Output = ()> + 'static>(main: impl FnOnce(Self) -> F) -> String {
        let hand_loop = HandLoop::default();
        hand_loop.spawn(main(hand_loop.clone()));
        hand_loop.run();
        hand_loop.0.tasks.take(); // they own handles of the loop
        hand_loop.take_log()
    }

    pub(crate) fn spawn(&self, future: impl Future<Output = ()> + 'static) -> usize {
        let id = self.0.spawned.get();
        self.0.spawned.set(id + 1);
        self.0.tasks.borrow_mut().insert(id, Box::pin(future));
        self.0.ready.lock().unwrap().push_back(id);
        id
    }

    /// Drops the task when its turn comes, as asyncio delivers a cancellation.
    pub(crate) fn cancel(&self, id: usize) {
        self.spawn({
            let this = self.clone();
            async move { this.drop_now(id) }
        });
    }

    /// Drops the task at once.
    pub(crate) fn drop_now(&self, id: usize) {
        let task = self.0.tasks.borrow_mut().remove(&id);
        drop(task);
    }

    pub(crate) fn run(&self) {
        while !self.0.ready.lock().unwrap().is_empty() {
            self.0.tick.set(self.0.tick.get() + 1);
            let batch = mem::take(&mut *self.0.ready.lock().unwrap());
            for id in batch {
                let Some(mut task) = self.0.tasks.borrow_mut().remove(&id) else {
                    continue;
                };
                let waker = Waker::from(Arc::new(TaskWaker { id, ready: self.0.ready.clone() }));
                if task.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
                    self.0.tasks.borrow_mut().insert(id, task);
                }
            }
        }
    }

    /// Notes an event as `tick:event`.
    pub(crate) fn log(&self, event: impl AsRef<str>) {
        let entry = format!("{}:{}", self.0.tick.get(), event.as_ref());
        self.0.log.borrow_mut().push(entry);
    }

    pub(crate) fn take_log(&self) -> String {
        self.0.log.take().join(" | ")
    }

    /// `sleep(0)`.
    pub(crate) async fn yield_now(&self) {
        let mut has_yielded = false;
        poll_fn(move |cx| {
            if mem::replace(&mut has_yielded, true) {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }
}

/// A waker that counts its calls, and what it counted.
pub(crate) struct Count(Mutex<usize>);

impl Count {
    pub(crate) fn pair() -> (Arc<Count>, Waker) {
        let count = Arc::new(Count(Mutex::new(0)));
        (count.clone(), Waker::from(count))
    }

    pub(crate) fn get(&self) -> usize {
        *self.0.lock().unwrap()
    }
}

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        *self.0.lock().unwrap() += 1;
    }
}

/// A foreign waker that panics when it is woken.
pub(crate) fn panicking_waker() -> Waker {
    struct Panicking;

    impl Wake for Panicking {
        fn wake(self: Arc<Self>) {
            panic!("a foreign waker");
        }
    }

    Waker::from(Arc::new(Panicking))
}

/// Did it panic, and with a foreign waker's panic?
pub(crate) fn a_waker_panics_in(f: impl FnOnce()) -> bool {
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f));
    result.is_err_and(|payload| payload.downcast_ref() == Some(&"a foreign waker"))
}

/// Polls once.
pub(crate) fn poll<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

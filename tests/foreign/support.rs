//! Probes, a source of chance, and a watch that fails where a test would hang.

use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

/// Numbers that look random and are the same in every run. (The order of threads is not.)
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % limit
    }

    /// Lets some time pass: none, a little, or a turn of the scheduler.
    pub(crate) fn dawdle(&mut self) {
        match self.below(8) {
            0 => thread::yield_now(),
            1 => (0..self.below(300)).for_each(|_| std::hint::spin_loop()),
            _ => {}
        }
    }
}

/// How many probes were made and dropped.
#[derive(Default)]
pub(crate) struct Ledger {
    made: AtomicUsize,
    dropped: AtomicUsize,
    abroad: AtomicBool,
}

impl Ledger {
    /// Each probe was dropped once, and those that may not leave their thread at home.
    pub(crate) fn assert_balanced(&self) {
        assert_eq!(self.dropped.load(Ordering::SeqCst), self.made.load(Ordering::SeqCst));
        assert!(!self.abroad.load(Ordering::SeqCst), "something of the home thread was dropped on another");
    }

    pub(crate) fn alive(&self) -> usize {
        self.made.load(Ordering::SeqCst) - self.dropped.load(Ordering::SeqCst)
    }

    /// A probe for something that must stay on this thread.
    pub(crate) fn at_home(self: &Arc<Self>) -> AtHome {
        self.made.fetch_add(1, Ordering::SeqCst);
        AtHome { ledger: self.clone(), thread: thread::current().id(), not_send: PhantomData }
    }

    /// A probe for something that may be dropped anywhere.
    pub(crate) fn anywhere(self: &Arc<Self>) -> Anywhere {
        self.made.fetch_add(1, Ordering::SeqCst);
        Anywhere(self.clone())
    }
}

pub(crate) struct AtHome {
    ledger: Arc<Ledger>,
    thread: ThreadId,
    not_send: PhantomData<Rc<()>>,
}

impl Drop for AtHome {
    fn drop(&mut self) {
        if thread::current().id() != self.thread {
            self.ledger.abroad.store(true, Ordering::SeqCst);
        }
        self.ledger.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

pub(crate) struct Anywhere(Arc<Ledger>);

impl Drop for Anywhere {
    fn drop(&mut self) {
        self.0.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

/// Ends the process if it is not dropped in time: a lost wake-up is a loop that sleeps for ever, and that
/// cannot be unwound.
pub(crate) struct Watch(Option<std::sync::mpsc::Sender<()>>);

impl Watch {
    pub(crate) fn new(what: &'static str) -> Self {
        let (give, take) = std::sync::mpsc::channel::<()>();
        // Long enough for valgrind.
        let began = Instant::now();
        thread::spawn(move || {
            use std::sync::mpsc::RecvTimeoutError;
            if take.recv_timeout(Duration::from_secs(120)) == Err(RecvTimeoutError::Timeout) {
                eprintln!("{what}: nothing happened for {:?}; a wake-up was lost", began.elapsed());
                std::process::abort();
            }
        });
        Self(Some(give))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.take();
    }
}

/// Runs `work` on so many threads, each with a number, while `here` runs on this one.
pub(crate) fn beside<R>(threads: u64, work: impl Fn(u64) + Sync, here: impl FnOnce() -> R) -> R {
    thread::scope(|scope| {
        let work = &work;
        let others: Vec<_> = (0..threads).map(|number| scope.spawn(move || work(number))).collect();
        let result = here();
        // Not left to the scope, whose way of waiting ThreadSanitizer does not see.
        others.into_iter().for_each(|other| other.join().unwrap());
        result
    })
}

/// Takes a lock in a way that ThreadSanitizer sees: std's slow path is in code that is not instrumented.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    loop {
        match mutex.try_lock() {
            Ok(guard) => return guard,
            Err(TryLockError::WouldBlock) => thread::yield_now(),
            Err(TryLockError::Poisoned(_)) => panic!("another thread has failed"),
        }
    }
}

//! Models of a task's counts and bits (`state.rs`): loom runs them in every order of threads and under
//! every reordering that the memory model allows.
//!
//! `RUSTFLAGS="--cfg loom" cargo test --release --lib loom`
//!
//! A model is one task without its future: the real [`State`], and one cell that stands for all the
//! task's memory. Whoever uses the task reads the cell first, whoever frees it writes the cell. loom
//! fails if a read is not ordered before the write, and if anybody waits for ever. The functions of
//! [`Model`] are `waker.rs` and `step.rs` in short: the same transitions in the same order, one for one.
//!
//! The box is the simplest one that is right, a locked number; the real one has models of its own
//! (`scheduler/loom.rs`).
//!
//! What stands in std atomics is bookkeeping of the model itself: invisible to loom, which runs one
//! thread at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use loom::cell::UnsafeCell;
use loom::sync::atomic::AtomicBool;
use loom::sync::{Condvar, Mutex};
use loom::thread;

use super::state::{Abroad, DONE, JOIN, QUEUED, State, Then, WOKEN};

struct Model {
    state: State,
    /// Stands for the task's memory: `true` until it is freed.
    memory: UnsafeCell<bool>,
    mailbox: Mutex<Mailbox>,
    came: Condvar,
    /// Letters that were posted or are about to be, and have not ended.
    in_flight: AtomicUsize,
    /// Wakers on their way from one thread to another.
    parcel: Mutex<usize>,
    /// What two other threads tell the future before they wake its task.
    told: [AtomicBool; 2],
}

#[derive(Default)]
struct Mailbox {
    letters: usize,
    closed: bool,
}

// SAFETY: only `State`'s home fields are not `Sync`. The thread that builds the model is its home, and only
// the functions whose name ends in `at_home` touch them, which no spawned thread calls.
unsafe impl Sync for Model {}
// SAFETY: as above; the fields themselves are plain data, which any thread may drop.
unsafe impl Send for Model {}

impl Model {
    /// A task that was spawned and polled once: it has a handle, and is not in the FIFO.
    fn new() -> Arc<Self> {
        let model = Self {
            state: State::new(),
            memory: UnsafeCell::new(true),
            mailbox: Mutex::default(),
            came: Condvar::new(),
            in_flight: AtomicUsize::new(0),
            parcel: Mutex::new(0),
            told: [AtomicBool::new(false), AtomicBool::new(false)],
        };
        model.state.clear(QUEUED | WOKEN);
        Arc::new(model)
    }

    fn touch(&self) {
        // SAFETY: loom checks that no write is concurrent.
        self.memory.with(|alive| assert!(unsafe { *alive }, "used after it was freed"));
    }

    fn obey(&self, then: Then) {
        if then == Then::Free {
            // SAFETY: loom checks that no other access is concurrent.
            self.memory.with_mut(|alive| assert!(unsafe { alive.replace(false) }, "freed twice"));
        }
    }

    fn assert_freed(&self) {
        // SAFETY: as in `touch`.
        self.memory.with(|alive| assert!(unsafe { !*alive }, "never freed"));
    }

    // Abroad: the caller has a waker.

    fn clone_abroad(&self) {
        self.touch();
        self.state.clone_abroad();
    }

    fn drop_abroad(&self) {
        self.touch();
        let then = self.state.drop_abroad();
        self.obey(then);
    }

    fn wake_by_ref_abroad(&self) {
        self.touch();
        if self.state.notify() != Abroad::Post {
            return;
        }
        assert_eq!(self.in_flight.fetch_add(1, Ordering::Relaxed), 0, "a second letter");
        let mut mailbox = self.mailbox.lock().unwrap();
        if mailbox.closed {
            drop(mailbox);
            self.letter_ends();
        } else {
            mailbox.letters += 1;
            self.came.notify_one();
        }
    }

    /// The letter's own claim keeps the memory up to here.
    fn letter_ends(&self) {
        self.touch();
        let then = self.state.letter_ends();
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.obey(then);
    }

    // At home.

    fn waker_at_home(&self) {
        self.touch();
        self.state.clone_at_home();
    }

    fn drop_at_home(&self) {
        self.touch();
        let then = self.state.drop_at_home();
        self.obey(then);
    }

    fn drop_handle_at_home(&self) {
        self.touch();
        self.state.clear(JOIN);
        self.drop_at_home();
    }

    fn end_at_home(&self) {
        self.touch();
        self.state.set(DONE);
        self.settle_at_home();
    }

    fn settle_at_home(&self) {
        self.touch();
        if self.state.flags() & (DONE | QUEUED | JOIN) == DONE {
            let then = self.state.settle();
            self.obey(then);
        }
    }

    /// Delivers what is in the box.
    fn collect_at_home(&self) {
        let letters = std::mem::take(&mut self.mailbox.lock().unwrap().letters);
        self.deliver_at_home(letters);
    }

    /// Waits for mail, and delivers it.
    fn wait_at_home(&self) {
        let mut mailbox = self.mailbox.lock().unwrap();
        while mailbox.letters == 0 {
            mailbox = self.came.wait(mailbox).unwrap();
        }
        let letters = std::mem::take(&mut mailbox.letters);
        drop(mailbox);
        self.deliver_at_home(letters);
    }

    fn deliver_at_home(&self, letters: usize) {
        for _ in 0..letters {
            self.touch();
            let done = self.state.has(DONE);
            self.letter_ends();
            if !done {
                self.touch();
                self.state.wake_at_home();
            }
        }
    }

    /// Closes the box as the end of a loop does: what is in it ends there.
    fn close_at_home(&self) {
        let mut mailbox = self.mailbox.lock().unwrap();
        mailbox.closed = true;
        let letters = std::mem::take(&mut mailbox.letters);
        drop(mailbox);
        for _ in 0..letters {
            self.letter_ends();
        }
    }

    /// Drops the wakers in the parcel.
    fn unpack(&self, drop_one: impl Fn(&Self)) {
        let wakers = std::mem::take(&mut *self.parcel.lock().unwrap());
        for _ in 0..wakers {
            drop_one(self);
        }
    }
}

/// What another thread does with its waker, before it drops it.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// Nothing more.
    Drop,
    /// Clones it and drops the clone.
    Clone,
    /// Clones it and hands the clone on.
    Hand,
    /// Takes what was handed on, and drops it.
    Take,
    /// Wakes by reference.
    Wake,
}

impl Event {
    const ALL: [Self; 5] = [Self::Drop, Self::Clone, Self::Hand, Self::Take, Self::Wake];

    fn happen(self, model: &Model) {
        match self {
            Self::Drop => {}
            Self::Clone => {
                model.clone_abroad();
                model.drop_abroad();
            }
            Self::Hand => {
                model.clone_abroad();
                *model.parcel.lock().unwrap() += 1;
            }
            Self::Take => model.unpack(Model::drop_abroad),
            Self::Wake => model.wake_by_ref_abroad(),
        }
    }
}

/// How a task comes to its end at home.
#[derive(Clone, Copy, Debug)]
enum End {
    /// The handle is dropped first: the end of the task looks.
    HandleFirst,
    /// The handle is dropped last, and looks.
    HandleLast,
    /// The task is still in the FIFO when it ends: its last, empty step looks.
    InTheFifo,
    /// A waker of home's own outlives the look: counts were merged, at home too.
    WakerLast,
    /// The loop ends: the box is closed first.
    LoopEnds,
}

impl End {
    fn happen_at_home(self, model: &Model) {
        match self {
            Self::HandleFirst => {
                model.drop_handle_at_home();
                model.collect_at_home();
                model.end_at_home();
            }
            Self::HandleLast => {
                model.end_at_home();
                model.drop_handle_at_home();
            }
            Self::InTheFifo => {
                assert!(model.state.wake_at_home());
                model.end_at_home();
                model.drop_handle_at_home();
            }
            Self::WakerLast => {
                model.waker_at_home();
                model.drop_handle_at_home();
                model.end_at_home();
                model.waker_at_home();
                model.drop_at_home();
                model.drop_at_home();
            }
            Self::LoopEnds => {
                model.drop_handle_at_home();
                model.close_at_home();
                model.end_at_home();
            }
        }
    }
}

/// Explores all executions with up to three preemptions: switches away from a thread that could go on. Known
/// failures of such protocols need two at most, and the time grows tenfold with each.
fn explore(model: impl Fn() + Sync + Send + 'static) {
    let mut bounded = loom::model::Builder::new();
    bounded.preemption_bound = Some(3);
    bounded.check(model);
}

/// Runs one task: home gives each list of events a thread and a waker, and ends the task meanwhile.
fn life(end: End, threads: &[&[Event]]) {
    let model = Model::new();
    let mut abroad = Vec::new();
    for &events in threads {
        model.waker_at_home();
        let (model, events) = (model.clone(), events.to_vec());
        abroad.push(thread::spawn(move || {
            for event in events {
                event.happen(&model);
            }
            model.drop_abroad();
        }));
    }
    end.happen_at_home(&model);
    if model.state.has(QUEUED) {
        // Its last turn in the FIFO has come, an empty one.
        model.state.clear(QUEUED);
        model.settle_at_home();
    }
    model.collect_at_home();
    model.unpack(Model::drop_at_home);
    for thread in abroad {
        thread.join().unwrap();
    }
    // What came late.
    model.unpack(Model::drop_at_home);
    model.collect_at_home();
    model.assert_freed();
    assert_eq!(model.in_flight.load(Ordering::Relaxed), 0, "a letter was lost");
}

/// Checks `end` against each pair of events, both on two threads and one after the other on one.
fn check_pairs(end: End) {
    for (i, first) in Event::ALL.into_iter().enumerate() {
        for (j, second) in Event::ALL.into_iter().enumerate() {
            if i <= j {
                println!("{end:?}: {first:?} on one thread, {second:?} on another");
                explore(move || life(end, &[&[first], &[second]]));
            }
            println!("{end:?}: {first:?}, then {second:?}");
            explore(move || life(end, &[&[first, second]]));
        }
    }
}

#[test]
fn freed_once_after_all_use_if_the_handle_goes_first() {
    check_pairs(End::HandleFirst);
}

#[test]
fn freed_once_after_all_use_if_the_handle_goes_last() {
    check_pairs(End::HandleLast);
}

#[test]
fn freed_once_after_all_use_if_the_task_ends_in_the_fifo() {
    check_pairs(End::InTheFifo);
}

#[test]
fn freed_once_after_all_use_if_a_waker_at_home_goes_last() {
    check_pairs(End::WakerLast);
}

#[test]
fn freed_once_after_all_use_if_the_loop_ends() {
    check_pairs(End::LoopEnds);
}

/// Home waits for mail and polls, until the future has been told everything. A wake that is lost, or one
/// whose poll does not see what was written before it, leaves home waiting for ever, which loom reports.
///
/// Each other thread wakes as often as `wakes` says, and tells before the last time.
fn polls_until_told(wakes: &[usize], own_wake: bool) {
    let model = Model::new();
    let mut abroad = Vec::new();
    for (n, &wakes) in wakes.iter().enumerate() {
        model.waker_at_home();
        let model = model.clone();
        abroad.push(thread::spawn(move || {
            for _ in 1..wakes {
                model.wake_by_ref_abroad();
            }
            // Relaxed: it is the wake that must order it before the poll.
            model.told[n].store(true, Ordering::Relaxed);
            model.wake_by_ref_abroad();
            model.drop_abroad();
        }));
    }
    if own_wake {
        assert!(model.state.wake_at_home());
    }
    loop {
        while !model.state.has(QUEUED) {
            model.wait_at_home();
        }
        model.touch();
        model.state.clear(QUEUED | WOKEN);
        if model.told[..wakes.len()].iter().all(|told| told.load(Ordering::Relaxed)) {
            break;
        }
    }
    model.end_at_home();
    model.drop_handle_at_home();
    for thread in abroad {
        thread.join().unwrap();
    }
    model.collect_at_home();
    model.assert_freed();
}

#[test]
fn no_wake_is_lost_and_the_poll_sees_what_was_written_before_it() {
    explore(|| polls_until_told(&[1, 1], false));
}

#[test]
fn a_wake_at_home_hides_none_from_abroad() {
    explore(|| polls_until_told(&[1, 1], true));
}

#[test]
fn a_thread_that_wakes_again_is_heard_again() {
    loom::model(|| polls_until_told(&[2], false));
    loom::model(|| polls_until_told(&[2], true));
}

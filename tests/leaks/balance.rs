//! What is alive before a scenario and after it.
//!
//! The global allocator counts what the threads of a scenario allocate, whichever thread frees it: each
//! block says in front of itself whether it is counted. So other tests of this binary do not disturb the
//! balance. They do take turns, because descriptors belong to the whole process.

#![expect(unsafe_code, reason = "a global allocator that counts")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicIsize, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

static BYTES: AtomicIsize = AtomicIsize::new(0);
static BLOCKS: AtomicIsize = AtomicIsize::new(0);

thread_local! {
    static COUNTING: Cell<bool> = const { Cell::new(false) };
    static MEDDLER: Cell<Option<fn()>> = const { Cell::new(None) };
}

struct Counting;

/// Room in front of a block for the mark, as much as keeps the block aligned.
fn room(layout: Layout) -> usize {
    layout.align().max(16)
}

fn with_room(layout: Layout) -> Option<Layout> {
    Layout::from_size_align(layout.size().checked_add(room(layout))?, room(layout)).ok()
}

// SAFETY: each block is one of `System`'s, larger by `room` in front; what is handed out lies inside, is
// aligned as asked since `room` is a multiple of the alignment, and goes back by the same arithmetic.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(whole) = with_room(layout) else { return std::ptr::null_mut() };
        // SAFETY: the size is not zero, there is room in it.
        let block = unsafe { System.alloc(whole) };
        if block.is_null() {
            return block;
        }
        if let Some(meddle) = MEDDLER.try_with(Cell::take).ok().flatten() {
            meddle();
        }
        let counted = COUNTING.try_with(Cell::get).unwrap_or(false);
        if counted {
            BYTES.fetch_add(layout.size() as isize, Ordering::Relaxed);
            BLOCKS.fetch_add(1, Ordering::Relaxed);
        }
        // SAFETY: inside the block: there are at least 16 bytes of room.
        unsafe {
            block.write(u8::from(counted));
            block.add(room(layout))
        }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: `alloc` returned `memory` for this layout, so the block begins `room` before it.
        let block = unsafe { memory.sub(room(layout)) };
        // SAFETY: `alloc` wrote the mark.
        if unsafe { block.read() } == 1 {
            BYTES.fetch_sub(layout.size() as isize, Ordering::Relaxed);
            BLOCKS.fetch_sub(1, Ordering::Relaxed);
        }
        let whole = with_room(layout).expect("it was allocated with this layout");
        // SAFETY: `alloc` asked for exactly this.
        unsafe { System.dealloc(block, whole) };
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes, blocks, descriptors.
pub(crate) type Alive = (isize, isize, usize);

fn alive() -> Alive {
    (BYTES.load(Ordering::Relaxed), BLOCKS.load(Ordering::Relaxed), descriptors())
}

#[cfg(target_os = "linux")]
fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("procfs is mounted").count()
}

#[cfg(not(target_os = "linux"))]
fn descriptors() -> usize {
    0
}

/// Runs a scenario, and again, and compares what is alive before and after.
pub(crate) fn balanced(scenario: impl Fn()) {
    let (before, after) = alive_around(scenario, Duration::from_secs(5));
    assert_eq!(after, before, "(bytes, blocks, descriptors) are not what they were");
}

/// What is alive before and after three runs of a scenario. It may take until `patience` ends: the threads
/// of a pool are not joined.
pub(crate) fn alive_around(scenario: impl Fn(), patience: Duration) -> (Alive, Alive) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    // Once for what the standard library makes on first use; and a wait for a message, of which it keeps something
    // in the thread: it depends on the others whether one in the scenario has to wait.
    counted(&scenario);
    let (_sends, never) = mpsc::channel::<()>();
    never.recv_timeout(Duration::from_millis(1)).expect_err("nothing is sent");
    let mut before = alive();
    let mut same = 0;
    while same < 20 {
        thread::sleep(Duration::from_millis(1));
        same = if alive() == before { same + 1 } else { 0 };
        before = alive();
    }
    for _ in 0..3 {
        counted(&scenario);
    }
    let deadline = Instant::now() + patience;
    while alive() != before && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(1));
    }
    (before, alive())
}

pub(crate) fn counted<R>(f: impl FnOnce() -> R) -> R {
    COUNTING.set(true);
    let result = f();
    COUNTING.set(false);
    result
}

/// The next time that this thread asks for memory, the allocator calls this, which must not panic.
pub(crate) fn meddle(f: fn()) {
    MEDDLER.set(Some(f));
}

/// A thread of the scenario.
pub(crate) fn abroad<R: Send + 'static>(f: impl FnOnce() -> R + Send + 'static) -> thread::JoinHandle<R> {
    thread::spawn(|| counted(f))
}

//! A task's memory: the header, then the future or what it left. The only code that knows the future's
//! type; one vtable per type leads here.

use std::cell::UnsafeCell;
use std::future::Future;
use std::mem::{self, ManuallyDrop};
use std::panic::Location;
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll};

use super::header::{Header, TaskPtr, TaskVtable};
use super::state::{FAILED, FUTURE, OUTPUT};
use super::{TaskError, step, waker};
use crate::kernel::context::{Home, Live, LoopRef};
use crate::kernel::scheduler::EntryVtable;
use crate::kernel::scheduler::memory::Room;

#[repr(C)]
struct Cell<F: Future> {
    header: Header,
    stage: UnsafeCell<Stage<F>>,
}

/// The flags say which one it is: [`FUTURE`]; [`OUTPUT`], with [`FAILED`] if it is an error; or none.
///
/// `repr(C)`: all fields begin where the stage does. Who knows its place, but not the future's type, relies on that.
#[repr(C)]
union Stage<F: Future> {
    future: ManuallyDrop<F>,
    output: ManuallyDrop<F::Output>,
    /// In a box, so that no task is larger for what few of them leave. Written and read by its place.
    error: ManuallyDrop<Box<TaskError>>,
}

#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Header>() == 64, "the budget of a task's header");

/// The vtable of futures of type `F`.
struct OfType<F>(std::marker::PhantomData<F>);

impl<F: Future> OfType<F> {
    const VTABLE: TaskVtable = TaskVtable {
        entry: EntryVtable {
            alarm: waker::ALARM,
            run: step::run,
            discard: step::discard,
            deliver: step::deliver,
            discard_abroad: step::discard_abroad,
            describe: step::describe,
        },
        poll: poll::<F>,
        drop_future: drop_future::<F>,
        drop_output: if mem::needs_drop::<F::Output>() { Some(drop_output::<F>) } else { None },
        output: output::<F>,
        room: Room::of::<Cell<F>>(),
    };
}

/// Makes a task and puts it into the loop's table; the caller queues it. The result owns the reference of a
/// `Task` handle, and the claim of the FIFO.
///
/// # Safety
/// `F` need not be `'static`: the caller sees to it that future and output are dropped before what they
/// borrow ends.
#[inline]
pub(super) unsafe fn make<F: Future>(
    loop_ref: &LoopRef,
    home: &Home,
    future: F,
    location: &'static Location<'static>,
) -> TaskPtr {
    let memory = home.memory.allocate(Room::of::<Cell<F>>()).cast::<Cell<F>>();
    let header = Header::new(&OfType::<F>::VTABLE, loop_ref.hand_out(), home.next_task_id());
    let stage = UnsafeCell::new(Stage { future: ManuallyDrop::new(future) });
    // SAFETY: fresh memory for it.
    unsafe { memory.write(Cell { header, stage }) };
    let task = TaskPtr::new(memory.cast());
    let live = home.live.borrow_mut().insert(Live { task: task.entry(), location });
    // SAFETY: alive, just made.
    unsafe { task.header() }.live.set(u32::try_from(live).expect("fewer than 2^32 live tasks"));
    task
}

/// The stage of a task whose future has the type `F`.
///
/// # Safety
/// The task is alive and was made for `F`.
unsafe fn stage<F: Future>(task: TaskPtr) -> *mut Stage<F> {
    let cell = task.entry().cast::<Cell<F>>();
    // SAFETY: the caller's duty: this is a `Cell<F>`.
    unsafe { UnsafeCell::raw_get(&raw const (*cell.as_ptr()).stage) }
}

unsafe fn poll<F: Future>(task: TaskPtr, cx: &mut Context<'_>) -> Poll<()> {
    // SAFETY: the vtable's duty: this is an `F`, alive.
    let stage = unsafe { stage::<F>(task) };
    // SAFETY: the stage holds the future; nobody else polls it. It is pinned: its memory never moves and
    // it is dropped in place.
    let future = unsafe { Pin::new_unchecked(&mut *(*stage).future) };
    let Poll::Ready(value) = future.poll(cx) else { return Poll::Pending };
    // SAFETY: still there: a poll cannot drop its own future.
    unsafe { drop_future::<F>(task) };
    // SAFETY: the stage is empty now.
    unsafe { (&raw mut (*stage).output).write(ManuallyDrop::new(value)) };
    // SAFETY: alive.
    unsafe { task.state() }.set(OUTPUT);
    Poll::Ready(())
}

unsafe fn drop_future<F: Future>(task: TaskPtr) {
    // SAFETY: alive.
    let state = unsafe { task.state() };
    debug_assert!(state.has(FUTURE));
    // First the flag: if the destructor panics, what it left must not be dropped again.
    state.clear(FUTURE);
    // SAFETY: the vtable's duty.
    unsafe { ManuallyDrop::drop(&mut (*stage::<F>(task)).future) };
}

unsafe fn drop_output<F: Future>(task: TaskPtr) {
    // SAFETY: the vtable's duty.
    unsafe { ManuallyDrop::drop(&mut (*stage::<F>(task)).output) };
}

unsafe fn output<F: Future>(task: TaskPtr) -> NonNull<()> {
    // SAFETY: inside the cell, hence not null.
    unsafe { NonNull::new_unchecked(stage::<F>(task).cast()) }
}

/// Leaves an error as the output.
///
/// # Safety
/// At home, the stage is empty, and FAILED says that an error comes.
pub(super) unsafe fn store_error(task: TaskPtr, error: TaskError) {
    // SAFETY: alive.
    let state = unsafe { task.state() };
    debug_assert!(state.has(FAILED) && !state.has(FUTURE | OUTPUT));
    // SAFETY: the stage is empty, and is large enough for the box, whatever its type.
    unsafe { error_place(task).write(Box::new(error)) };
    state.set(OUTPUT);
}

/// Where the error of a task that failed is.
///
/// # Safety
/// The task is alive.
pub(super) unsafe fn error_place(task: TaskPtr) -> NonNull<Box<TaskError>> {
    // SAFETY: alive, hence its vtable may be called.
    unsafe { (task.vtable().output)(task).cast() }
}

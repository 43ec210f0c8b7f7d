//! A task's memory: the header, then the future or what it left. The only code that knows the future's
//! type; one vtable per type leads here.

use std::alloc::Layout;
use std::cell::UnsafeCell;
use std::future::Future;
use std::mem::ManuallyDrop;
use std::panic::Location;
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll};

use super::header::{Header, TaskPtr, TaskVtable};
use super::state::{FUTURE, OUTPUT};
use super::{TaskError, step, waker};
use crate::kernel::context::{Home, Live, LoopRef};
use crate::kernel::scheduler::EntryVtable;

#[repr(C)]
struct Cell<F: Future> {
    header: Header,
    stage: UnsafeCell<Stage<F>>,
}

/// The flags [`FUTURE`] and [`OUTPUT`] say which one it is, or neither.
union Stage<F: Future> {
    future: ManuallyDrop<F>,
    output: ManuallyDrop<Result<F::Output, TaskError>>,
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
        store_error: store_error::<F>,
        drop_output: drop_output::<F>,
        output: output::<F>,
        layout: Layout::new::<Cell<F>>(),
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
    let memory = home.memory.allocate(Layout::new::<Cell<F>>()).cast::<Cell<F>>();
    let header = Header::new(&OfType::<F>::VTABLE, loop_ref.hand_out(), home.next_task_id());
    let stage = UnsafeCell::new(Stage { future: ManuallyDrop::new(future) });
    // SAFETY: fresh memory of this layout.
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
    unsafe { store::<F>(task, Ok(value)) };
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

unsafe fn store<F: Future>(task: TaskPtr, output: Result<F::Output, TaskError>) {
    // SAFETY: the stage is empty, by the caller's word; the fields of a union start at its address.
    unsafe { (&raw mut (*stage::<F>(task)).output).write(ManuallyDrop::new(output)) };
    // SAFETY: alive.
    unsafe { task.state() }.set(OUTPUT);
}

unsafe fn store_error<F: Future>(task: TaskPtr, error: TaskError) {
    // SAFETY: the vtable's duty.
    unsafe { store::<F>(task, Err(error)) };
}

unsafe fn drop_output<F: Future>(task: TaskPtr) -> Option<TaskError> {
    // SAFETY: alive.
    let state = unsafe { task.state() };
    debug_assert!(state.has(OUTPUT));
    state.clear(OUTPUT);
    // SAFETY: the vtable's duty; the flag says that it is not there any more.
    let output = unsafe { ManuallyDrop::take(&mut (*stage::<F>(task)).output) };
    output.err()
}

unsafe fn output<F: Future>(task: TaskPtr) -> NonNull<()> {
    // SAFETY: the place of a union's field; not read here.
    let place = unsafe { &raw mut (*stage::<F>(task)).output };
    // SAFETY: inside the cell, hence not null.
    unsafe { NonNull::new_unchecked(place.cast()) }
}

//! The head of every task: what can be done with a task whose future's type is not known.
//!
//! All fields but `state.remote` belong to the home thread. A pointer to a header is held by the FIFO, the
//! table of live tasks, wakers and handles; `state` says who keeps it alive.

use std::cell::Cell;
use std::mem;
use std::ptr::NonNull;
use std::task::{Poll, Waker};

use super::attached::Attached;
use super::state::{State, Then};
use super::waker;
use crate::kernel::context::{Block, Home, Shared};
use crate::kernel::home_cell::HomeCell;
use crate::kernel::scheduler::memory::{Room, free_anywhere};
use crate::kernel::scheduler::{Entry, EntryVtable, ReadyList};

/// See the module's description. 64 bytes on 64-bit machines (asserted in `raw.rs`).
#[repr(C)]
pub(crate) struct Header {
    /// First, so that the FIFO's pointer is the task's.
    entry: Entry,
    home: NonNull<Block>,
    pub(super) state: State,
    pub(super) attached: Attached,
    pub(super) id: u64,
    /// Place in the loop's table of live tasks.
    pub(super) live: Cell<u32>,
    /// The root of its tree of scopes, made when the first node is.
    pub(super) root: Cell<u32>,
}

/// The functions that know the future's type. `entry` comes first: the FIFO reads only that.
#[repr(C)]
pub(super) struct TaskVtable {
    pub(super) entry: EntryVtable,
    /// Polls the future; when it is ready, drops it and stores the output.
    ///
    /// # Safety
    /// At home, the stage holds the future, no other poll of it is under way.
    pub(super) poll: unsafe fn(TaskPtr, &mut std::task::Context<'_>) -> Poll<()>,
    /// Drops the future. # Safety: at home, the stage holds the future.
    pub(super) drop_future: unsafe fn(TaskPtr),
    /// Drops the value that the future has left; `None` if values of its type have no destructor. # Safety: at home,
    /// the stage holds it, and the flags say no more.
    pub(super) drop_output: Option<unsafe fn(TaskPtr)>,
    /// The stage's place: a value of the future's output, or a `Box<TaskError>`. # Safety: alive.
    pub(super) output: unsafe fn(TaskPtr) -> NonNull<()>,
    /// For header, future and output.
    pub(super) room: &'static Room,
}

/// A pointer to a task's header.
///
/// It is as careless as any pointer: the holder knows why the task is alive.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct TaskPtr(NonNull<Header>);

impl Header {
    pub(super) fn new(vtable: &'static TaskVtable, home: NonNull<Block>, id: u64) -> Self {
        Self {
            // SAFETY: it lives for ever and is a task's, as this is.
            entry: unsafe { Entry::new(std::ptr::from_ref(vtable).cast()) },
            home,
            state: State::new(),
            attached: Attached::nothing(),
            id,
            live: Cell::new(u32::MAX),
            root: Cell::new(crate::kernel::scope::tree::NIL),
        }
    }
}

impl TaskPtr {
    pub(super) fn new(header: NonNull<Header>) -> Self {
        Self(header)
    }

    /// # Safety
    /// `data` came from [`as_data`](Self::as_data).
    pub(super) unsafe fn from_data(data: *const ()) -> Self {
        // SAFETY: `as_data` gives the address of a header, which is not null.
        Self(unsafe { NonNull::new_unchecked(data.cast_mut().cast()) })
    }

    pub(super) fn as_data(self) -> *const () {
        self.0.as_ptr().cast_const().cast()
    }

    /// # Safety
    /// `entry` is the entry of a task.
    pub(super) unsafe fn from_entry(entry: NonNull<Entry>) -> Self {
        Self(entry.cast())
    }

    pub(super) fn entry(self) -> NonNull<Entry> {
        self.0.cast()
    }

    /// # Safety
    /// The task's memory outlives the use of the result.
    #[inline]
    pub(super) unsafe fn header<'a>(self) -> &'a Header {
        // SAFETY: the caller's duty.
        unsafe { self.0.as_ref() }
    }

    /// # Safety
    /// As [`header`](Self::header).
    #[inline]
    pub(super) unsafe fn state<'a>(self) -> &'a State {
        // Not through `&Header`: abroad, only the state may be looked at, and a reference to the rest
        // would claim more.
        // SAFETY: the caller's duty; the field is in bounds.
        unsafe { &(*self.0.as_ptr()).state }
    }

    /// # Safety
    /// As [`header`](Self::header).
    #[inline]
    pub(super) unsafe fn block<'a>(self) -> &'a Block {
        // SAFETY: each header counts one reference to its block, and `home` never changes.
        unsafe { (*self.0.as_ptr()).home.as_ref() }
    }

    /// # Safety
    /// As [`header`](Self::header).
    #[inline]
    pub(super) unsafe fn vtable(self) -> &'static TaskVtable {
        // SAFETY: alive by the caller's duty; `Header::new` made the entry from a whole `TaskVtable`,
        // whose first field (`repr(C)`) is the scheduler's part.
        unsafe { &*(*self.0.as_ptr()).entry.vtable_ptr().cast::<TaskVtable>() }
    }

    /// Whether the future is polled right now.
    pub(super) fn is_current(self, home: &Home) -> bool {
        home.current_task.get() == Some(self.entry())
    }

    /// Puts the task into the FIFO for a wake at home.
    ///
    /// # Safety
    /// The task is alive, `ready` is its loop's, and this is its thread.
    #[inline]
    pub(super) unsafe fn wake_at_home(self, ready: &ReadyList) {
        // SAFETY: alive.
        if unsafe { self.state() }.wake_at_home() {
            // SAFETY: alive and in no list; QUEUED keeps it alive until it is run.
            unsafe { ready.push(self.entry()) };
        }
    }

    /// Puts the task into the FIFO from a handle, which may be used outside of the loop's turn.
    ///
    /// # Safety
    /// The task is alive and this is its thread.
    pub(super) unsafe fn wake_by_handle(self) {
        // SAFETY: alive, at home.
        let loop_ref = unsafe { self.loop_ref() };
        loop_ref.with(|home| {
            // SAFETY: alive, at home, and `ready` is its loop's.
            unsafe { self.wake_at_home(&home.ready) };
            home.ring_if_idle(loop_ref.cell().shared());
        });
    }

    /// A counted reference to the task's loop.
    ///
    /// # Safety
    /// The task is alive and this is its thread.
    pub(super) unsafe fn loop_ref(self) -> crate::kernel::context::LoopRef {
        // SAFETY: alive by the caller's duty; `home` never changes.
        let block = unsafe { (*self.0.as_ptr()).home };
        // SAFETY: the header keeps the block alive, at home by the caller's duty, and it was handed out to
        // the header by a `LoopRef`.
        unsafe { crate::kernel::context::LoopRef::retain(block) }
    }

    /// Gives up one reference that was counted at home.
    ///
    /// # Safety
    /// At home; the caller owns the reference and does not use it again.
    #[inline]
    pub(super) unsafe fn release_at_home(self) {
        // SAFETY: alive until this reference is gone.
        if unsafe { self.state() }.drop_at_home() == Then::Free {
            // SAFETY: no reference is left.
            unsafe { self.free_at_home() };
        }
    }

    /// Frees the memory of a task that nobody can reach any more.
    ///
    /// # Safety
    /// At home; the state has answered [`Then::Free`].
    pub(super) unsafe fn free_at_home(self) {
        // SAFETY: still ours.
        let (room, block) = unsafe { (self.vtable().room, (*self.0.as_ptr()).home) };
        // SAFETY: at home, so the side box may be dropped here; the stage is empty: a task is freed only
        // when it is done, and its output goes with the `Task` or at the end if there is none.
        unsafe { self.header() }.attached.drop_side();
        // SAFETY: the header's reference keeps the block.
        match unsafe { block.as_ref() }.home_if_current() {
            // SAFETY: `allocate` of this very loop made it, for this room.
            Some(home) => unsafe { home.memory.free(self.0.cast(), room) },
            // SAFETY: as above.
            None => unsafe { free_anywhere(self.0.cast(), room) },
        }
        // SAFETY: the header's own reference to its block, at home.
        unsafe { HomeCell::<Shared, Home>::release_at_home(block) };
    }

    /// As [`free_at_home`](Self::free_at_home), on any thread: only raw memory is left.
    ///
    /// # Safety
    /// The state has answered [`Then::Free`] after the counts were merged.
    pub(super) unsafe fn free_abroad(self) {
        // SAFETY: still ours; the last reference was given up, so no other thread looks.
        let (room, block) = unsafe { (self.vtable().room, (*self.0.as_ptr()).home) };
        // SAFETY: ours alone. What is left in the box is plain or `Send`: the waiters were taken out when
        // the task ended, the context then or with its `Task`, before the counts could be merged.
        unsafe { self.header() }.attached.drop_side();
        // SAFETY: `allocate` made it, for this room.
        unsafe { free_anywhere(self.0.cast(), room) };
        // SAFETY: the header's own reference to its block.
        unsafe { HomeCell::<Shared, Home>::release_anywhere(block) };
    }

    /// The waker of this task's polls, borrowed: cloning it counts, it itself does not.
    ///
    /// # Safety
    /// The task outlives the result, which must not be dropped as a waker.
    #[inline]
    pub(super) unsafe fn borrowed_waker(self) -> mem::ManuallyDrop<Waker> {
        // SAFETY: the data is a header's address, as this vtable expects; not counted, hence not dropped.
        mem::ManuallyDrop::new(unsafe { Waker::new(self.as_data(), &waker::VTABLE) })
    }
}

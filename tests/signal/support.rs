//! Turns, raising a signal, and looking at what the system does with one.

#![expect(unsafe_code, reason = "the system's own face of signals, to see what the library has done there")]

use std::mem::MaybeUninit;
use std::sync::{Mutex, MutexGuard, PoisonError};

use evloop::signal::Signal;
use evloop::time::secs;
use evloop::wait_for;

static TURNS: Mutex<()> = Mutex::new(());

/// A test's turn. Nobody else of this binary listens to anything meanwhile. It may be held across an await, since a
/// test has its thread for itself.
pub(crate) struct Turn {
    _guard: MutexGuard<'static, ()>,
}

pub(crate) fn turn() -> Turn {
    Turn { _guard: TURNS.lock().unwrap_or_else(PoisonError::into_inner) }
}

/// Sends a signal to this process, on whichever of its threads.
pub(crate) fn kill(signal: Signal) {
    let signal = rustix::process::Signal::from_named_raw(signal.as_raw()).expect("a signal with a name");
    rustix::process::kill_process(rustix::process::getpid(), signal).unwrap();
}

/// Sends a signal to this very thread: it is handled before this returns.
pub(crate) fn raise(signal: Signal) {
    // SAFETY: a number.
    assert_eq!(unsafe { libc::raise(signal.as_raw()) }, 0);
}

/// What the system does with a signal: 0 for the default action, 1 if it ignores it, else a function.
pub(crate) fn action(signal: Signal) -> usize {
    let mut action = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: a null pointer asks and changes nothing.
    let result = unsafe { libc::sigaction(signal.as_raw(), std::ptr::null(), action.as_mut_ptr()) };
    assert_eq!(result, 0);
    // SAFETY: written by the call.
    unsafe { action.assume_init() }.sa_sigaction
}

pub(crate) const DEFAULT: usize = libc::SIG_DFL;

/// Sets a handler in the way of programs that know nothing of this library.
pub(crate) fn set_handler(signal: Signal, handler: extern "C" fn(libc::c_int)) {
    // SAFETY: the tests' handlers only count.
    unsafe { libc::signal(signal.as_raw(), handler as *const () as usize) };
}

/// Sets a handler with three arguments.
pub(crate) fn set_handler_with_info(
    signal: Signal,
    handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void),
) {
    // SAFETY: all zeros are an action.
    let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    action.sa_sigaction = handler as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO;
    // SAFETY: the tests' handlers only count.
    let result = unsafe { libc::sigaction(signal.as_raw(), &raw const action, std::ptr::null_mut()) };
    assert_eq!(result, 0);
}

/// Who sent a signal.
pub(crate) fn sender(info: *mut libc::siginfo_t) -> i32 {
    // SAFETY: the system's own, handed on by our handler.
    unsafe { (*info).si_pid() }
}

pub(crate) fn set_default(signal: Signal) {
    // SAFETY: no function.
    unsafe { libc::signal(signal.as_raw(), libc::SIG_DFL) };
}

/// What must not take for ever: a test that hangs says nothing.
pub(crate) async fn in_time<F: IntoFuture>(future: F) -> F::Output {
    wait_for(future, secs(20)).await.expect("nothing happens: a signal was lost")
}

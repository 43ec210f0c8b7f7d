//! Our handler in the hands of others: whoever saves a signal's action and puts it back later may put back our handler
//! when nobody listens any more, as `system` of the C library does with SIGINT around its child.

#![expect(unsafe_code, reason = "the system's own face of signals: what such a library does")]

use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use evloop::run;
use evloop::signal::{Signal, signal};
use evloop::time::secs;
use evloop::{Runner, wait_for, yield_now};
use rustix::process::{getpid, kill_process};

use crate::harness::{End, Test};

const TERM: i32 = libc::SIGTERM;

macro_rules! tests {
    ($($name:ident => $prints:literal, $ends:expr;)*) => {
        pub(crate) const TESTS: &[Test] =
            &[$(Test { name: stringify!($name), scenario: $name, prints: $prints, ends: $ends },)*];
    };
}

tests! {
    put_back_after_the_last_listener_it_does_what_was_there_before => "nobody listens\n", End::Signal(TERM);
    put_back_after_it_was_removed_it_does_what_was_there_before => "nobody listens\n", End::Signal(TERM);
    put_back_it_hears_again_and_calls_whom_it_called => "heard\nheard\ncalls: 2\nas before: true\n", End::Code(0);
    whoever_is_above_us_and_calls_us_keeps_the_signal => "calls: 1\nchild: calls: 2\ncalls: 1\n", End::Code(0);
    ctrl_c_after_a_run_is_not_lost_when_it_was_put_back => "Ok(1)\n", End::Signal(libc::SIGINT);
}

/// The action of a signal, which becomes `new` if there is one.
fn replace(signal: Signal, new: Option<&libc::sigaction>) -> libc::sigaction {
    let mut former = MaybeUninit::uninit();
    // SAFETY: both are an action, or null.
    let result = unsafe {
        libc::sigaction(signal.as_raw(), new.map_or(ptr::null(), ptr::from_ref), former.as_mut_ptr())
    };
    assert_eq!(result, 0);
    // SAFETY: written by the call.
    unsafe { former.assume_init() }
}

/// An action of a handler with one argument, or of none.
fn action(handler: usize) -> libc::sigaction {
    // SAFETY: all zeros are an action.
    let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    action.sa_sigaction = handler;
    action
}

fn kill(signal: Signal) {
    let signal = rustix::process::Signal::from_named_raw(signal.as_raw()).unwrap();
    kill_process(getpid(), signal).unwrap();
}

static CALLS: AtomicU32 = AtomicU32::new(0);
static BELOW: AtomicUsize = AtomicUsize::new(0);

extern "C" fn counts(_: libc::c_int) {
    CALLS.fetch_add(1, Ordering::SeqCst);
}

extern "C" fn counts_and_calls_below(number: libc::c_int) {
    counts(number);
    let below = BELOW.load(Ordering::SeqCst);
    // SAFETY: it was a handler's address.
    let below = unsafe {
        std::mem::transmute::<usize, extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void)>(
            below,
        )
    };
    below(number, ptr::null_mut(), ptr::null_mut());
}

fn put_back_after_the_last_listener_it_does_what_was_there_before() {
    run(async {
        let ours = signal(Signal::SIGTERM).unwrap();
        let saved = replace(Signal::SIGTERM, Some(&action(libc::SIG_IGN)));
        drop(ours);
        replace(Signal::SIGTERM, Some(&saved));
        println!("nobody listens");
        kill(Signal::SIGTERM);
        println!("never");
    });
}

fn put_back_after_it_was_removed_it_does_what_was_there_before() {
    run(async {
        let ours = signal(Signal::SIGTERM).unwrap();
        let saved = replace(Signal::SIGTERM, None);
        drop(ours);
        assert_eq!(replace(Signal::SIGTERM, Some(&saved)).sa_sigaction, libc::SIG_DFL);
        println!("nobody listens");
        kill(Signal::SIGTERM);
        println!("never");
    });
}

fn put_back_it_hears_again_and_calls_whom_it_called() {
    let own = action(counts as *const () as usize);
    replace(Signal::SIGTERM, Some(&own));
    run(async {
        for removed in [true, false] {
            let ours = signal(Signal::SIGTERM).unwrap();
            let nothing = action(libc::SIG_IGN);
            let saved = replace(Signal::SIGTERM, (!removed).then_some(&nothing));
            drop(ours);
            replace(Signal::SIGTERM, Some(&saved));
            let mut again = signal(Signal::SIGTERM).unwrap();
            kill(Signal::SIGTERM);
            wait_for(again.recv(), secs(20)).await.unwrap();
            println!("heard");
        }
    });
    println!("calls: {}", CALLS.load(Ordering::SeqCst));
    println!("as before: {}", replace(Signal::SIGTERM, None).sa_sigaction == own.sa_sigaction);
}

fn whoever_is_above_us_and_calls_us_keeps_the_signal() {
    run(async {
        let ours = signal(Signal::SIGTERM).unwrap();
        BELOW.store(replace(Signal::SIGTERM, None).sa_sigaction, Ordering::SeqCst);
        replace(Signal::SIGTERM, Some(&action(counts_and_calls_below as *const () as usize)));
        drop(ours);
        kill(Signal::SIGTERM);
        println!("calls: {}", CALLS.load(Ordering::SeqCst));
        // SAFETY: the process has one thread.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            kill(Signal::SIGTERM);
            println!("child: calls: {}", CALLS.load(Ordering::SeqCst));
            // SAFETY: no duties.
            unsafe { libc::_exit(0) };
        }
        let mut status = 0;
        // SAFETY: room for a number.
        assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
        println!("calls: {}", CALLS.load(Ordering::SeqCst));
        yield_now().await;
    });
}

fn ctrl_c_after_a_run_is_not_lost_when_it_was_put_back() {
    let mut runner = Runner::new().unwrap();
    let mut saved = None;
    let output = runner.run(async {
        saved = Some(replace(Signal::SIGINT, Some(&action(libc::SIG_IGN))));
        1
    });
    replace(Signal::SIGINT, saved.as_ref());
    println!("{output:?}");
    kill(Signal::SIGINT);
    println!("never");
}

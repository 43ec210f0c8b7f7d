//! Several loops, several threads, and handlers that were there before.

use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

use evloop::signal::{Signal, signal};
use evloop::time::secs;
use evloop::{Clock, EventLoop, RunError, get_running_loop, yield_now};

use crate::support::{
    DEFAULT, action, in_time, kill, raise, sender, set_default, set_handler, set_handler_with_info, turn,
};

static CALLS: AtomicU32 = AtomicU32::new(0);
static SENDER: AtomicI32 = AtomicI32::new(0);

extern "C" fn counts(_: libc::c_int) {
    CALLS.fetch_add(1, Ordering::SeqCst);
}

extern "C" fn notes_the_sender(_: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    SENDER.store(sender(info), Ordering::SeqCst);
}

/// The process's own handler for SIGUSR2, for the length of a test.
struct Own;

impl Drop for Own {
    fn drop(&mut self) {
        set_default(Signal::SIGUSR2);
    }
}

#[evloop::test]
async fn a_handler_that_was_there_is_called_and_put_back() {
    let _turn = turn();
    let _own = Own;
    set_handler(Signal::SIGUSR2, counts);
    let former = action(Signal::SIGUSR2);
    CALLS.store(0, Ordering::SeqCst);
    let mut one = signal(Signal::SIGUSR2).unwrap();
    let two = signal(Signal::SIGUSR2).unwrap();
    assert_ne!(action(Signal::SIGUSR2), former);
    raise(Signal::SIGUSR2);
    assert_eq!(CALLS.load(Ordering::SeqCst), 1, "once, whoever listens");
    in_time(one.recv()).await;
    drop(one);
    assert_ne!(action(Signal::SIGUSR2), former, "somebody still listens");
    drop(two);
    assert_eq!(action(Signal::SIGUSR2), former);
    raise(Signal::SIGUSR2);
    assert_eq!(CALLS.load(Ordering::SeqCst), 2);
}

#[evloop::test]
async fn a_handler_with_three_arguments_gets_them() {
    let _turn = turn();
    let _own = Own;
    set_handler_with_info(Signal::SIGUSR2, notes_the_sender);
    SENDER.store(0, Ordering::SeqCst);
    let mut usr2 = signal(Signal::SIGUSR2).unwrap();
    kill(Signal::SIGUSR2);
    in_time(usr2.recv()).await;
    // It was handled on another thread, which writes first and calls then.
    in_time(async {
        while SENDER.load(Ordering::SeqCst) == 0 {
            yield_now().await;
        }
    })
    .await;
    assert_eq!(SENDER.load(Ordering::SeqCst), std::process::id() as i32);
}

/// A signal of its own: that somebody was above us there is remembered.
#[evloop::test]
async fn whoever_came_after_us_stays() {
    let _turn = turn();
    let signal_of_its_own = Signal::SIGURG;
    let ours = signal(signal_of_its_own).unwrap();
    set_handler(signal_of_its_own, counts);
    let theirs = action(signal_of_its_own);
    drop(ours);
    assert_eq!(action(signal_of_its_own), theirs);
    // We come again. It might call us, for all we know, so we do not call it.
    CALLS.store(0, Ordering::SeqCst);
    let mut ours = signal(signal_of_its_own).unwrap();
    raise(signal_of_its_own);
    in_time(ours.recv()).await;
    assert_eq!(CALLS.load(Ordering::SeqCst), 0);
    drop(ours);
    assert_eq!(action(signal_of_its_own), theirs);
    // Once it is gone, it is forgotten.
    set_default(signal_of_its_own);
    drop(signal(signal_of_its_own).unwrap());
    assert_eq!(action(signal_of_its_own), DEFAULT);
    set_handler(signal_of_its_own, counts);
    let mut ours = signal(signal_of_its_own).unwrap();
    raise(signal_of_its_own);
    in_time(ours.recv()).await;
    assert_eq!(CALLS.load(Ordering::SeqCst), 1);
    drop(ours);
    set_default(signal_of_its_own);
}

#[test]
fn loops_on_several_threads_all_hear_it() {
    let _turn = turn();
    let (listening, all_listen) = mpsc::channel();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let listening = listening.clone();
            thread::spawn(move || {
                evloop::run(async {
                    let mut usr1 = signal(Signal::SIGUSR1).unwrap();
                    listening.send(()).unwrap();
                    in_time(usr1.recv()).await;
                });
            })
        })
        .collect();
    for _ in 0..4 {
        all_listen.recv_timeout(secs(20)).unwrap();
    }
    kill(Signal::SIGUSR1);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(action(Signal::SIGUSR1), DEFAULT);
}

#[test]
fn two_loops_on_one_thread_both_hear_it() {
    let _turn = turn();
    let mut loops = [0, 1].map(|_| EventLoop::builder().clock(Clock::Virtual).build().unwrap());
    let mut streams = loops
        .each_mut()
        .map(|event_loop| event_loop.run_until_complete(async { signal(Signal::SIGUSR1).unwrap() }).unwrap());
    raise(Signal::SIGUSR1);
    for (event_loop, stream) in loops.iter_mut().zip(&mut streams) {
        event_loop.run_until_complete(in_time(stream.recv())).unwrap();
    }
}

/// A loop that looks only after more signals than a pipe holds.
#[evloop::test]
async fn a_full_pipe_loses_no_kind_of_signal() {
    let _turn = turn();
    let mut usr1 = signal(Signal::SIGUSR1).unwrap();
    let mut usr2 = signal(Signal::SIGUSR2).unwrap();
    for _ in 0..70_000 {
        raise(Signal::SIGUSR1);
    }
    raise(Signal::SIGUSR2);
    in_time(usr1.recv()).await;
    in_time(usr2.recv()).await;
    assert_eq!(get_running_loop().unwrap().registrations(), (1, 1));
}

/// Loops come and go while two threads send what they can; and descriptors are opened, which would get the numbers
/// of pipes that were closed: a byte in one of them has come from a handler that was too late.
#[test]
fn no_handler_writes_to_a_pipe_that_is_closed() {
    let _turn = turn();
    // The default action would end the process whenever nobody listens.
    let _own = Own;
    set_handler(Signal::SIGUSR2, counts);
    let over = Arc::new(AtomicBool::new(false));
    let senders: Vec<_> = (0..2)
        .map(|_| {
            let over = over.clone();
            thread::spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    raise(Signal::SIGUSR2);
                }
            })
        })
        .collect();
    for _ in 0..100 {
        let mut event_loop = EventLoop::builder().clock(Clock::Virtual).build().unwrap();
        let heard: Result<(), RunError> = event_loop.run_until_complete(async {
            let mut usr2 = signal(Signal::SIGUSR2).unwrap();
            usr2.recv().await;
        });
        heard.unwrap();
        let handle = event_loop.handle();
        handle.add_signal_handler(Signal::SIGUSR2, || ()).unwrap();
        drop(event_loop);
        let pipes: Vec<_> = (0..4).map(|_| std::io::pipe().unwrap()).collect();
        for (mut reader, writer) in pipes {
            drop(writer);
            let mut found = Vec::new();
            std::io::Read::read_to_end(&mut reader, &mut found).unwrap();
            assert_eq!(found, [0; 0], "a byte in a pipe that is nobody's");
        }
    }
    over.store(true, Ordering::Relaxed);
    senders.into_iter().for_each(|sender| sender.join().unwrap());
}

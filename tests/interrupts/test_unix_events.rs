//! CPython's `test_unix_events`: what changes the process, that is the fork tests, as far as they are of signals and
//! of running loops, and an installation that fails.
//!
//! A process is forked here while it has no other thread, so the child may do as it likes.

#![expect(unsafe_code, reason = "fork")]

use std::cell::Cell;
use std::os::fd::AsRawFd;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::rc::Rc;

use evloop::signal::{Signal, signal};
use evloop::time::{millis, secs};
use evloop::{EventLoop, Runner, get_running_loop, run, try_run, wait_for, yield_now};
use rustix::process::{
    Pid, Resource, Rlimit, WaitOptions, getpid, getrlimit, kill_process, setrlimit, waitpid,
};

use crate::harness::{End, Test};

macro_rules! tests {
    ($($name:ident => $prints:literal;)*) => {
        pub(crate) const TESTS: &[Test] =
            &[$(Test { name: stringify!($name), scenario: $name, prints: $prints, ends: End::Code(0) },)*];
    };
}

tests! {
    test_fork_signal_handling => "child: heard\nchild: signal 15 afterwards: 0\nparent: heard nothing\n";
    test_fork_asyncio_run => "child: 42\nparent: 0\n";
    a_signal_for_a_child_that_does_not_listen_does_what_it_always_did => "child died by 15\nparent: heard nothing\n";
    a_child_that_removes_its_copy_of_a_handler_leaves_the_parents_alone => "child: 0\nparent: heard\n";
    test_add_signal_handler_install_error => "refused\nheard\n";
    a_loops_end_leaves_no_descriptor_behind => "as before\n";
    ctrl_c_in_a_child_is_not_the_parents => "child died by 2\nparent: 1\n";
}

/// Runs `child` in a forked process, and returns how that has ended.
fn fork(child: impl FnOnce() -> i32) -> ExitStatus {
    // SAFETY: the process has one thread.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0);
    if pid == 0 {
        let code = child();
        // Neither the harness nor anything of the parent's is to run on in here.
        // SAFETY: no duties.
        unsafe { libc::_exit(code) };
    }
    let (_, status) = waitpid(Pid::from_raw(pid), WaitOptions::empty()).unwrap().unwrap();
    ExitStatus::from_raw(status.as_raw())
}

fn kill(signal: rustix::process::Signal) {
    kill_process(getpid(), signal).unwrap();
}

/// Hears nothing for a while.
async fn hears_nothing(signals: &mut evloop::signal::Signals) -> bool {
    wait_for(signals.recv(), millis(5)).await.is_err()
}

fn test_fork_signal_handling() {
    run(async {
        let mut ours = signal(Signal::SIGTERM).unwrap();
        yield_now().await;
        let status = fork(|| {
            // A thread of its own, since the copy of the parent's loop runs on this one.
            let heard = std::thread::spawn(|| {
                run(async {
                    let mut theirs = signal(Signal::SIGTERM).unwrap();
                    kill(rustix::process::Signal::TERM);
                    wait_for(theirs.recv(), secs(20)).await.is_ok()
                })
            });
            assert!(heard.join().unwrap());
            println!("child: heard");
            0
        });
        println!("child: signal 15 afterwards: {}", status.code().unwrap());
        assert!(hears_nothing(&mut ours).await);
        println!("parent: heard nothing");
    });
}

fn test_fork_asyncio_run() {
    let status = fork(|| {
        println!("child: {}", run(async { 42 }));
        0
    });
    println!("parent: {}", status.code().unwrap());
}

fn a_signal_for_a_child_that_does_not_listen_does_what_it_always_did() {
    run(async {
        let mut ours = signal(Signal::SIGTERM).unwrap();
        let status = fork(|| {
            kill(rustix::process::Signal::TERM);
            println!("never");
            0
        });
        println!("child died by {}", status.signal().unwrap());
        assert!(hears_nothing(&mut ours).await);
        println!("parent: heard nothing");
    });
}

fn a_child_that_removes_its_copy_of_a_handler_leaves_the_parents_alone() {
    let mut event_loop = EventLoop::new().unwrap();
    let (handle, heard) = (event_loop.handle(), Rc::new(Cell::new(false)));
    handle
        .add_signal_handler(Signal::SIGTERM, {
            let (heard, handle) = (heard.clone(), handle.clone());
            move || {
                heard.set(true);
                handle.stop();
            }
        })
        .unwrap();
    let status = fork(|| {
        assert!(handle.remove_signal_handler(Signal::SIGTERM));
        0
    });
    println!("child: {}", status.code().unwrap());
    kill(rustix::process::Signal::TERM);
    event_loop.run_forever().unwrap();
    assert!(heard.get());
    println!("parent: heard");
}

fn ctrl_c_in_a_child_is_not_the_parents() {
    let output = try_run(async {
        let status = fork(|| {
            kill(rustix::process::Signal::INT);
            println!("never");
            0
        });
        println!("child died by {}", status.signal().unwrap());
        for _ in 0..200 {
            yield_now().await;
        }
        1
    });
    println!("parent: {}", output.unwrap());
}

/// No descriptor is left for the pipe; a moment later there is.
fn test_add_signal_handler_install_error() {
    // The runner's own pipe would be there already.
    let mut runner = Runner::builder().handle_sigint(false).build().unwrap();
    let main = runner.run(async {
        let handle = get_running_loop().unwrap();
        let before = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: Some(3), ..before }).unwrap();
        handle.add_signal_handler(Signal::SIGTERM, || unreachable!("refused")).unwrap_err();
        signal(Signal::SIGTERM).unwrap_err();
        assert!(!handle.remove_signal_handler(Signal::SIGTERM));
        assert_eq!(handle.registrations(), (0, 0));
        println!("refused");
        setrlimit(Resource::Nofile, before).unwrap();
        // Nothing is installed: a child would die of it.
        let status = fork(|| {
            kill(rustix::process::Signal::TERM);
            0
        });
        assert_eq!(status.signal(), Some(libc::SIGTERM));
        let mut term = signal(Signal::SIGTERM).unwrap();
        kill(rustix::process::Signal::TERM);
        assert!(wait_for(term.recv(), secs(20)).await.is_ok());
        println!("heard");
    });
    main.unwrap();
}

fn a_loops_end_leaves_no_descriptor_behind() {
    // The lowest numbers that are free; nobody else is in this process.
    let free = || {
        let (reader, writer) = std::io::pipe().unwrap();
        (reader.as_raw_fd(), writer.as_raw_fd())
    };
    let before = free();
    for _ in 0..3 {
        let mut event_loop = EventLoop::new().unwrap();
        event_loop.handle().add_signal_handler(Signal::SIGHUP, || ()).unwrap();
        let mut term = event_loop.run_until_complete(async { signal(Signal::SIGTERM).unwrap() }).unwrap();
        kill(rustix::process::Signal::TERM);
        event_loop.run_until_complete(term.recv()).unwrap();
        drop(event_loop);
        run(yield_now());
    }
    assert_eq!(free(), before);
    println!("as before");
}

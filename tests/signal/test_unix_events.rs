//! CPython's `test_unix_events`: the signals.
//!
//! Not ported:
//! * `test_handle_signal_cancelled_handler`: the handler has no handle that could be cancelled;
//!   `a_callback_that_removes_itself_is_not_called_again` is what one would do with it.
//! * `test_add_signal_handler_setup_error`: on every thread one may listen.
//! * the fork tests, `test_add_signal_handler_install_error`: in `tests/interrupts`, which has a process for each.

use std::cell::{Cell, RefCell};
use std::io::ErrorKind;
use std::rc::Rc;

use evloop::signal::Signal;
use evloop::{Clock, EventLoop, LoopHandle, get_running_loop, yield_now};

use crate::support::{DEFAULT, action, raise, turn};

type Log = Rc<RefCell<Vec<&'static str>>>;

fn log_on(handle: &LoopHandle, signal: Signal, log: &Log, name: &'static str) {
    let log = log.clone();
    handle.add_signal_handler(signal, move || log.borrow_mut().push(name)).unwrap();
}

async fn settle() {
    for _ in 0..4 {
        yield_now().await;
    }
}

/// A signal that the loop has no callback for, though its handler is installed: another loop has.
#[evloop::test]
async fn test_handle_signal_no_handler() {
    let _turn = turn();
    let here = get_running_loop().unwrap();
    let (other, log) = (EventLoop::builder().clock(Clock::Virtual).build().unwrap(), Log::default());
    log_on(&other.handle(), Signal::SIGUSR1, &log, "the other's");
    log_on(&here, Signal::SIGUSR2, &log, "of another signal");
    raise(Signal::SIGUSR1);
    settle().await;
    assert!(log.borrow().is_empty());
}

#[test]
fn test_check_signal() {
    assert_eq!(Signal::from_raw(0).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(Signal::from_raw(libc::SIGRTMAX() + 1).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(Signal::from_raw(libc::SIGRTMAX()).unwrap().as_raw(), libc::SIGRTMAX());
}

/// "Handler stored": it is the one that is called, and a second one takes its place.
#[evloop::test]
async fn test_add_signal_handler() {
    let _turn = turn();
    let (handle, log) = (get_running_loop().unwrap(), Log::default());
    log_on(&handle, Signal::SIGHUP, &log, "first");
    raise(Signal::SIGHUP);
    settle().await;
    log_on(&handle, Signal::SIGHUP, &log, "second");
    raise(Signal::SIGHUP);
    raise(Signal::SIGHUP);
    settle().await;
    assert_eq!(log.take(), ["first", "second", "second"]);
    assert!(handle.remove_signal_handler(Signal::SIGHUP));
    assert!(!handle.remove_signal_handler(Signal::SIGHUP), "there was only one");
}

#[evloop::test]
async fn test_remove_signal_handler() {
    let _turn = turn();
    let (handle, log) = (get_running_loop().unwrap(), Log::default());
    log_on(&handle, Signal::SIGHUP, &log, "hup");
    assert_ne!(action(Signal::SIGHUP), DEFAULT);
    raise(Signal::SIGHUP);
    assert!(handle.remove_signal_handler(Signal::SIGHUP));
    assert_eq!(action(Signal::SIGHUP), DEFAULT);
    settle().await;
    assert!(log.borrow().is_empty(), "a call that is due is not made any more");
}

/// That SIGINT then interrupts again is in `tests/interrupts`.
#[evloop::test]
async fn test_remove_signal_handler_2() {
    let _turn = turn();
    let (handle, log) = (get_running_loop().unwrap(), Log::default());
    log_on(&handle, Signal::SIGINT, &log, "int");
    log_on(&handle, Signal::SIGHUP, &log, "hup");
    assert!(handle.remove_signal_handler(Signal::SIGINT));
    assert_eq!(action(Signal::SIGINT), DEFAULT);
    assert_ne!(action(Signal::SIGHUP), DEFAULT);
    raise(Signal::SIGHUP);
    settle().await;
    assert_eq!(log.take(), ["hup"]);
}

#[test]
fn test_close() {
    let _turn = turn();
    let (mut event_loop, log) = (EventLoop::builder().clock(Clock::Virtual).build().unwrap(), Log::default());
    let handle = event_loop.handle();
    log_on(&handle, Signal::SIGHUP, &log, "hup");
    log_on(&handle, Signal::SIGCHLD, &log, "chld");
    event_loop.run_until_complete(yield_now()).unwrap();
    assert_eq!(Rc::strong_count(&log), 3);
    drop(event_loop);
    assert_eq!((action(Signal::SIGHUP), action(Signal::SIGCHLD)), (DEFAULT, DEFAULT));
    assert_eq!(Rc::strong_count(&log), 1, "the callbacks are dropped");
    let refused = handle.add_signal_handler(Signal::SIGHUP, || unreachable!("refused")).unwrap_err();
    assert!(refused.to_string().contains("the event loop is closed"), "{refused}");
    assert!(!handle.remove_signal_handler(Signal::SIGHUP));
}

// Beyond CPython's.

#[evloop::test]
async fn a_callback_that_removes_itself_is_not_called_again() {
    let _turn = turn();
    let handle = get_running_loop().unwrap();
    let calls = Rc::new(Cell::new(0));
    handle
        .add_signal_handler(Signal::SIGHUP, {
            let (calls, handle) = (calls.clone(), handle.clone());
            move || {
                calls.set(calls.get() + 1);
                assert!(handle.remove_signal_handler(Signal::SIGHUP));
            }
        })
        .unwrap();
    raise(Signal::SIGHUP);
    raise(Signal::SIGHUP);
    settle().await;
    assert_eq!(calls.get(), 1);
    assert_eq!(Rc::strong_count(&calls), 1);
}

#[evloop::test]
async fn a_callback_that_replaces_itself_is_replaced() {
    let _turn = turn();
    let (handle, log) = (get_running_loop().unwrap(), Log::default());
    handle
        .add_signal_handler(Signal::SIGHUP, {
            let (log, handle) = (log.clone(), handle.clone());
            move || {
                log.borrow_mut().push("first");
                log_on(&handle, Signal::SIGHUP, &log, "second");
            }
        })
        .unwrap();
    for _ in 0..3 {
        raise(Signal::SIGHUP);
    }
    settle().await;
    assert_eq!(log.take(), ["first", "second", "second"]);
}

#[evloop::test(order = "fifo")]
async fn signals_of_several_kinds_keep_their_order() {
    let _turn = turn();
    let (handle, log) = (get_running_loop().unwrap(), Log::default());
    log_on(&handle, Signal::SIGUSR1, &log, "usr1");
    log_on(&handle, Signal::SIGUSR2, &log, "usr2");
    for signal in [Signal::SIGUSR2, Signal::SIGUSR1, Signal::SIGUSR2] {
        raise(signal);
    }
    settle().await;
    assert_eq!(log.take(), ["usr2", "usr1", "usr2"]);
}

#[evloop::test]
async fn a_callback_that_panics_is_reported_and_stays() {
    let _turn = turn();
    let handle = get_running_loop().unwrap();
    let said = Rc::new(RefCell::new(Vec::new()));
    handle.set_exception_handler({
        let said = said.clone();
        move |context| said.borrow_mut().push(context.panic_message().to_owned())
    });
    handle.add_signal_handler(Signal::SIGUSR1, || panic!("in the callback")).unwrap();
    raise(Signal::SIGUSR1);
    raise(Signal::SIGUSR1);
    settle().await;
    assert_eq!(said.take(), ["in the callback"; 2]);
}

/// It panics when it is dropped.
struct PanicsInDrop;

impl Drop for PanicsInDrop {
    fn drop(&mut self) {
        panic!("in its destructor");
    }
}

#[evloop::test]
async fn a_callback_that_panics_after_it_has_removed_itself_may_panic_once_more_when_it_is_dropped() {
    let _turn = turn();
    let handle = get_running_loop().unwrap();
    let said = Rc::new(RefCell::new(Vec::new()));
    handle.set_exception_handler({
        let said = said.clone();
        move |context| said.borrow_mut().push(context.panic_message().to_owned())
    });
    let captured = PanicsInDrop;
    let its_loop = handle.clone();
    handle
        .add_signal_handler(Signal::SIGUSR1, move || {
            let _captured = &captured;
            its_loop.remove_signal_handler(Signal::SIGUSR1);
            panic!("in the callback")
        })
        .unwrap();
    raise(Signal::SIGUSR1);
    settle().await;
    assert_eq!(said.take(), ["in its destructor", "in the callback"]);
}

/// Schedules on the loop when it is dropped, which may be at the loop's end.
struct SchedulesInDrop(LoopHandle, Rc<()>);

impl Drop for SchedulesInDrop {
    fn drop(&mut self) {
        let (soon, task, later) = (self.1.clone(), self.1.clone(), self.1.clone());
        self.0.call_soon(move || drop(soon));
        self.0.call_later(evloop::time::secs(1), move || drop(later));
        drop(self.0.create_task(async move { drop(task) }));
        let _ = self.0.add_signal_handler(Signal::SIGUSR1, || ());
    }
}

#[test]
fn a_callback_that_schedules_when_its_loop_drops_it_leaves_nothing_behind() {
    let _turn = turn();
    let count = Rc::new(());
    let event_loop = EventLoop::new().unwrap();
    let handle = event_loop.handle();
    let captured = SchedulesInDrop(handle.clone(), count.clone());
    handle.add_signal_handler(Signal::SIGUSR1, move || _ = &captured).unwrap();
    drop(event_loop);
    assert_eq!(Rc::strong_count(&count), 1);
    assert_eq!(action(Signal::SIGUSR1), DEFAULT);
}

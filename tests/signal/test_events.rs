//! CPython's `test_events`: the signals.

use std::cell::{Cell, RefCell};
use std::io::ErrorKind;
use std::rc::Rc;

use evloop::signal::Signal;
use evloop::{Clock, EventLoop, Promise, get_running_loop, yield_now};

use crate::support::{DEFAULT, action, in_time, kill, raise, turn};

/// "Bad types" are the compiler's business, and a number becomes a `Signal` only if it is one.
#[evloop::test]
async fn test_add_signal_handler() {
    let _turn = turn();
    let handle = get_running_loop().unwrap();
    assert_eq!(Signal::from_raw(1000).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(Signal::from_raw(libc::SIGKILL).unwrap_err().kind(), ErrorKind::Unsupported);
    let caught = Rc::new(Cell::new(0));
    handle
        .add_signal_handler(Signal::SIGUSR1, {
            let caught = caught.clone();
            move || caught.set(caught.get() + 1)
        })
        .unwrap();
    raise(Signal::SIGUSR1);
    assert_eq!(caught.get(), 0, "not inside of other code");
    while caught.get() == 0 {
        yield_now().await;
    }
    assert_eq!(caught.get(), 1);
    assert!(handle.remove_signal_handler(Signal::SIGUSR1));
    assert_eq!(action(Signal::SIGUSR1), DEFAULT);
    assert!(!handle.remove_signal_handler(Signal::SIGUSR1));
}

/// CPython arms `setitimer` for SIGALRM; here another thread sends the signal while the loop waits without an
/// end. (Whether it has fallen asleep by then does not matter: it must wake, or not fall asleep.)
#[test]
fn test_signal_handling_while_selecting() {
    let _turn = turn();
    let mut event_loop = EventLoop::builder().clock(Clock::Monotonic).build().unwrap();
    let handle = event_loop.handle();
    let caught = Rc::new(Cell::new(0));
    handle
        .add_signal_handler(Signal::SIGALRM, {
            let (caught, handle) = (caught.clone(), handle.clone());
            move || {
                caught.set(caught.get() + 1);
                handle.stop();
            }
        })
        .unwrap();
    let sender = std::thread::spawn(|| kill(Signal::SIGALRM));
    event_loop.run_forever().unwrap();
    sender.join().unwrap();
    assert_eq!(caught.get(), 1);
}

#[evloop::test]
async fn test_signal_handling_args() {
    let _turn = turn();
    let handle = get_running_loop().unwrap();
    let (got, some_args) = (Promise::new(), ("fud", 3));
    let caught = Rc::new(RefCell::new(Vec::new()));
    handle
        .add_signal_handler(Signal::SIGALRM, {
            let (got, caught) = (got.clone(), caught.clone());
            move || {
                caught.borrow_mut().push(some_args);
                let _ = got.set_result(());
            }
        })
        .unwrap();
    kill(Signal::SIGALRM);
    in_time(&got).await.unwrap();
    assert_eq!(*caught.borrow(), [("fud", 3)]);
    assert!(handle.remove_signal_handler(Signal::SIGALRM));
}

//! `add_reader` and `add_writer`: callbacks for other people's descriptors, on loops of each kind.
//!
//! CPython's tests of them are in `tests/api` (`test_selector_events`), the order of calls in `tests/parity`.

mod callbacks;
mod pipes;
mod registering;

use std::cell::Cell;
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use evloop::LoopHandle;

use crate::support::{settle, yields};

/// Two connected sockets that do not block.
fn pair() -> (UnixStream, UnixStream) {
    let (a, b) = UnixStream::pair().unwrap();
    a.set_nonblocking(true).unwrap();
    b.set_nonblocking(true).unwrap();
    (a, b)
}

/// How often a callback was called, and whether it still exists.
#[derive(Clone, Default)]
struct Calls(Rc<Cell<usize>>);

impl Calls {
    /// A callback that counts.
    fn counter(&self) -> impl FnMut() + 'static {
        let calls = self.clone();
        move || calls.add()
    }

    fn add(&self) {
        self.0.set(self.0.get() + 1);
    }

    /// How often it was called since the last question.
    fn take(&self) -> usize {
        self.0.take()
    }

    /// How often it is called from now on, in a few looks of the loop. A call that stands in the FIFO already, for what
    /// was seen before, is not meant.
    async fn now(&self) -> usize {
        yields(1).await;
        self.take();
        settle().await;
        self.take()
    }

    fn is_dropped(&self) -> bool {
        Rc::strong_count(&self.0) == 1
    }
}

/// A reader that reads all there is, and what it has got.
fn add_consumer(handle: &LoopHandle, stream: &UnixStream) -> Rc<std::cell::RefCell<Vec<u8>>> {
    let got = Rc::<std::cell::RefCell<Vec<u8>>>::default();
    let (sink, mut source) = (got.clone(), stream.try_clone().unwrap());
    let consume = move || {
        let mut buffer = [0; 64];
        match source.read(&mut buffer) {
            Ok(n) => sink.borrow_mut().extend(&buffer[..n]),
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
        }
    };
    handle.add_reader(stream, consume).unwrap();
    got
}

//! What the modules share: the ways in which a loop can watch its descriptors; pairs of sockets; a waker that
//! counts.

use std::io::Write;
use std::net;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Wake, Waker};
use std::thread;

use evloop::net::TcpStream;
use evloop::time::{millis, secs};
use evloop::{Builder, Clock, EventLoop, PollMode, get_running_loop, sleep, wait_for, yield_now};

/// Runs a test on a loop of each kind: both waits, all modes.
#[track_caller]
pub(crate) fn on_every_loop<F: Future<Output = ()>>(test: impl Fn() -> F) {
    for portable in [false, true] {
        for mode in [PollMode::Edge, PollMode::Level, PollMode::Oneshot] {
            let builder = EventLoop::builder().portable_wait(portable).poll_mode(mode);
            if let Err(panic) = std::panic::catch_unwind(AssertUnwindSafe(|| run_on(builder, test()))) {
                eprintln!("on a loop with portable_wait({portable}) and {mode:?}:");
                std::panic::resume_unwind(panic);
            }
        }
    }
}

/// Runs a future to its end, and expects that nothing stays registered.
#[track_caller]
pub(crate) fn run_on<F: Future>(builder: Builder, future: F) -> F::Output {
    let mut event_loop = builder.clock(Clock::Monotonic).build().unwrap();
    let output = event_loop.run_until_complete(future).unwrap();
    event_loop.cancel_all_tasks().unwrap();
    assert_eq!(event_loop.handle().registrations(), (0, 0), "descriptors and waiters that stayed behind");
    output
}

/// Calls a test with a builder for each kind of loop, for tests that need several loops or run them by hand.
#[track_caller]
pub(crate) fn on_every_kind(test: impl Fn(Builder)) {
    for portable in [false, true] {
        for mode in [PollMode::Edge, PollMode::Level, PollMode::Oneshot] {
            let builder = EventLoop::builder().portable_wait(portable).poll_mode(mode);
            if let Err(panic) = std::panic::catch_unwind(AssertUnwindSafe(|| test(builder))) {
                eprintln!("with portable_wait({portable}) and {mode:?}:");
                std::panic::resume_unwind(panic);
            }
        }
    }
}

/// Registered descriptors, and who waits for them, in the running loop.
pub(crate) fn registrations() -> (usize, usize) {
    get_running_loop().expect("inside of a loop").registrations()
}

/// Yields `n` times.
pub(crate) async fn yields(n: usize) {
    for _ in 0..n {
        yield_now().await;
    }
}

/// Lets the loop look outside, however much there is to do, and run what it finds.
pub(crate) async fn settle() {
    // A loop looks at least once in 64 steps, and each of these is one.
    yields(3 * 64).await;
}

/// What must not take for ever: a test that hangs says nothing.
pub(crate) async fn in_time<F: IntoFuture>(future: F) -> F::Output {
    wait_for(future, secs(20)).await.expect("nothing happens: a wake-up was lost")
}

/// Runs a test that may hang if it fails, where no timer of a loop can end it: then it is left behind.
pub(crate) fn unless_it_hangs(test: impl FnOnce() + Send + 'static) {
    let (done, is_done) = mpsc::channel();
    let running = thread::spawn(move || {
        test();
        done.send(()).unwrap();
    });
    let patience = is_done.recv_timeout(secs(60));
    assert_ne!(patience, Err(mpsc::RecvTimeoutError::Timeout), "it hangs: a wake-up was lost");
    if let Err(panic) = running.join() {
        std::panic::resume_unwind(panic);
    }
}

/// A connection: this side for a loop, and the other to read and write by hand (it blocks).
pub(crate) fn tcp_pair() -> (TcpStream, net::TcpStream) {
    let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
    let theirs = net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (ours, _) = listener.accept().unwrap();
    (TcpStream::from_std(ours).unwrap(), theirs)
}

/// Writes until the system takes no more; says how much it took. The descriptor is non-blocking.
pub(crate) fn fill(mut stream: impl Write) -> usize {
    let mut written = 0;
    loop {
        match stream.write(&[0; 65536]) {
            Ok(n) => written += n,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return written,
            Err(error) => panic!("{error}"),
        }
    }
}

/// A waker that counts how often it is called; and itself, by its clones.
#[derive(Default)]
pub(crate) struct Woken {
    times: AtomicUsize,
}

impl Woken {
    pub(crate) fn new() -> (Arc<Self>, Waker) {
        let woken = Arc::new(Self::default());
        (woken.clone(), Waker::from(woken))
    }

    /// How often it was called.
    pub(crate) fn times(&self) -> usize {
        self.times.load(Ordering::SeqCst)
    }
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.times.fetch_add(1, Ordering::SeqCst);
    }
}

/// How many iterations the loop makes in a few milliseconds in which nothing happens: one for the timer, and a
/// few for what the system has to say first.
pub(crate) async fn iterations_while_idle() -> u64 {
    settle().await;
    let handle = get_running_loop().expect("inside of a loop");
    let before = handle.iterations();
    sleep(millis(5)).await;
    handle.iterations() - before
}

//! Executors of somebody else's: they poll sockets in callbacks of the loop, outside of any task.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use evloop::{AsyncFd, EventLoop, LoopProxy};

use crate::support::{on_every_kind, tcp_pair};

/// Polls its future in a callback whenever that is woken, and stops the loop at its end.
struct Foreign {
    future: Mutex<Option<Pin<Box<dyn Future<Output = ()> + Send>>>>,
    polls: AtomicUsize,
    proxy: LoopProxy,
}

/// More than enough: a future that is polled so often gets nowhere.
const POLLS: usize = 10_000;

impl Wake for Foreign {
    fn wake(self: Arc<Self>) {
        let proxy = self.proxy.clone();
        proxy.call_soon(move || self.poll()).unwrap();
    }
}

impl Foreign {
    fn run(event_loop: &mut EventLoop, future: impl Future<Output = ()> + Send + 'static) {
        let foreign = Arc::new(Self {
            future: Mutex::new(Some(Box::pin(future))),
            polls: AtomicUsize::new(0),
            proxy: event_loop.handle().proxy(),
        });
        Waker::from(foreign).wake();
        event_loop.run_forever().unwrap();
    }

    fn poll(self: Arc<Self>) {
        let waker = Waker::from(self.clone());
        let Some(mut future) = self.future.lock().unwrap().take() else { return };
        let polls = self.polls.fetch_add(1, Ordering::Relaxed);
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Pending if polls < POLLS => *self.future.lock().unwrap() = Some(future),
            _ => self.proxy.stop().unwrap(),
        }
    }
}

/// Reads a thousand bytes one by one in a foreign executor; says how many it has got.
fn read_a_thousand(event_loop: &mut EventLoop) -> usize {
    let (ours, mut theirs) = tcp_pair();
    std::io::Write::write_all(&mut theirs, &[7; 1000]).unwrap();
    let read = Arc::new(AtomicUsize::new(0));
    let count = read.clone();
    let reads = async move {
        while count.load(Ordering::Relaxed) < 1000 {
            assert_eq!(ours.read(&mut [0]).await.unwrap(), 1);
            count.fetch_add(1, Ordering::Relaxed);
        }
    };
    Foreign::run(event_loop, reads);
    read.load(Ordering::Relaxed)
}

#[test]
fn who_polls_sockets_in_callbacks_is_served_for_ever() {
    on_every_kind(|builder| {
        let mut event_loop = builder.build().unwrap();
        assert_eq!(read_a_thousand(&mut event_loop), 1000);
    });
}

#[test]
fn who_polls_sockets_in_callbacks_is_served_beside_greedy_tasks() {
    on_every_kind(|builder| {
        let mut event_loop = builder.build().unwrap();
        event_loop
            .handle()
            .create_task(async {
                // Each of its steps takes as much as a step may, and then stands behind the callback.
                let zero = AsyncFd::new(std::fs::File::open("/dev/zero").unwrap());
                loop {
                    zero.read_with(|mut io| std::io::Read::read(&mut io, &mut [0])).await.unwrap();
                }
            })
            .detach();
        assert_eq!(read_a_thousand(&mut event_loop), 1000);
    });
}

#[test]
fn who_polls_sockets_in_callbacks_lets_others_run() {
    on_every_kind(|builder| {
        let mut event_loop = builder.build().unwrap();
        let before = event_loop.handle().iterations();
        assert_eq!(read_a_thousand(&mut event_loop), 1000);
        let iterations = event_loop.handle().iterations() - before;
        assert!(iterations >= 7, "128 things in a step: {iterations} iterations");
    });
}

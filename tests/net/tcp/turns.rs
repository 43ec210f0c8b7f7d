//! Taking turns: a task for which there is always something takes 128 things in one step, and then the others
//! have theirs; a flood from one side holds nobody up.

use std::cell::{Cell, RefCell};
use std::io::Write as _;
use std::net;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use evloop::net::{TcpListener, TcpSocket};
use evloop::time::millis;
use evloop::{EventLoop, create_task, sleep, yield_now};

use super::peers::{LOOPBACK, on_every_loop, pair, poll_once, read_some, with_peer};
use crate::support::{run_on, yields};

/// How many things from outside a task takes in one step.
const BUDGET: usize = 128;

/// Has a task count what it takes, and beside it one that looks at the count in each of its steps, while
/// there is something left to take. The former runs first.
async fn looks<F: Future + 'static>(take: impl FnOnce(Rc<Cell<usize>>) -> F) -> Vec<usize> {
    let (count, looks) = (Rc::new(Cell::new(0)), Rc::new(RefCell::new(Vec::new())));
    let taker = create_task(take(count.clone()));
    let looker = create_task({
        let looks = looks.clone();
        async move {
            // As many as there can be, and one that finds nothing new.
            while looks.borrow().last().copied() != Some(count.get()) {
                looks.borrow_mut().push(count.get());
                yield_now().await;
            }
        }
    });
    looker.await.unwrap();
    taker.cancel();
    drop(taker.await);
    looks.take()
}

#[test]
fn a_reader_that_never_waits_lets_others_run_after_128_reads() {
    for registered in [false, true] {
        on_every_loop(|| async {
            let (stream, mut peer) = with_peer();
            if registered {
                assert!(poll_once(stream.read(&mut [0])).await.is_pending());
            }
            peer.write_all(&[0; 5 * BUDGET]).unwrap();
            // All of it is there.
            let mut all = [0; 5 * BUDGET];
            while stream.peek(&mut all).await.unwrap() < all.len() {}
            yield_now().await;
            let looks = looks(|count| async move {
                loop {
                    stream.read_exact(&mut [0]).await.unwrap();
                    count.set(count.get() + 1);
                }
            });
            assert_eq!(looks.await, [1, 2, 3, 4, 5].map(|times| times * BUDGET));
        });
    }
}

#[test]
fn a_writer_that_never_waits_lets_others_run_after_128_writes() {
    on_every_loop(|| async {
        let (stream, _peer) = pair();
        let looks = looks(|count| async move {
            for _ in 0..3 * BUDGET {
                stream.write_all(b"x").await.unwrap();
                count.set(count.get() + 1);
            }
        });
        assert_eq!(looks.await, [1, 2, 3].map(|times| times * BUDGET));
    });
}

#[test]
fn waiting_for_what_is_ready_lets_others_run_after_128_times() {
    on_every_loop(|| async {
        let (stream, _peer) = pair();
        stream.writable().await.unwrap();
        yield_now().await;
        let looks = looks(|count| async move {
            for _ in 0..3 * BUDGET {
                stream.writable().await.unwrap();
                count.set(count.get() + 1);
            }
        });
        assert_eq!(looks.await, [1, 2, 3].map(|times| times * BUDGET));
    });
}

#[test]
fn accepting_lets_others_run_after_128_connections() {
    // One kind of loop will do: this takes many connections, and no readiness.
    run_on(EventLoop::builder(), async {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(LOOPBACK.parse().unwrap()).unwrap();
        let listener = socket.listen(200).unwrap();
        let clients: Vec<_> = (0..BUDGET + 10)
            .map(|_| net::TcpStream::connect(listener.local_addr().unwrap()).unwrap())
            .collect();
        let looks = looks(|count| async move {
            loop {
                listener.accept().await.unwrap();
                count.set(count.get() + 1);
            }
        });
        assert_eq!(looks.await, [BUDGET, BUDGET + 10]);
        drop(clients);
    });
}

/// It has taken 128 things of one step when it is cancelled, and hears of it.
#[test]
fn a_task_that_never_waits_can_be_cancelled() {
    on_every_loop(|| async {
        let (stream, _peer) = pair();
        let count = Rc::new(Cell::new(0));
        let endless = create_task({
            let count = count.clone();
            async move {
                loop {
                    stream.writable().await.unwrap();
                    count.set(count.get() + 1);
                }
            }
        });
        yields(3).await;
        endless.cancel();
        assert!(endless.await.unwrap_err().is_cancelled());
        assert!(count.get() <= 3 * BUDGET);
    });
}

/// A thread that writes as fast as it can until the connection is over; and how much it was.
fn flood(mut peer: net::TcpStream) -> (std::thread::JoinHandle<()>, Arc<AtomicU64>) {
    let sent = Arc::new(AtomicU64::new(0));
    let thread = std::thread::spawn({
        let sent = sent.clone();
        move || {
            while let Ok(n) = peer.write(&[0; 65536]) {
                sent.fetch_add(n as u64, Ordering::Relaxed);
            }
        }
    });
    (thread, sent)
}

#[test]
fn a_flood_of_one_connection_starves_nobody() {
    on_every_loop(|| async {
        let (flooded, peer) = with_peer();
        let (thread, sent) = flood(peer);
        let received = Rc::new(Cell::new(0u64));
        let reader = create_task({
            let received = received.clone();
            async move {
                let mut buffer = [0; 4096];
                loop {
                    received.set(received.get() + flooded.read(&mut buffer).await.unwrap() as u64);
                }
            }
        });
        // It is in full swing.
        while received.get() < 1_000_000 {
            yield_now().await;
        }
        let between = received.get();
        // Others run, timers fire, other sockets are served.
        yields(20).await;
        sleep(millis(1)).await;
        let (one, other) = pair();
        let echo = create_task(async move {
            for _ in 0..20 {
                let question = read_some(&other).await;
                other.write_all(&question).await.unwrap();
            }
        });
        for n in 0..20u8 {
            one.write_all(&[n]).await.unwrap();
            assert_eq!(read_some(&one).await, [n]);
        }
        echo.await.unwrap();
        let listener = TcpListener::bind(LOOPBACK).await.unwrap();
        let client = net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert_eq!(listener.accept().await.unwrap().1, client.local_addr().unwrap());
        assert!(received.get() > between, "the flood went on");
        reader.cancel();
        drop(reader.await);
        thread.join().unwrap();
        assert!(sent.load(Ordering::Relaxed) >= received.get());
    });
}

#[test]
fn a_flood_inside_of_the_loop_starves_nobody() {
    on_every_loop(|| async {
        let (one, other) = pair();
        let writer = create_task(async move { while one.write(&[0; 16384]).await.is_ok() {} });
        let received = Rc::new(Cell::new(0));
        let reader = create_task({
            let received = received.clone();
            async move {
                let mut buffer = [0; 1024];
                loop {
                    received.set(received.get() + other.read(&mut buffer).await.unwrap());
                }
            }
        });
        while received.get() < 1_000_000 {
            yield_now().await;
        }
        // One step of each of the two lies between two of this task's: at most 128 KB.
        for _ in 0..50 {
            let before = received.get();
            yield_now().await;
            assert!(received.get() - before <= BUDGET * 1024);
        }
        sleep(millis(1)).await;
        reader.cancel();
        drop(reader.await);
        writer.await.unwrap();
    });
}

/// The ones who wait in vain cost nothing, and the one who is served is served at once.
#[test]
fn among_many_that_wait_the_one_with_news_is_served() {
    on_every_loop(|| async {
        let (streams, mut peers): (Vec<_>, Vec<_>) = (0..30).map(|_| with_peer()).unzip();
        let served = Rc::new(RefCell::new(Vec::new()));
        let readers = streams.into_iter().enumerate().map(|(number, stream)| {
            let served = served.clone();
            create_task(async move {
                while stream.read(&mut [0; 8]).await.unwrap() > 0 {
                    served.borrow_mut().push(number);
                }
            })
        });
        let readers: Vec<_> = readers.collect();
        yields(2).await;
        for number in [15, 0, 29, 15] {
            peers[number].write_all(b"news").unwrap();
            while served.borrow().is_empty() {
                yield_now().await;
            }
            assert_eq!(served.take(), [number]);
        }
        drop(peers);
        for reader in readers {
            reader.await.unwrap();
        }
    });
}

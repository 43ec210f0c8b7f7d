//! Sockets and the loop around them: the virtual clock, a host that runs the loop by hand, the loop's end.

use std::cell::Cell;
use std::io::{Read as _, Write as _};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use evloop::net::{TcpListener, TcpStream};
use evloop::time::{millis, secs};
use evloop::{Builder, Clock, EventLoop, create_task, sleep, wait_for};

use super::peers::{
    LOOPBACK, held, pair, poll_once, read_some, read_to_end, registered, std_pair, until_waiting, with_peer,
};
use crate::support::{on_every_kind, yields};

/// The real time: on a thread without a loop.
fn real_now() -> Instant {
    std::thread::spawn(evloop::now).join().unwrap()
}

/// Runs a test on loops of all kinds that have a virtual clock.
#[track_caller]
fn on_every_virtual_loop<F: Future<Output = ()>>(test: impl Fn() -> F) {
    on_every_kind(|builder| {
        let mut event_loop = builder.clock(Clock::Virtual).build().unwrap();
        event_loop.run_until_complete(test()).unwrap();
        event_loop.cancel_all_tasks().unwrap();
        assert_eq!(event_loop.handle().registrations(), (0, 0));
    });
}

#[test]
fn a_task_that_waits_on_a_socket_keeps_the_virtual_clock_at_real_pace() {
    on_every_virtual_loop(|| async {
        let (stream, _peer) = with_peer();
        let reader = create_task(async move { stream.read(&mut [0; 1]).await });
        until_waiting(1).await;
        let (real, virtual_) = (real_now(), evloop::now());
        sleep(millis(5)).await;
        assert!(real_now() - real >= millis(5), "the clock jumped");
        assert!(evloop::now() - virtual_ >= millis(5));
        reader.cancel();
    });
}

/// The hour is not over before the answer is there, although nothing else is left to do.
#[test]
fn what_comes_from_a_socket_beats_a_far_deadline() {
    on_every_virtual_loop(|| async {
        let (stream, mut peer) = with_peer();
        let (ask, asked) = mpsc::channel::<()>();
        let answerer = std::thread::spawn(move || {
            asked.recv().unwrap();
            peer.write_all(b"answer").unwrap();
            peer
        });
        let mut buffer = [0; 6];
        let answer = wait_for(stream.read_exact(&mut buffer), secs(3600));
        ask.send(()).unwrap();
        answer.await.expect("the clock jumped").unwrap();
        assert_eq!(&buffer, b"answer");
        drop(answerer.join().unwrap());
    });
}

#[test]
fn a_socket_that_nobody_waits_for_does_not_hold_the_virtual_clock() {
    on_every_virtual_loop(|| async {
        let (stream, mut peer) = with_peer();
        assert!(poll_once(stream.read(&mut [0; 1])).await.is_pending());
        assert_eq!(registered(), 1);
        let start = evloop::now();
        sleep(secs(3600)).await;
        assert_eq!(evloop::now() - start, secs(3600));
        // Nor if there is something on it.
        peer.write_all(b"x").unwrap();
        sleep(secs(3600)).await;
        assert_eq!(evloop::now() - start, secs(7200));
        assert_eq!(read_some(&stream).await, b"x");
    });
}

#[evloop::test]
async fn a_test_on_the_virtual_clock_may_use_sockets_and_sleep() {
    let start = evloop::now();
    sleep(secs(60)).await;
    assert_eq!(evloop::now() - start, secs(60), "nobody waits for anything real yet");
    let listener = TcpListener::bind(LOOPBACK).await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = create_task(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let question = read_to_end(&stream).await;
        // It is waited for at the other side: so this takes as long as it says.
        sleep(millis(2)).await;
        stream.write_all(&question).await.unwrap();
    });
    let stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"?").await.unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(read_to_end(&stream).await, b"?");
    server.await.unwrap();
    let start = evloop::now();
    sleep(secs(60)).await;
    assert_eq!(evloop::now() - start, secs(60), "and nobody does any more");
}

/// A host that knows poll(2) only: it watches the loop's descriptor and its deadlines, and calls the loop when
/// one of them has something to say. Returns how often that was, until a future is ready.
#[cfg(unix)]
fn host<F: Future + 'static>(event_loop: &mut EventLoop, future: F) -> (F::Output, usize)
where
    F::Output: 'static,
{
    use std::os::fd::AsFd as _;

    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    let output = Rc::new(Cell::new(None));
    let task = event_loop.handle().create_task({
        let output = output.clone();
        async move { output.set(Some(future.await)) }
    });
    for turns in 0.. {
        if let Some(output) = output.take() {
            task.cancel();
            return (output, turns);
        }
        let deadline = event_loop.next_deadline().map(|at| at.saturating_duration_since(evloop::now()));
        // Nobody may have to wait that long.
        let patience = secs(20);
        let timeout = Timespec::try_from(deadline.unwrap_or(patience)).unwrap();
        let fd = event_loop.as_fd();
        let ready = poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&timeout)).unwrap();
        assert!(ready > 0 || deadline.is_some(), "the descriptor has kept something to itself");
        event_loop.run_once(Some(Duration::ZERO)).unwrap();
    }
    unreachable!()
}

#[test]
#[cfg(unix)]
fn a_host_that_polls_the_loops_descriptor_serves_sockets() {
    const QUESTIONS: u8 = 20;
    on_every_kind(|builder| {
        let mut event_loop = builder.build().unwrap();
        let (stream, mut peer) = with_peer();
        let client = std::thread::spawn(move || {
            let mut answer = [0];
            for question in 0..QUESTIONS {
                peer.write_all(&[question]).unwrap();
                peer.read_exact(&mut answer).unwrap();
                assert_eq!(answer, [question + 1]);
            }
        });
        let (served, turns) = host(&mut event_loop, async move {
            let mut served = 0;
            let mut byte = [0];
            while stream.read(&mut byte).await.unwrap() > 0 {
                byte[0] += 1;
                stream.write_all(&byte).await.unwrap();
                served += 1;
            }
            served
        });
        assert_eq!(served, QUESTIONS);
        client.join().unwrap();
        // Each of them needs one turn, and some kinds of loops find out in another that there is nothing more.
        assert!(turns <= 4 * usize::from(QUESTIONS) + 4, "{turns}");
    });
}

#[test]
#[cfg(unix)]
fn a_host_serves_sockets_and_timers_together() {
    on_every_kind(|builder| {
        let mut event_loop = builder.build().unwrap();
        let (received, turns) = host(&mut event_loop, async {
            let (one, other) = pair();
            let echo = create_task(async move {
                for _ in 0..3 {
                    let data = read_some(&other).await;
                    sleep(millis(1)).await;
                    other.write_all(&data).await.unwrap();
                }
            });
            let mut received = Vec::new();
            for word in ["one", "two", "three"] {
                one.write_all(word.as_bytes()).await.unwrap();
                received.push(read_some(&one).await);
            }
            echo.await.unwrap();
            assert!(wait_for(one.readable(), secs(1)).await.is_ok(), "the end");
            received
        });
        assert_eq!(received, [&b"one"[..], b"two", b"three"]);
        assert!(turns <= 60, "{turns}");
    });
}

#[test]
fn run_once_waits_for_a_socket() {
    on_every_kind(|builder| {
        let mut event_loop = builder.build().unwrap();
        let (stream, mut peer) = with_peer();
        let task = event_loop.handle().create_task(async move { read_some(&stream).await });
        event_loop.run_once(Some(Duration::ZERO)).unwrap();
        assert_eq!(event_loop.handle().registrations(), (1, 1));
        // Nothing comes: it ends when its time is over.
        event_loop.run_once(Some(millis(1))).unwrap();
        assert!(!task.done());
        let writer = std::thread::spawn(move || peer.write_all(b"news").map(|()| peer));
        let mut turns = 0;
        while !task.done() {
            event_loop.run_once(Some(secs(20))).unwrap();
            turns += 1;
            assert!(turns < 10, "it came back for nothing");
        }
        drop(writer.join().unwrap().unwrap());
        assert_eq!(event_loop.run_until_complete(task).unwrap().unwrap(), b"news");
    });
}

fn loop_with_waiting_tasks(
    builder: Builder,
    address: std::net::SocketAddr,
) -> (EventLoop, Vec<std::net::TcpStream>, std::net::SocketAddr) {
    let mut event_loop = builder.build().unwrap();
    let handle = event_loop.handle();
    let (streams, peers): (Vec<_>, Vec<_>) = (0..3).map(|_| with_peer()).unzip();
    let [reads, writes, both] = <[TcpStream; 3]>::try_from(streams).unwrap();
    let listener = event_loop.run_until_complete(TcpListener::bind(address)).unwrap().unwrap();
    let address = listener.local_addr().unwrap();
    let _ = handle.create_task(async move { reads.read(&mut [0; 1]).await });
    let _ = handle.create_task(async move {
        loop {
            writes.write_all(&[0; 65536]).await.unwrap();
        }
    });
    let (mut both_reads, mut both_writes) = both.into_split();
    let _ = handle.create_task(async move { both_reads.read(&mut [0; 1]).await });
    let _ = handle.create_task(async move {
        loop {
            both_writes.write_all(&[0; 65536]).await.unwrap();
        }
    });
    let _ = handle.create_task(async move { listener.accept().await });
    event_loop.run_until_complete(until_waiting(5)).unwrap();
    (event_loop, peers, address)
}

#[test]
fn the_end_of_a_loop_closes_the_sockets_that_its_tasks_wait_on() {
    on_every_kind(|builder| {
        let (_held, address) = held();
        let (event_loop, peers, address) = loop_with_waiting_tasks(builder, address);
        let handle = event_loop.handle();
        assert_eq!(handle.registrations(), (4, 5));
        drop(event_loop);
        assert_eq!(handle.registrations(), (0, 0));
        for mut peer in peers {
            // To the end: what was written before is there still.
            peer.read_to_end(&mut Vec::new()).unwrap();
        }
        assert!(std::net::TcpStream::connect(address).is_err());
    });
}

#[test]
fn cancelling_all_tasks_closes_their_sockets() {
    on_every_kind(|builder| {
        let (_held, address) = held();
        let (mut event_loop, peers, address) = loop_with_waiting_tasks(builder, address);
        event_loop.cancel_all_tasks().unwrap();
        assert_eq!(event_loop.handle().registrations(), (0, 0));
        for mut peer in peers {
            peer.read_to_end(&mut Vec::new()).unwrap();
        }
        assert!(std::net::TcpStream::connect(address).is_err());
    });
}

#[test]
fn a_socket_outlives_its_loop_and_goes_to_another() {
    on_every_kind(|builder| {
        let (mut stream, mut peer) = with_peer();
        for round in 0..4u8 {
            let mut event_loop = builder.clone().build().unwrap();
            event_loop
                .run_until_complete(async {
                    if round > 0 && round % 2 == 0 {
                        // It was released and adopted anew below.
                        assert_eq!(registered(), 0);
                    }
                    // Whoever has it alone takes it along.
                    let mut byte = [0];
                    let mut read =
                        |cx: &mut std::task::Context<'_>| futures_io_read(&mut stream, cx, &mut byte);
                    assert!(std::future::poll_fn(|cx| std::task::Poll::Ready(read(cx).is_pending())).await);
                    assert_eq!(registered(), 1);
                    peer.write_all(&[round]).unwrap();
                    assert_eq!(std::future::poll_fn(read).await.unwrap(), 1);
                    assert_eq!(byte, [round]);
                    // From here on by reference, too.
                    stream.write_all(&[round]).await.unwrap();
                    yields(2).await;
                })
                .unwrap();
            let mut byte = [0];
            peer.read_exact(&mut byte).unwrap();
            drop(event_loop);
            if round % 2 == 1 {
                stream = TcpStream::from_std(stream.into_std()).unwrap();
            }
        }
        drop(stream);
        assert_eq!(peer.read(&mut [0]).unwrap(), 0);
    });
}

fn futures_io_read(
    stream: &mut TcpStream,
    cx: &mut std::task::Context<'_>,
    buffer: &mut [u8],
) -> std::task::Poll<std::io::Result<usize>> {
    futures::AsyncRead::poll_read(Pin::new(stream), cx, buffer)
}

/// A blocking socket that is adopted does not block the loop.
#[test]
fn an_adopted_socket_is_made_non_blocking() {
    on_every_kind(|builder| {
        let (one, mut other) = std_pair();
        let mut event_loop = builder.build().unwrap();
        let stream = TcpStream::from_std(one).unwrap();
        let task = event_loop.handle().create_task(async move { stream.read(&mut [0; 4]).await.unwrap() });
        event_loop.run_once(Some(Duration::ZERO)).unwrap();
        other.write_all(b"x").unwrap();
        assert_eq!(event_loop.run_until_complete(task).unwrap().unwrap(), 1);
    });
}

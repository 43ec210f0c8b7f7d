//! Readiness as such: `readable`, `writable` and the `try_` methods, what wakes and what does not, and that a
//! loop does not come back from the system for nothing.

use std::cell::Cell;
use std::io::{self, Read as _, Write as _};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use evloop::net::TcpStream;
use evloop::{catch_cancel, create_task, get_running_loop, wait_for, yield_now};

use super::peers::{
    A_FEW, counted, fill, fill_up, iterations_in_a_moment, narrow_pair, on_every_loop, poll_once,
    read_to_end, registered, tick, until_waiting, waiting, with_peer,
};
use crate::support::{on_every_kind, yields};

fn would_block<T: std::fmt::Debug>(result: io::Result<T>) -> bool {
    result.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

/// CPython's `test_events`: a cancelled `sock_recv` ends in the next iteration.
#[test]
fn test_prompt_cancellation() {
    on_every_loop(|| async {
        let (stream, _peer) = with_peer();
        let ended = Rc::new(Cell::new(0));
        let reader = create_task({
            let ended = ended.clone();
            async move {
                let mut buffer = [0; 1];
                let cancelled = catch_cancel(stream.read(&mut buffer)).await;
                ended.set(tick());
                cancelled.unwrap_err().rethrow::<()>().await
            }
        });
        until_waiting(1).await;
        let cancelled = tick();
        reader.cancel();
        assert!(reader.await.unwrap_err().is_cancelled());
        assert_eq!(ended.get(), cancelled + 1);
        assert_eq!((registered(), waiting()), (0, 0));
    });
}

#[test]
fn try_read_on_a_stream_that_was_never_waited_for_asks_the_system() {
    on_every_loop(|| async {
        let (stream, mut peer) = with_peer();
        let mut buffer = [0; 8];
        assert!(would_block(stream.try_read(&mut buffer)));
        peer.write_all(b"abc").unwrap();
        // It may be under way for a moment.
        let n = loop {
            match stream.try_read(&mut buffer) {
                Ok(n) => break n,
                error => assert!(would_block(error)),
            }
        };
        assert_eq!(&buffer[..n], b"abc");
        assert!(would_block(stream.try_read(&mut buffer)));
        assert_eq!(registered(), 0, "nobody has waited");
        drop(peer);
        stream.readable().await.unwrap();
        assert_eq!(stream.try_read(&mut buffer).unwrap(), 0);
    });
}

#[test]
fn a_loop_of_readable_and_try_read_waits_where_there_is_nothing() {
    on_every_loop(|| async {
        let (stream, mut peer) = with_peer();
        let (polls, tries) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let reader = create_task({
            let (polls, tries) = (polls.clone(), tries.clone());
            let read = async move {
                let (mut all, mut buffer) = (Vec::new(), [0; 64]);
                loop {
                    stream.readable().await.unwrap();
                    tries.set(tries.get() + 1);
                    match stream.try_read(&mut buffer) {
                        Ok(0) => return all,
                        Ok(n) => all.extend_from_slice(&buffer[..n]),
                        Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
                    }
                }
            };
            async move { counted(&polls, read).await }
        });
        until_waiting(1).await;
        for round in 1..=5 {
            assert!(iterations_in_a_moment().await < A_FEW);
            // For each piece: the wake, a try that brings it, perhaps one in vain.
            assert!(polls.get() <= 1 + 2 * round && tries.get() <= 2 * round);
            peer.write_all(b"piece").unwrap();
        }
        drop(peer);
        assert_eq!(reader.await.unwrap(), b"piece".repeat(5));
    });
}

#[test]
fn readable_stays_true_until_there_is_nothing_more() {
    on_every_loop(|| async {
        let (stream, mut peer) = with_peer();
        let mut buffer = [0; 2];
        assert!(poll_once(stream.readable()).await.is_pending());
        peer.write_all(b"abcd").unwrap();
        for _ in 0..3 {
            stream.readable().await.unwrap();
        }
        assert_eq!(stream.try_read(&mut buffer).unwrap(), 2);
        stream.readable().await.unwrap();
        assert_eq!(stream.try_read(&mut buffer).unwrap(), 2);
        assert!(would_block(stream.try_read(&mut buffer)));
        assert!(poll_once(stream.readable()).await.is_pending());
        // From here on it does not even ask, until there are news.
        assert!(would_block(stream.try_read(&mut buffer)));
        peer.write_all(b"e").unwrap();
        stream.readable().await.unwrap();
        assert_eq!(stream.try_read(&mut buffer).unwrap(), 1);
    });
}

#[test]
fn writing_until_it_would_block_and_back() {
    on_every_loop(|| async {
        let (writes, reads) = narrow_pair().await;
        let mut sent = 0;
        let reader = create_task(async move {
            let mut all = 0;
            let mut buffer = vec![0; 8192];
            loop {
                match reads.read(&mut buffer).await.unwrap() {
                    0 => return all,
                    n => all += n,
                }
            }
        });
        for _ in 0..20 {
            writes.writable().await.unwrap();
            // Usually there is room now; if not, the wait goes on.
            sent += fill(&writes);
            assert!(would_block(writes.try_write(b"more")));
            assert!(poll_once(writes.writable()).await.is_pending());
        }
        assert!(sent > 20_000, "{sent}");
        drop(writes);
        assert_eq!(reader.await.unwrap(), sent);
    });
}

/// Whoever tries now and then, and lets the loop turn in between, need not wait.
#[test]
fn trying_again_and_again_finds_what_comes_although_nobody_waits() {
    on_every_loop(|| async {
        let (writes, reads) = narrow_pair().await;
        let mut buffer = [0; 1 << 16];
        // It is known that there is nothing to read, and no room to write.
        assert!(poll_once(reads.read(&mut buffer)).await.is_pending());
        for round in 0..3u8 {
            assert!(would_block(reads.try_read(&mut buffer)));
            writes.write_all(&[round]).await.unwrap();
            assert_eq!(patiently(|| reads.try_read(&mut buffer)).await, 1);
            assert_eq!(buffer[0], round);
        }
        let filled = fill(&writes);
        assert!(would_block(writes.try_write(b"x")));
        let mut read = 0;
        while read < filled {
            read += patiently(|| reads.try_read(&mut buffer)).await;
        }
        assert_eq!(patiently(|| writes.try_write(b"x")).await, 1);
    });
}

/// Tries until it does not say that it would block.
async fn patiently<T>(mut attempt: impl FnMut() -> io::Result<T>) -> T {
    for _ in 0..100_000 {
        match attempt() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => yield_now().await,
            result => return result.unwrap(),
        }
    }
    panic!("it has come long ago, and is not found");
}

#[test]
fn a_stream_that_has_room_is_writable_and_that_does_not_spin() {
    on_every_loop(|| async {
        let (stream, _peer) = with_peer();
        for _ in 0..3 {
            stream.writable().await.unwrap();
        }
        // Nobody waits; and the room is no news for one who waits to read.
        assert!(iterations_in_a_moment().await < A_FEW);
        let polls = Rc::new(Cell::new(0));
        let reader = create_task({
            let polls = polls.clone();
            async move { counted(&polls, stream.read(&mut [0; 1])).await }
        });
        until_waiting(1).await;
        assert!(iterations_in_a_moment().await < A_FEW);
        assert_eq!(polls.get(), 1);
        reader.cancel();
    });
}

#[test]
fn data_that_nobody_reads_does_not_make_the_loop_spin() {
    on_every_loop(|| async {
        let (stream, mut peer) = with_peer();
        assert!(poll_once(stream.read(&mut [0; 1])).await.is_pending());
        peer.write_all(b"unread").unwrap();
        assert!(iterations_in_a_moment().await < A_FEW);
        peer.write_all(b" and more").unwrap();
        assert!(iterations_in_a_moment().await < A_FEW);
        drop(peer);
        assert!(iterations_in_a_moment().await < A_FEW);
        assert_eq!(read_to_end(&stream).await, b"unread and more");
    });
}

#[test]
fn data_that_nobody_reads_does_not_keep_a_writer_from_waiting() {
    on_every_loop(|| async {
        let (writes, reads) = narrow_pair().await;
        reads.write_all(b"unread").await.unwrap();
        fill_up(&writes).await;
        let (polls, writes) = (Rc::new(Cell::new(0)), Rc::new(writes));
        let writer = create_task({
            let (polls, writes) = (polls.clone(), writes.clone());
            async move { counted(&polls, writes.write_all(&[0; 1_000_000])).await }
        });
        until_waiting(1).await;
        let before = polls.get();
        assert!(iterations_in_a_moment().await < A_FEW);
        assert!(polls.get() - before < A_FEW as usize);
        writer.cancel();
        drop(writer.await);
        assert_eq!(writes.read(&mut [0; 16]).await.unwrap(), 6);
    });
}

#[test]
fn a_waiting_read_takes_no_part_in_the_iterations_of_others() {
    on_every_loop(|| async {
        let (stream, mut peer) = with_peer();
        let polls = Rc::new(Cell::new(0));
        let reader = create_task({
            let polls = polls.clone();
            async move { counted(&polls, stream.read(&mut [0; 1])).await.unwrap() }
        });
        yields(1000).await;
        assert_eq!(polls.get(), 1);
        peer.write_all(b"x").unwrap();
        assert_eq!(reader.await.unwrap(), 1);
        assert_eq!(polls.get(), 2);
    });
}

/// A future that was polled in one task and goes on in another wakes the latter.
#[test]
fn a_read_that_moves_to_another_task_wakes_that_one() {
    on_every_loop(|| async {
        let (stream, mut peer) = with_peer();
        let mut read = Box::pin(async move {
            let mut buffer = [0; 8];
            let n = stream.read(&mut buffer).await.unwrap();
            buffer[..n].to_vec()
        });
        assert!(std::future::poll_fn(|cx| Poll::Ready(read.as_mut().poll(cx).is_pending())).await);
        let other = create_task(read);
        yields(2).await;
        assert_eq!(waiting(), 1);
        peer.write_all(b"moved").unwrap();
        assert_eq!(other.await.unwrap(), b"moved");
    });
}

#[test]
fn what_is_there_beats_a_deadline_of_zero() {
    on_every_loop(|| async {
        let (stream, mut peer) = with_peer();
        let mut buffer = [0; 8];
        assert!(wait_for(stream.read(&mut buffer), Duration::ZERO).await.is_err());
        peer.write_all(b"x").unwrap();
        stream.readable().await.unwrap();
        assert_eq!(wait_for(stream.read(&mut buffer), Duration::ZERO).await.unwrap().unwrap(), 1);
        assert_eq!(waiting(), 0);
    });
}

#[test]
fn a_wait_that_is_given_up_leaves_nothing_and_loses_nothing() {
    on_every_loop(|| async {
        let (stream, mut peer) = with_peer();
        for round in 0..5u8 {
            assert!(poll_once(stream.read(&mut [0; 8])).await.is_pending());
            assert!(poll_once(stream.readable()).await.is_pending());
            assert_eq!(waiting(), 0);
            peer.write_all(&[round]).unwrap();
            // Woken, and given up before it reads.
            stream.readable().await.unwrap();
            let mut byte = [0xff];
            assert_eq!(stream.read(&mut byte).await.unwrap(), 1);
            assert_eq!(byte, [round]);
        }
        assert_eq!((registered(), waiting()), (1, 0));
    });
}

#[test]
fn a_socket_is_moved_out_of_the_loop_and_back_while_data_moves() {
    on_every_loop(|| async {
        let (mut stream, mut peer) = with_peer();
        let mut expected = 0u8;
        for round in 0..6u8 {
            // Registered, with something to read that may be known already.
            assert!(poll_once(stream.read(&mut [0; 1])).await.is_pending());
            peer.write_all(&[2 * round, 2 * round + 1]).unwrap();
            if round % 2 == 0 {
                stream.readable().await.unwrap();
            }
            assert_eq!(registered(), 1);
            let mut out = stream.into_std();
            assert_eq!(registered(), 0);
            out.set_nonblocking(false).unwrap();
            let mut byte = [0];
            out.read_exact(&mut byte).unwrap();
            assert_eq!(byte, [expected]);
            out.write_all(&[round]).unwrap();
            stream = TcpStream::from_std(out).unwrap();
            stream.read_exact(&mut byte).await.unwrap();
            assert_eq!(byte, [expected + 1]);
            peer.read_exact(&mut byte).unwrap();
            assert_eq!(byte, [round]);
            expected += 2;
        }
    });
}

/// A number is given out again as soon as it is free; what the former owner left behind is not the next
/// one's.
#[test]
fn a_descriptors_number_that_is_used_again_is_another_socket() {
    on_every_loop(|| async {
        for _ in 0..10 {
            let (first, mut first_peer) = with_peer();
            assert!(poll_once(first.read(&mut [0; 1])).await.is_pending());
            first_peer.write_all(b"for the first").unwrap();
            drop(first);
            let (second, mut second_peer) = with_peer();
            assert!(poll_once(second.read(&mut [0; 1])).await.is_pending());
            yield_now().await;
            assert!(poll_once(second.read(&mut [0; 1])).await.is_pending());
            second_peer.write_all(b"second").unwrap();
            let mut buffer = [0; 6];
            second.read_exact(&mut buffer).await.unwrap();
            assert_eq!(&buffer, b"second");
        }
        assert_eq!(registered(), 0);
    });
}

#[test]
fn what_is_ready_when_the_loop_is_stopped_is_there_in_the_next_run() {
    on_every_kind(|builder| {
        let mut event_loop = builder.build().unwrap();
        let (stream, mut peer) = with_peer();
        let handle = event_loop.handle();
        let mut reader = handle.create_task(async move {
            let mut buffer = [0; 8];
            let n = stream.read(&mut buffer).await.unwrap();
            buffer[..n].to_vec()
        });
        event_loop.run_until_complete(yields(3)).unwrap();
        peer.write_all(b"later").unwrap();
        handle.stop();
        event_loop.run_forever().unwrap();
        assert_eq!(event_loop.run_until_complete(&mut reader).unwrap().unwrap(), b"later");
        assert!(get_running_loop().is_err());
    });
}

#[test]
fn a_poll_that_is_repeated_without_news_asks_nobody() {
    on_every_loop(|| async {
        let (stream, _peer) = with_peer();
        let mut buffer = [0; 1];
        let mut read = std::pin::pin!(stream.read(&mut buffer));
        for _ in 0..100 {
            let poll = std::future::poll_fn(|cx| Poll::Ready(read.as_mut().poll(cx).is_pending())).await;
            assert!(poll);
            assert_eq!(waiting(), 1);
        }
    });
}

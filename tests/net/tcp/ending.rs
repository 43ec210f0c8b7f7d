//! How connections end: one direction after the other, by a reset, together with the last data.

use std::io::{self, Read as _, Write as _};
use std::net::{self, Shutdown};
use std::rc::Rc;
use std::time::Duration;

use evloop::net::TcpStream;
use evloop::{create_task, yield_now};
use socket2::SockRef;

use super::peers::{
    A_FEW, fill, fill_up, iterations_in_a_moment, narrow_pair, on_every_loop, pair, poll_once, read_some,
    read_to_end, registered, until_waiting, waiting, with_peer,
};
use crate::support::yields;

/// Closes a connection with a reset.
fn reset(peer: net::TcpStream) {
    SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
}

fn is_reset(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ConnectionReset
}

fn is_over(error: &io::Error) -> bool {
    is_reset(error) || error.kind() == io::ErrorKind::BrokenPipe
}

#[test]
fn after_this_side_has_ended_its_direction_the_other_one_goes_on() {
    on_every_loop(|| async {
        let (one, other) = pair();
        let server = create_task(async move {
            // All of it, to the end, and only then the answer.
            let request = read_to_end(&other).await;
            yields(3).await;
            for _ in 0..3 {
                other.write_all(&request).await.unwrap();
                yield_now().await;
            }
        });
        one.write_all(b"question").await.unwrap();
        one.shutdown(Shutdown::Write).unwrap();
        assert_eq!(one.write(b"more").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        assert_eq!(read_to_end(&one).await, b"questionquestionquestion");
        server.await.unwrap();
    });
}

#[test]
fn after_the_other_side_has_ended_its_direction_this_one_goes_on() {
    on_every_loop(|| async {
        let (stream, mut peer) = with_peer();
        let stream = Rc::new(stream);
        let reader = create_task({
            let stream = stream.clone();
            async move { read_to_end(&stream).await }
        });
        until_waiting(1).await;
        peer.write_all(b"that was all").unwrap();
        peer.shutdown(Shutdown::Write).unwrap();
        assert_eq!(reader.await.unwrap(), b"that was all");
        // The end stays the end, and writing has to do with it only in that it works.
        for n in 0..3u8 {
            assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0);
            stream.write_all(&[n; 100]).await.unwrap();
        }
        stream.shutdown(Shutdown::Write).unwrap();
        let mut back = Vec::new();
        peer.read_to_end(&mut back).unwrap();
        assert_eq!(back.len(), 300);
    });
}

#[test]
fn both_sides_may_end_their_directions_at_the_same_time() {
    on_every_loop(|| async {
        let (one, other) = pair();
        let ends = async |stream: &TcpStream| {
            stream.write_all(b"bye").await.unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            read_to_end(stream).await
        };
        let (left, right) = futures::join!(ends(&one), ends(&other));
        assert_eq!((&left[..], &right[..]), (&b"bye"[..], &b"bye"[..]));
    });
}

#[test]
fn both_directions_may_be_ended_by_one_call() {
    on_every_loop(|| async {
        let (stream, mut peer) = with_peer();
        assert!(poll_once(stream.read(&mut [0])).await.is_pending());
        stream.shutdown(Shutdown::Both).unwrap();
        assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0);
        assert_eq!(stream.write(b"x").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        assert_eq!(peer.read(&mut [0; 8]).unwrap(), 0);
    });
}

/// The trap of watching edges: a short read says that there is nothing more, but the end is there already,
/// and no further edge tells of it.
#[test]
fn the_end_that_comes_together_with_data_is_seen() {
    for room in [1, 3, 4, 100] {
        on_every_loop(|| async {
            let (stream, mut peer) = with_peer();
            let reader = create_task(async move {
                let (mut all, mut buffer) = (Vec::new(), vec![0; room]);
                loop {
                    match stream.read(&mut buffer).await.unwrap() {
                        0 => return all,
                        n => all.extend_from_slice(&buffer[..n]),
                    }
                }
            });
            until_waiting(1).await;
            peer.write_all(b"last").unwrap();
            drop(peer);
            assert_eq!(reader.await.unwrap(), b"last");
        });
    }
}

#[test]
fn the_end_that_comes_after_the_news_of_data_and_before_the_read_is_seen() {
    on_every_loop(|| async {
        let (stream, mut peer) = with_peer();
        assert!(poll_once(stream.read(&mut [0])).await.is_pending());
        peer.write_all(b"last").unwrap();
        stream.readable().await.unwrap();
        peer.write_all(b" words").unwrap();
        drop(peer);
        assert_eq!(read_to_end(&stream).await, b"last words");
    });
}

#[test]
fn the_end_that_comes_after_a_short_read_is_seen() {
    on_every_loop(|| async {
        for looks in [0, 200] {
            let (stream, mut peer) = with_peer();
            assert!(poll_once(stream.read(&mut [0])).await.is_pending());
            peer.write_all(b"last").unwrap();
            assert_eq!(read_some(&stream).await, b"last");
            drop(peer);
            // Whether or not the loop has heard of it before somebody waits.
            yields(looks).await;
            assert_eq!(read_some(&stream).await, b"");
            assert_eq!(read_some(&stream).await, b"");
        }
    });
}

#[test]
fn the_end_that_was_there_before_the_first_wait_is_seen() {
    on_every_loop(|| async {
        let (stream, mut peer) = with_peer();
        peer.write_all(b"last").unwrap();
        drop(peer);
        stream.readable().await.unwrap();
        let mut buffer = [0; 100];
        assert_eq!(stream.read(&mut buffer).await.unwrap(), 4);
        stream.readable().await.unwrap();
        assert_eq!(stream.try_read(&mut buffer).unwrap(), 0);
    });
}

#[test]
fn a_waiting_reader_is_told_of_a_reset() {
    on_every_loop(|| async {
        let (stream, peer) = with_peer();
        let reader = create_task(async move {
            let error = stream.read(&mut [0; 8]).await.unwrap_err();
            // It is told once; from then on there is nothing to read and nobody to write to.
            (error, stream.read(&mut [0; 8]).await.unwrap(), stream.write(b"x").await.unwrap_err())
        });
        until_waiting(1).await;
        reset(peer);
        let (error, then, written) = reader.await.unwrap();
        assert!(is_reset(&error), "{error}");
        assert_eq!(then, 0);
        assert_eq!(written.kind(), io::ErrorKind::BrokenPipe);
    });
}

#[test]
fn a_waiting_writer_is_told_of_a_reset() {
    on_every_loop(|| async {
        let (writes, reads) = narrow_pair().await;
        fill(&writes);
        let writer = create_task(async move {
            loop {
                if let Err(error) = writes.write(&[0; 1024]).await {
                    return error;
                }
            }
        });
        until_waiting(1).await;
        reset(into_blocking(reads));
        let error = writer.await.unwrap();
        assert!(is_over(&error), "{error}");
    });
}

fn into_blocking(stream: TcpStream) -> net::TcpStream {
    let stream = stream.into_std();
    stream.set_nonblocking(false).unwrap();
    stream
}

#[test]
fn a_reader_and_a_writer_that_wait_are_both_told_of_a_reset() {
    on_every_loop(|| async {
        let (stream, other) = narrow_pair().await;
        let stream = Rc::new(stream);
        fill(&stream);
        let writer = create_task({
            let stream = stream.clone();
            async move {
                loop {
                    if let Err(error) = stream.write(&[0; 1024]).await {
                        return error;
                    }
                }
            }
        });
        let reader = create_task(async move { stream.read(&mut [0; 8]).await });
        until_waiting(2).await;
        reset(into_blocking(other));
        let (written, read) = (writer.await.unwrap(), reader.await.unwrap());
        // The system tells the error once; the other one finds what it left: the end, or a broken pipe.
        assert!(is_over(&written), "{written}");
        match read {
            Ok(n) => assert!(n == 0 && is_reset(&written)),
            Err(error) => assert!(is_reset(&error), "{error}"),
        }
        assert_eq!(waiting(), 0);
    });
}

#[test]
fn writing_to_one_who_is_gone_fails_in_the_end() {
    on_every_loop(|| async {
        let (stream, peer) = with_peer();
        drop(peer);
        // What comes first is answered with a reset.
        let error = loop {
            if let Err(error) = stream.write_all(&[0; 1000]).await {
                break error;
            }
            yield_now().await;
        };
        assert!(is_over(&error), "{error}");
    });
}

/// Other systems may forget what came before.
#[test]
#[cfg(target_os = "linux")]
fn what_came_before_a_reset_is_read_before_it_is_told() {
    on_every_loop(|| async {
        let (stream, mut peer) = with_peer();
        let reader = create_task(async move {
            let mut buffer = [0; 100];
            let n = stream.read(&mut buffer).await.unwrap();
            (buffer[..n].to_vec(), stream.read(&mut buffer).await)
        });
        until_waiting(1).await;
        peer.write_all(b"data").unwrap();
        reset(peer);
        let (data, then) = reader.await.unwrap();
        assert_eq!(data, b"data");
        assert!(is_reset(&then.unwrap_err()));
    });
}

#[test]
fn the_error_of_a_socket_is_taken_once() {
    on_every_loop(|| async {
        let (stream, peer) = with_peer();
        assert!(stream.take_error().unwrap().is_none());
        reset(peer);
        stream.readable().await.unwrap();
        assert!(is_reset(&stream.take_error().unwrap().unwrap()));
        assert!(stream.take_error().unwrap().is_none());
        assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0);
    });
}

#[test]
fn dropping_a_stream_ends_it_and_what_was_written_still_goes_out() {
    on_every_loop(|| async {
        let (stream, mut peer) = with_peer();
        assert!(poll_once(stream.read(&mut [0])).await.is_pending());
        stream.write_all(&[1; 10_000]).await.unwrap();
        assert_eq!(registered(), 1);
        drop(stream);
        assert_eq!(registered(), 0);
        let mut all = Vec::new();
        peer.read_to_end(&mut all).unwrap();
        assert_eq!(all.len(), 10_000);
    });
}

#[test]
fn a_stream_that_lingers_for_no_time_is_reset_when_dropped() {
    on_every_loop(|| async {
        let (one, other) = pair();
        one.set_linger(Some(Duration::ZERO)).unwrap();
        assert!(poll_once(other.read(&mut [0])).await.is_pending());
        drop(one);
        assert!(is_reset(&other.read(&mut [0]).await.unwrap_err()));
    });
}

#[test]
fn shutting_the_reading_side_down_ends_a_read_that_waits() {
    on_every_loop(|| async {
        let (stream, _peer) = with_peer();
        let stream = Rc::new(stream);
        let reader = create_task({
            let stream = stream.clone();
            async move { stream.read(&mut [0; 8]).await }
        });
        until_waiting(1).await;
        stream.shutdown(Shutdown::Read).unwrap();
        assert_eq!(reader.await.unwrap().unwrap(), 0);
    });
}

#[test]
fn shutting_the_writing_side_down_ends_a_write_that_waits() {
    on_every_loop(|| async {
        let (writes, reads) = narrow_pair().await;
        fill(&writes);
        let writes = Rc::new(writes);
        let writer = create_task({
            let writes = writes.clone();
            async move {
                loop {
                    if let Err(error) = writes.write(b"x").await {
                        return error;
                    }
                }
            }
        });
        until_waiting(1).await;
        writes.shutdown(Shutdown::Write).unwrap();
        assert_eq!(writer.await.unwrap().kind(), io::ErrorKind::BrokenPipe);
        assert!(!read_to_end(&reads).await.is_empty());
    });
}

#[test]
fn a_stream_that_is_over_does_not_make_the_loop_spin() {
    on_every_loop(|| async {
        // Ended and reset, and nobody waits.
        let ((ended, peer), (broken, breaker)) = (with_peer(), with_peer());
        for stream in [&ended, &broken] {
            assert!(poll_once(stream.read(&mut [0])).await.is_pending());
        }
        drop(peer);
        reset(breaker);
        ended.readable().await.unwrap();
        broken.readable().await.unwrap();
        assert!(iterations_in_a_moment().await < A_FEW);
        assert_eq!(ended.read(&mut [0]).await.unwrap(), 0);
        assert!(is_reset(&broken.read(&mut [0]).await.unwrap_err()));
        assert!(iterations_in_a_moment().await < A_FEW);
    });
}

#[test]
fn an_end_that_nobody_reads_does_not_make_the_loop_spin_while_somebody_writes() {
    on_every_loop(|| async {
        let (writes, other) = narrow_pair().await;
        fill_up(&writes).await;
        let writer = create_task(async move { writes.write_all(&[0; 1_000_000]).await });
        until_waiting(1).await;
        other.write_all(b"unread").await.unwrap();
        other.shutdown(Shutdown::Write).unwrap();
        assert!(iterations_in_a_moment().await < A_FEW);
        // It is not lost on the writer, who fails when nobody reads any more.
        drop(other);
        let written = writer.await.unwrap();
        assert!(is_over(&written.unwrap_err()));
    });
}

//! The traits of `futures-io`, through which other libraries read and write: on streams, on references to
//! them, and on halves.

use std::io::{self, Read as _, Write as _};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use evloop::create_task;
use evloop::net::TcpStream;
use futures::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, BufWriter, copy};
use futures::stream::{StreamExt, TryStreamExt};
use futures::{AsyncRead, AsyncWrite};

use super::peers::{
    narrow_pair, on_every_loop, pair, poll_once, read_to_end, until_waiting, waiting, with_peer,
};

/// Sends a question by any writer, and reads an answer by any reader.
async fn converse(mut reader: impl AsyncRead + Unpin, mut writer: impl AsyncWrite + Unpin) -> String {
    writer.write_all(b"ques").await.unwrap();
    writer.flush().await.unwrap();
    let rest = [io::IoSlice::new(b"ti"), io::IoSlice::new(b"on")];
    assert_eq!(writer.write_vectored(&rest).await.unwrap(), 4);
    writer.close().await.unwrap();
    let (mut first, mut second) = ([0; 1], [0; 2]);
    let mut buffers = [io::IoSliceMut::new(&mut first), io::IoSliceMut::new(&mut second)];
    assert_eq!(reader.read_vectored(&mut buffers).await.unwrap(), 3);
    let mut third = [0; 1];
    reader.read_exact(&mut third).await.unwrap();
    let mut answer = String::from_utf8([&first[..], &second[..], &third[..]].concat()).unwrap();
    reader.read_to_string(&mut answer).await.unwrap();
    answer
}

/// Reads a question to its end, and answers at once.
async fn answer(stream: TcpStream) {
    assert_eq!(read_to_end(&stream).await, b"question");
    stream.write_all(b"answer").await.unwrap();
}

#[test]
fn streams_references_and_halves_are_readers_and_writers() {
    on_every_loop(|| async {
        for kind in 0..4 {
            let (mut stream, other) = pair();
            let other = create_task(answer(other));
            let answer = match kind {
                // The stream itself, one direction after the other.
                0 => {
                    stream.write_all(b"question").await.unwrap();
                    AsyncWriteExt::close(&mut stream).await.unwrap();
                    let mut answer = String::new();
                    stream.read_to_string(&mut answer).await.unwrap();
                    answer
                }
                1 => converse(&stream, &stream).await,
                2 => {
                    let (reads, writes) = stream.split();
                    converse(reads, writes).await
                }
                _ => {
                    let (reads, writes) = stream.into_split();
                    converse(reads, writes).await
                }
            };
            assert_eq!(answer, "answer");
            other.await.unwrap();
        }
    });
}

#[test]
fn copying_is_an_echo_server() {
    let data: Vec<u8> = (0..200_000u32).map(|i| (i.wrapping_mul(i) >> 7) as u8).collect();
    on_every_loop(|| async {
        let (one, other) = narrow_pair().await;
        let echo = create_task(async move {
            let (reads, mut writes) = other.into_split();
            let copied = copy(reads, &mut writes).await.unwrap();
            writes.close().await.unwrap();
            copied
        });
        let (reads, writes) = one.into_split();
        let mut back = Vec::new();
        let mut question = &data[..];
        let ask = async move {
            let mut writes = writes;
            copy(&mut question, &mut writes).await.unwrap();
            // Dropping the half ends it.
        };
        let (_, count) = futures::join!(ask, copy(reads, &mut back));
        assert_eq!(count.unwrap(), data.len() as u64);
        assert_eq!(echo.await.unwrap(), data.len() as u64);
        assert!(back == data);
    });
}

#[test]
fn lines_come_as_a_stream() {
    on_every_loop(|| async {
        let (stream, mut peer) = with_peer();
        let reader = create_task(async move {
            let lines: Vec<String> = BufReader::new(stream).lines().try_collect().await.unwrap();
            lines
        });
        for piece in ["first\nsec", "ond\r\n", "\n", "last, with", "out an end"] {
            until_waiting(1).await;
            peer.write_all(piece.as_bytes()).unwrap();
            crate::support::yields(3).await;
        }
        drop(peer);
        assert_eq!(reader.await.unwrap(), ["first", "second", "", "last, without an end"]);
    });
}

#[test]
fn a_buffered_writer_sends_when_it_is_flushed() {
    on_every_loop(|| async {
        let (stream, mut peer) = with_peer();
        let mut writer = BufWriter::new(&stream);
        for word in ["to", "gether"] {
            writer.write_all(word.as_bytes()).await.unwrap();
        }
        peer.set_nonblocking(true).unwrap();
        assert_eq!(peer.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        peer.set_nonblocking(false).unwrap();
        writer.flush().await.unwrap();
        let mut buffer = [0; 8];
        peer.read_exact(&mut buffer).unwrap();
        assert_eq!(&buffer, b"together");
        writer.close().await.unwrap();
        assert_eq!(peer.read(&mut buffer).unwrap(), 0);
    });
}

/// By polls, nobody but its waker tells one task from another.
#[test]
fn two_tasks_that_poll_the_same_direction_are_both_woken() {
    on_every_loop(|| async {
        let (stream, mut peer) = with_peer();
        let stream = Rc::new(stream);
        let reader = || {
            let stream = stream.clone();
            create_task(async move {
                let mut byte = [0];
                AsyncReadExt::read_exact(&mut &*stream, &mut byte).await.unwrap();
                byte[0]
            })
        };
        let (first, second) = (reader(), reader());
        until_waiting(2).await;
        peer.write_all(b"ab").unwrap();
        assert_eq!((first.await.unwrap(), second.await.unwrap()), (b'a', b'b'));
        // And one after the other, where there is something for one only.
        let (first, second) = (reader(), reader());
        until_waiting(2).await;
        peer.write_all(b"c").unwrap();
        assert_eq!(first.await.unwrap(), b'c');
        until_waiting(1).await;
        peer.write_all(b"d").unwrap();
        assert_eq!(second.await.unwrap(), b'd');
    });
}

#[test]
fn one_task_that_polls_both_directions_is_woken_for_each() {
    on_every_loop(|| async {
        let (one, other) = narrow_pair().await;
        let peer = create_task(async move {
            let back = read_to_end(&other).await;
            other.write_all(&back[..10]).await.unwrap();
        });
        let mut answer = Vec::new();
        let write = async {
            (&mut &one).write_all(&[7; 300_000]).await.unwrap();
            (&mut &one).close().await.unwrap();
        };
        let mut reader = &one;
        let (_, read) = futures::join!(write, AsyncReadExt::read_to_end(&mut reader, &mut answer));
        assert_eq!(read.unwrap(), 10);
        assert_eq!(answer, [7; 10]);
        peer.await.unwrap();
    });
}

/// Polled again and again, a task stands in line once.
#[test]
fn a_task_that_polls_many_times_waits_once() {
    on_every_loop(|| async {
        let (mut stream, mut peer) = with_peer();
        let mut buffer = [0; 4];
        for _ in 0..100 {
            let poll = std::future::poll_fn(|cx: &mut Context<'_>| {
                Poll::Ready(Pin::new(&mut stream).poll_read(cx, &mut buffer).is_pending())
            });
            assert!(poll.await);
            assert_eq!(waiting(), 1);
        }
        peer.write_all(b"x").unwrap();
        let read = std::future::poll_fn(|cx| Pin::new(&mut stream).poll_read(cx, &mut buffer));
        assert_eq!(read.await.unwrap(), 1);
        assert_eq!(waiting(), 0);
    });
}

/// A poll that is not repeated leaves its waker behind, until there are news or the stream goes.
#[test]
fn what_a_poll_leaves_behind_goes_with_the_stream() {
    on_every_loop(|| async {
        let (stream, mut peer) = with_peer();
        let mut byte = [0];
        assert!(poll_once(AsyncReadExt::read(&mut &stream, &mut byte)).await.is_pending());
        assert_eq!(waiting(), 1);
        peer.write_all(b"x").unwrap();
        stream.readable().await.unwrap();
        assert_eq!(waiting(), 0);
        stream.read_exact(&mut byte).await.unwrap();
        assert!(poll_once(AsyncReadExt::read(&mut &stream, &mut byte)).await.is_pending());
        drop(stream);
        assert_eq!(waiting(), 0);
    });
}

#[test]
fn a_stream_is_a_stream_of_chunks_to_others() {
    on_every_loop(|| async {
        // As a library does that reads into buffers of its own.
        let (stream, peer) = pair();
        let chunks = futures::stream::unfold(stream, |mut stream| async move {
            let mut buffer = vec![0; 5];
            let n = AsyncReadExt::read(&mut stream, &mut buffer).await.unwrap();
            buffer.truncate(n);
            (n > 0).then_some((buffer, stream))
        });
        peer.write_all(b"one two three").await.unwrap();
        drop(peer);
        let chunks: Vec<_> = chunks.collect().await;
        assert_eq!(chunks.concat(), b"one two three");
        assert!(chunks.len() >= 3);
    });
}

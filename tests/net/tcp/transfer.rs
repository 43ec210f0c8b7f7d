//! Reading and writing: what comes, how much of it at once, and in which pieces.

use std::cell::Cell;
use std::io::{self, IoSlice, IoSliceMut, Read as _, Write as _};
use std::rc::Rc;
use std::task::Poll;

use evloop::net::TcpStream;
use evloop::{create_task, yield_now};

use super::peers::{
    fill, narrow_pair, on_every_loop, pair, poll_once, read_some, read_to_end, registered, until_waiting,
    waiting, with_peer,
};

/// A pattern that no other offset has.
fn pattern(len: usize) -> Vec<u8> {
    (0..len as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13).to_be_bytes()[3]).collect()
}

#[test]
fn many_writes_of_one_byte_come_as_they_were_written() {
    let data = pattern(5000);
    on_every_loop(|| async {
        let (one, other) = pair();
        let reader = create_task(async move { read_to_end(&other).await });
        for byte in &data {
            assert_eq!(one.write(std::slice::from_ref(byte)).await.unwrap(), 1);
        }
        drop(one);
        assert!(reader.await.unwrap() == data);
    });
}

#[test]
fn many_reads_of_one_byte_find_them_all() {
    let data = pattern(5000);
    on_every_loop(|| async {
        let (one, other) = pair();
        let reader = create_task(async move {
            let (mut all, mut byte) = (Vec::new(), [0]);
            while other.read(&mut byte).await.unwrap() > 0 {
                all.push(byte[0]);
            }
            all
        });
        until_waiting(1).await;
        for piece in data.chunks(700) {
            one.write_all(piece).await.unwrap();
            yield_now().await;
        }
        drop(one);
        assert!(reader.await.unwrap() == data);
    });
}

#[test]
fn a_question_and_its_answer_change_hands_many_times() {
    on_every_loop(|| async {
        let (one, other) = pair();
        let echo = create_task(async move {
            let mut number = [0; 4];
            while other.read_exact(&mut number).await.is_ok() {
                other.write_all(&(u32::from_be_bytes(number) + 1).to_be_bytes()).await.unwrap();
            }
        });
        let mut number = [0; 4];
        for question in 0..300u32 {
            one.write_all(&question.to_be_bytes()).await.unwrap();
            one.read_exact(&mut number).await.unwrap();
            assert_eq!(u32::from_be_bytes(number), question + 1);
        }
        drop(one);
        echo.await.unwrap();
    });
}

/// A short read says that there is nothing more, which is not true any more a moment later.
#[test]
fn what_comes_between_a_short_read_and_the_next_wait_is_found() {
    on_every_loop(|| async {
        let (stream, mut peer) = with_peer();
        assert!(poll_once(stream.read(&mut [0; 1])).await.is_pending());
        for round in 0..50u8 {
            peer.write_all(&[round; 3]).unwrap();
            assert_eq!(read_some(&stream).await, [round; 3]);
            peer.write_all(&[round; 2]).unwrap();
            assert_eq!(read_some(&stream).await, [round; 2]);
            if round % 3 == 0 {
                // And the loop has looked in between.
                peer.write_all(b"?").unwrap();
                crate::support::yields(100).await;
                assert_eq!(read_some(&stream).await, b"?");
            }
        }
    });
}

#[test]
fn what_comes_after_the_news_and_before_the_read_is_read_with_the_rest() {
    on_every_loop(|| async {
        let (stream, mut peer) = with_peer();
        assert!(poll_once(stream.read(&mut [0; 1])).await.is_pending());
        peer.write_all(b"one").unwrap();
        stream.readable().await.unwrap();
        peer.write_all(b"two").unwrap();
        // Whether both are there already is the system's business; nothing is lost.
        let mut all = [0; 6];
        stream.read_exact(&mut all).await.unwrap();
        assert_eq!(&all, b"onetwo");
        peer.write_all(b"three").unwrap();
        assert_eq!(read_some(&stream).await, b"three");
    });
}

#[test]
fn a_peek_takes_nothing() {
    on_every_loop(|| async {
        let (stream, mut peer) = with_peer();
        let mut buffer = [0; 8];
        assert_eq!(stream.try_peek(&mut buffer).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        let writer = create_task(async move {
            until_waiting(1).await;
            peer.write_all(b"hello").unwrap();
            peer
        });
        assert_eq!(stream.peek(&mut buffer).await.unwrap(), 5);
        let peer = writer.await.unwrap();
        for length in [3, 5, 8] {
            let n = stream.peek(&mut buffer[..length]).await.unwrap();
            assert_eq!(&buffer[..n], &b"hello"[..length.min(5)]);
        }
        assert_eq!(stream.try_peek(&mut buffer).unwrap(), 5);
        assert_eq!(stream.try_read(&mut buffer).unwrap(), 5);
        assert_eq!(stream.try_peek(&mut buffer).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(peer);
        // The end can be seen as often as one likes.
        for _ in 0..2 {
            assert_eq!(stream.peek(&mut buffer).await.unwrap(), 0);
        }
        assert_eq!(stream.read(&mut buffer).await.unwrap(), 0);
    });
}

#[test]
fn a_read_into_several_buffers_fills_one_after_another() {
    on_every_loop(|| async {
        let (stream, mut peer) = with_peer();
        let read = async |expected: [&[u8]; 3]| {
            let (mut first, mut empty, mut second) = ([0; 3], [0; 0], [0; 4]);
            let mut buffers =
                [IoSliceMut::new(&mut first), IoSliceMut::new(&mut empty), IoSliceMut::new(&mut second)];
            let n = stream.read_vectored(&mut buffers).await.unwrap();
            assert_eq!(n, expected.iter().map(|part| part.len()).sum::<usize>());
            assert_eq!(&first[..expected[0].len()], expected[0]);
            assert_eq!(&second[..expected[2].len()], expected[2]);
        };
        assert!(poll_once(stream.read(&mut [0; 1])).await.is_pending());
        peer.write_all(b"0123456789").unwrap();
        stream.readable().await.unwrap();
        read([b"012", b"", b"3456"]).await;
        // Short ones: of both, of the first only, and after that the next comes, and the end.
        read([b"789", b"", b""]).await;
        peer.write_all(b"ab").unwrap();
        read([b"ab", b"", b""]).await;
        peer.write_all(b"cdef").unwrap();
        read([b"cde", b"", b"f"]).await;
        let mut small = [0; 2];
        let nothing = stream.try_read_vectored(&mut [IoSliceMut::new(&mut small)]).unwrap_err();
        assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
        drop(peer);
        read([b"", b"", b""]).await;
    });
}

/// The system takes 1024 buffers at once at most. That the others stay empty does not mean that all is read.
#[test]
fn a_read_into_more_buffers_than_the_system_takes_leaves_the_rest_to_the_next() {
    const BUFFERS: usize = 1500;
    on_every_loop(|| async {
        let (stream, mut peer) = with_peer();
        assert!(poll_once(stream.read(&mut [0; 1])).await.is_pending());
        peer.write_all(&[7; BUFFERS]).unwrap();
        let mut all = vec![0; BUFFERS];
        while stream.peek(&mut all).await.unwrap() < BUFFERS {}
        all.fill(0);
        let mut filled = 0;
        while filled < BUFFERS {
            let mut buffers: Vec<_> = all[filled..].chunks_mut(1).map(IoSliceMut::new).collect();
            filled += stream.read_vectored(&mut buffers).await.unwrap();
        }
        assert_eq!(all, [7; BUFFERS]);
    });
}

#[test]
fn a_write_from_several_buffers_takes_one_after_another() {
    on_every_loop(|| async {
        let (stream, mut peer) = with_peer();
        let buffers = [IoSlice::new(b"ab"), IoSlice::new(b""), IoSlice::new(b"cde")];
        assert_eq!(stream.write_vectored(&buffers).await.unwrap(), 5);
        assert_eq!(stream.try_write_vectored(&buffers).unwrap(), 5);
        let mut back = [0; 10];
        peer.read_exact(&mut back).unwrap();
        assert_eq!(&back, b"abcdeabcde");

        // Where little fits, it takes a part, and then waits for room.
        let (writes, reads) = narrow_pair().await;
        let (first, second) = (pattern(100_000), pattern(1_000_000));
        let (mut written, reader) = (0, create_task(async move { read_to_end(&reads).await }));
        let whole = [&first[..], &second[..]].concat();
        let mut short = 0;
        while written < whole.len() {
            let rest = [&first[written.min(first.len())..], &second[written.saturating_sub(first.len())..]];
            let n = writes.write_vectored(&rest.map(IoSlice::new)).await.unwrap();
            assert!(n > 0);
            written += n;
            short += usize::from(written < whole.len());
        }
        assert!(short > 0, "everything fitted at once");
        drop(writes);
        assert!(reader.await.unwrap() == whole);
    });
}

#[test]
fn a_read_into_no_room_is_over_at_once() {
    on_every_loop(|| async {
        let (stream, mut peer) = with_peer();
        for _ in 0..2 {
            // Never waited for, and then registered: there is nothing, and it does not wait for anything.
            assert_eq!(poll_once(stream.read(&mut [])).await.map(Result::unwrap), Poll::Ready(0));
            assert!(poll_once(stream.read_exact(&mut [])).await.is_ready());
            assert!(poll_once(stream.read(&mut [0; 1])).await.is_pending());
        }
        peer.write_all(b"data").unwrap();
        stream.readable().await.unwrap();
        assert_eq!(stream.read(&mut []).await.unwrap(), 0);
        assert_eq!(stream.try_read(&mut []).unwrap(), 0);
        // It did not make the rest unseen.
        assert_eq!(read_some(&stream).await, b"data");
        drop(peer);
        assert_eq!(stream.read(&mut []).await.unwrap(), 0);
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    });
}

#[test]
fn a_read_into_several_buffers_without_room_is_over_at_once() {
    on_every_loop(|| async {
        let (stream, _peer) = with_peer();
        for _ in 0..2 {
            let mut buffers = [IoSliceMut::new(&mut []), IoSliceMut::new(&mut [])];
            let read = poll_once(stream.read_vectored(&mut buffers)).await;
            assert_eq!(read.map(Result::unwrap), Poll::Ready(0));
            let read = poll_once(stream.read_vectored(&mut [])).await;
            assert_eq!(read.map(Result::unwrap), Poll::Ready(0));
            assert!(poll_once(stream.read(&mut [0; 1])).await.is_pending());
        }
    });
}

#[test]
fn a_write_of_nothing_is_over_at_once_even_if_nothing_fits() {
    on_every_loop(|| async {
        let (writes, _reads) = narrow_pair().await;
        writes.write_all(&[]).await.unwrap();
        fill(&writes);
        assert_eq!(poll_once(writes.write(&[])).await.map(Result::unwrap), Poll::Ready(0));
        assert!(poll_once(writes.write_all(&[])).await.is_ready());
    });
}

#[test]
fn a_write_of_nothing_from_several_buffers_is_over_at_once_even_if_nothing_fits() {
    on_every_loop(|| async {
        let (writes, _reads) = narrow_pair().await;
        fill(&writes);
        assert_eq!(poll_once(writes.write_vectored(&[])).await.map(Result::unwrap), Poll::Ready(0));
        let nothing = [IoSlice::new(b""), IoSlice::new(b"")];
        assert_eq!(poll_once(writes.write_vectored(&nothing)).await.map(Result::unwrap), Poll::Ready(0));
    });
}

#[test]
fn read_exact_waits_for_all_of_it_and_fails_at_the_end() {
    on_every_loop(|| async {
        let (stream, mut peer) = with_peer();
        let stream = Rc::new(stream);
        let reader = create_task({
            let stream = stream.clone();
            async move {
                let mut buffer = [0; 6];
                stream.read_exact(&mut buffer).await.unwrap();
                buffer
            }
        });
        for piece in ["ab", "cd", "efgh"] {
            assert!(!reader.done());
            until_waiting(1).await;
            peer.write_all(piece.as_bytes()).unwrap();
        }
        assert_eq!(&reader.await.unwrap(), b"abcdef");
        // Two are left, and more do not come.
        drop(peer);
        let error = stream.read_exact(&mut [0; 3]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        let error = stream.read_exact(&mut [0; 1]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        stream.read_exact(&mut []).await.unwrap();
    });
}

#[test]
fn a_slow_reader_makes_the_writer_wait_and_little_is_held_meanwhile() {
    const ALL: usize = 1 << 20;
    on_every_loop(|| async {
        let (writes, reads) = narrow_pair().await;
        let written = Rc::new(Cell::new(0));
        let writer = create_task({
            let written = written.clone();
            async move {
                for piece in pattern(ALL).chunks(4096) {
                    writes.write_all(piece).await.unwrap();
                    written.set(written.get() + piece.len());
                }
            }
        });
        until_waiting(1).await;
        // What the two buffers of the system hold: they were made small, and Linux takes the double.
        assert!(0 < written.get() && written.get() < 256 * 1024, "{} are under way", written.get());
        let mut all = Vec::with_capacity(ALL);
        let mut buffer = vec![0; 64 * 1024];
        let mut waits = 0;
        while all.len() < ALL {
            let n = reads.read(&mut buffer).await.unwrap();
            all.extend_from_slice(&buffer[..n]);
            waits += usize::from(waiting() > 0);
            assert!(written.get() < all.len() + 256 * 1024);
        }
        assert!(waits > 1, "the writer has hardly waited");
        writer.await.unwrap();
        assert!(all == pattern(ALL));
        assert_eq!(reads.read(&mut buffer).await.unwrap(), 0);
    });
}

/// Writes blocks until all is out, and reads as many, at the same time.
async fn both_ways(stream: TcpStream, block: Rc<Vec<u8>>, blocks: usize) {
    let stream = Rc::new(stream);
    let writer = create_task({
        let (stream, block) = (stream.clone(), block.clone());
        async move {
            for _ in 0..blocks {
                stream.write_all(&block).await.unwrap();
            }
        }
    });
    let mut buffer = vec![0; block.len()];
    for _ in 0..blocks {
        stream.read_exact(&mut buffer).await.unwrap();
        assert!(buffer == *block);
    }
    writer.await.unwrap();
}

#[test]
fn both_sides_send_64_megabytes_at_the_same_time() {
    let block = pattern(255 * 1024 + 1);
    on_every_loop(|| async {
        let block = Rc::new(block.clone());
        let blocks = (64 << 20) / block.len() + 1;
        let (one, other) = pair();
        let other = create_task(both_ways(other, block.clone(), blocks));
        both_ways(one, block, blocks).await;
        other.await.unwrap();
        assert_eq!(registered(), 0);
    });
}

#[test]
fn one_task_reads_and_writes_at_once() {
    on_every_loop(|| async {
        let (one, other) = narrow_pair().await;
        let data = pattern(300_000);
        // The other side writes first, and reads only then: a writer that did not read meanwhile would hang.
        let peer = create_task({
            let data = data.clone();
            async move {
                futures::future::try_join(other.write_all(&data), async {
                    let mut back = vec![0; data.len()];
                    other.read_exact(&mut back).await.map(|()| back)
                })
                .await
                .unwrap()
                .1
            }
        });
        let mut back = vec![0; data.len()];
        let (written, read) = futures::join!(one.write_all(&data), one.read_exact(&mut back));
        written.unwrap();
        read.unwrap();
        assert!(back == data && peer.await.unwrap() == data);
    });
}

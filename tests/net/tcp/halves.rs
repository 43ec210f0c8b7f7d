//! The two directions of a connection, apart: lent, owned, and together again.

use std::io::{self, IoSlice, IoSliceMut, Read as _, Write as _};

use evloop::net::{ReuniteError, TcpStream};
use evloop::{create_task, yield_now};

use super::peers::{on_every_loop, pair, read_some, registered, until_waiting, waiting, with_peer};

#[test]
fn lent_halves_read_and_write_at_the_same_time() {
    on_every_loop(|| async {
        let (mut stream, other) = pair();
        let echo = create_task(async move {
            for _ in 0..2 {
                let data = read_some(&other).await;
                other.write_all(&data).await.unwrap();
            }
        });
        {
            let (mut reads, mut writes) = stream.split();
            let mut back = [0; 4];
            let (read, written) = futures::join!(reads.read_exact(&mut back), writes.write_all(b"lent"));
            read.unwrap();
            written.unwrap();
            assert_eq!(&back, b"lent");
            assert_eq!(reads.local_addr().unwrap(), writes.local_addr().unwrap());
            assert_eq!(reads.peer_addr().unwrap(), writes.peer_addr().unwrap());
            assert!(std::ptr::eq(reads.as_ref(), writes.as_ref()));
        }
        // They are gone, and nothing was shut down.
        stream.write_all(b"whole").await.unwrap();
        assert_eq!(read_some(&stream).await, b"whole");
        echo.await.unwrap();
    });
}

#[test]
fn a_lent_half_that_is_shut_down_ends_its_direction_only() {
    on_every_loop(|| async {
        let (mut stream, mut peer) = with_peer();
        let (mut reads, writes) = stream.split();
        writes.shutdown().unwrap();
        let mut rest = Vec::new();
        peer.read_to_end(&mut rest).unwrap();
        assert!(rest.is_empty());
        peer.write_all(b"still").unwrap();
        let mut buffer = [0; 8];
        assert_eq!(reads.read(&mut buffer).await.unwrap(), 5);
    });
}

#[test]
fn owned_halves_serve_two_tasks() {
    on_every_loop(|| async {
        let (one, other) = pair();
        let (mut reads, mut writes) = one.into_split();
        let (mut echo_reads, mut echo_writes) = other.into_split();
        let echo = create_task(async move {
            let mut buffer = [0; 16];
            loop {
                match echo_reads.read(&mut buffer).await.unwrap() {
                    0 => break,
                    n => echo_writes.write_all(&buffer[..n]).await.unwrap(),
                }
            }
        });
        let reader = create_task(async move {
            let mut all = vec![0; 3 * 1000];
            reads.read_exact(&mut all).await.unwrap();
            // The write half was dropped, the echo has heard of the end, and has ended its direction, too.
            assert_eq!(reads.read(&mut [0; 1]).await.unwrap(), 0);
            all
        });
        let writer = create_task(async move {
            for byte in 1..=3u8 {
                writes.write_all(&[byte; 1000]).await.unwrap();
                yield_now().await;
            }
        });
        writer.await.unwrap();
        echo.await.unwrap();
        let all = reader.await.unwrap();
        assert!(all.chunks(1000).zip(1..).all(|(chunk, byte)| *chunk == [byte; 1000]));
        assert_eq!(registered(), 0);
    });
}

#[test]
fn a_half_does_all_that_the_stream_does_in_its_direction() {
    on_every_loop(|| async {
        let (stream, mut peer) = with_peer();
        let (local, remote) = (stream.local_addr().unwrap(), stream.peer_addr().unwrap());
        let (mut reads, mut writes) = stream.into_split();
        assert_eq!((reads.local_addr().unwrap(), reads.peer_addr().unwrap()), (local, remote));
        assert_eq!((writes.local_addr().unwrap(), writes.peer_addr().unwrap()), (local, remote));
        writes.writable().await.unwrap();
        assert_eq!(writes.try_write(b"a").unwrap(), 1);
        assert_eq!(writes.write(b"b").await.unwrap(), 1);
        assert_eq!(writes.write_vectored(&[IoSlice::new(b"c"), IoSlice::new(b"d")]).await.unwrap(), 2);
        let mut buffer = [0; 4];
        peer.read_exact(&mut buffer).unwrap();
        assert_eq!(&buffer, b"abcd");
        let nothing = reads.try_read(&mut buffer).unwrap_err();
        assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
        peer.write_all(b"efgh").unwrap();
        reads.readable().await.unwrap();
        assert_eq!(reads.peek(&mut buffer[..2]).await.unwrap(), 2);
        assert_eq!(reads.try_read(&mut buffer[..1]).unwrap(), 1);
        let (mut first, mut second) = ([0; 1], [0; 1]);
        let mut buffers = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
        assert_eq!(reads.read_vectored(&mut buffers).await.unwrap(), 2);
        assert_eq!(
            (buffer[0], first[0], second[0], reads.read(&mut buffer).await.unwrap()),
            (b'e', b'f', b'g', 1)
        );
    });
}

#[test]
fn halves_that_belong_together_become_the_stream_again() {
    on_every_loop(|| async {
        let (mut stream, mut peer) = with_peer();
        for round in 0..4u8 {
            let (mut reads, mut writes) = stream.into_split();
            // Registered by one of them, and what is known of it is not lost.
            peer.write_all(&[round, round]).unwrap();
            let mut byte = [0];
            assert_eq!(reads.read(&mut byte).await.unwrap(), 1);
            writes.write_all(&byte).await.unwrap();
            stream =
                if round % 2 == 0 { reads.reunite(writes).unwrap() } else { writes.reunite(reads).unwrap() };
            assert_eq!(stream.read(&mut byte).await.unwrap(), 1);
            assert_eq!(byte, [round]);
            peer.read_exact(&mut byte).unwrap();
        }
        // Nothing was shut down on the way.
        stream.write_all(b"whole").await.unwrap();
        let mut all = [0; 5];
        peer.read_exact(&mut all).unwrap();
        assert_eq!(&all, b"whole");
    });
}

#[test]
fn halves_of_different_streams_are_given_back() {
    on_every_loop(|| async {
        let ((one, mut peer), (other, mut other_peer)) = (with_peer(), with_peer());
        let ((reads, writes), (other_reads, other_writes)) = (one.into_split(), other.into_split());
        let error = reads.reunite(other_writes).unwrap_err();
        assert!(error.to_string().contains("different connections"));
        let ReuniteError(reads, mut other_writes) = error;
        let ReuniteError(mut other_reads, mut writes) = writes.reunite(other_reads).unwrap_err();
        // Both are as they were.
        writes.write_all(b"1").await.unwrap();
        other_writes.write_all(b"2").await.unwrap();
        let mut byte = [0];
        peer.read_exact(&mut byte).unwrap();
        assert_eq!(&byte, b"1");
        other_peer.read_exact(&mut byte).unwrap();
        assert_eq!(&byte, b"2");
        other_peer.write_all(b"3").unwrap();
        assert_eq!(other_reads.read(&mut byte).await.unwrap(), 1);
        reads.reunite(writes).unwrap();
        other_reads.reunite(other_writes).unwrap();
    });
}

#[test]
fn dropping_the_write_half_ends_its_direction() {
    on_every_loop(|| async {
        let (stream, mut peer) = with_peer();
        let (mut reads, mut writes) = stream.into_split();
        writes.write_all(b"last").await.unwrap();
        drop(writes);
        let mut all = Vec::new();
        peer.read_to_end(&mut all).unwrap();
        assert_eq!(all, b"last");
        peer.write_all(b"answer").unwrap();
        let mut buffer = [0; 8];
        assert_eq!(reads.read(&mut buffer).await.unwrap(), 6);
    });
}

#[test]
fn forgetting_the_write_half_ends_nothing() {
    on_every_loop(|| async {
        let (stream, mut peer) = with_peer();
        let (mut reads, writes) = stream.into_split();
        writes.forget();
        peer.set_nonblocking(true).unwrap();
        assert_eq!(peer.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        peer.set_nonblocking(false).unwrap();
        peer.write_all(b"x").unwrap();
        assert_eq!(reads.read(&mut [0; 8]).await.unwrap(), 1);
        // With the other half it is over.
        drop(reads);
        assert_eq!(peer.read(&mut [0]).unwrap(), 0);
        assert_eq!(registered(), 0);
    });
}

#[test]
fn dropping_the_read_half_leaves_the_other_one_working() {
    on_every_loop(|| async {
        let (stream, mut peer) = with_peer();
        let (reads, mut writes) = stream.into_split();
        drop(reads);
        writes.write_all(b"still").await.unwrap();
        let mut buffer = [0; 5];
        peer.read_exact(&mut buffer).unwrap();
        assert_eq!(&buffer, b"still");
        drop(writes);
        assert_eq!(peer.read(&mut buffer).unwrap(), 0);
    });
}

#[test]
fn a_half_that_waits_is_cancelled_and_the_other_goes_on() {
    on_every_loop(|| async {
        let (stream, mut peer) = with_peer();
        let (mut reads, mut writes) = stream.into_split();
        let reader = create_task(async move { reads.read(&mut [0; 1]).await });
        until_waiting(1).await;
        reader.cancel();
        assert!(reader.await.unwrap_err().is_cancelled());
        assert_eq!((registered(), waiting()), (1, 0));
        writes.write_all(b"on").await.unwrap();
        drop(writes);
        let mut all = Vec::new();
        peer.read_to_end(&mut all).unwrap();
        assert_eq!(all, b"on");
        assert_eq!(registered(), 0);
    });
}

#[test]
fn sockets_and_halves_may_be_sent_and_shared() {
    fn is_send_and_sync<T: Send + Sync + 'static>() {}
    is_send_and_sync::<TcpStream>();
    is_send_and_sync::<evloop::net::TcpListener>();
    is_send_and_sync::<evloop::net::TcpSocket>();
    is_send_and_sync::<evloop::net::OwnedReadHalf>();
    is_send_and_sync::<evloop::net::OwnedWriteHalf>();
    is_send_and_sync::<ReuniteError>();
}

//! Urgent data: one byte beside the stream, which nobody here reads. A loop that was told of it as of
//! something to read would come back from the system for it for ever; and a read stops in front of it, which
//! looks as if there were nothing more.

use std::cell::Cell;
use std::io::Write as _;
use std::net;
use std::rc::Rc;

use evloop::{EventLoop, PollMode, create_task};
use socket2::SockRef;

use crate::support::{in_time, run_on};

use super::peers::{
    A_FEW, counted, iterations_in_a_moment, on_every_loop, poll_once, read_to_end, until_waiting, with_peer,
};

fn send_urgent(peer: &net::TcpStream) {
    assert_eq!(SockRef::from(peer).send_out_of_band(b"!").unwrap(), 1);
}

#[test]
fn an_urgent_byte_does_not_make_the_loop_spin_while_a_reader_waits() {
    on_every_loop(|| async {
        let (stream, mut peer) = with_peer();
        let polls = Rc::new(Cell::new(0));
        let reader = create_task({
            let polls = polls.clone();
            async move { counted(&polls, read_to_end(&stream)).await }
        });
        until_waiting(1).await;
        send_urgent(&peer);
        let iterations = iterations_in_a_moment().await;
        assert!(iterations < A_FEW, "{iterations}");
        assert!(polls.get() <= 3, "{}", polls.get());
        peer.write_all(b"data").unwrap();
        drop(peer);
        assert_eq!(reader.await.unwrap(), b"data");
    });
}

#[test]
fn an_urgent_byte_does_not_make_the_loop_spin_while_nobody_waits() {
    on_every_loop(|| async {
        let (stream, mut peer) = with_peer();
        assert!(poll_once(stream.read(&mut [0])).await.is_pending());
        send_urgent(&peer);
        assert!(iterations_in_a_moment().await < A_FEW);
        peer.write_all(b"data").unwrap();
        drop(peer);
        assert_eq!(read_to_end(&stream).await, b"data");
    });
}

/// A peek does not step over it either, and leaves it where it is. (Through `polling`, in the modes that tell again
/// and again, it is told again and again: `Builder::portable_wait` says so.)
#[test]
fn an_urgent_byte_does_not_make_the_loop_spin_while_a_peek_waits() {
    let test = || async {
        let (stream, mut peer) = with_peer();
        let polls = Rc::new(Cell::new(0));
        let peeker = create_task({
            let polls = polls.clone();
            async move {
                let mut buffer = [0; 8];
                let n = counted(&polls, stream.peek(&mut buffer)).await.unwrap();
                (buffer[..n].to_vec(), read_to_end(&stream).await)
            }
        });
        until_waiting(1).await;
        send_urgent(&peer);
        let iterations = iterations_in_a_moment().await;
        assert!(iterations < A_FEW, "{iterations}");
        assert!(polls.get() <= 3, "{}", polls.get());
        peer.write_all(b"data").unwrap();
        drop(peer);
        assert_eq!(peeker.await.unwrap(), (b"data".to_vec(), b"data".to_vec()));
    };
    use PollMode::{Edge, Level, Oneshot};
    for (portable, mode) in [(false, Edge), (false, Level), (false, Oneshot), (true, Edge)] {
        run_on(EventLoop::builder().portable_wait(portable).poll_mode(mode), in_time(test()));
    }
}

/// A read does not go past an urgent byte, so what it brings may be less than there is.
#[test]
fn what_comes_behind_an_urgent_byte_is_read() {
    on_every_loop(|| async {
        let (stream, mut peer) = with_peer();
        let reader = create_task(async move {
            let mut all = [0; 6];
            stream.read_exact(&mut all[..3]).await.unwrap();
            // With more room than was filled.
            let (mut filled, mut buffer) = (3, [0; 100]);
            while filled < 6 {
                let n = stream.read(&mut buffer).await.unwrap();
                all[filled..filled + n].copy_from_slice(&buffer[..n]);
                filled += n;
            }
            all
        });
        until_waiting(1).await;
        peer.write_all(b"abcd").unwrap();
        send_urgent(&peer);
        peer.write_all(b"ef").unwrap();
        assert_eq!(&reader.await.unwrap(), b"abcdef");
    });
}

/// The same, when the reader has heard of the first part before the urgent byte came.
#[test]
fn what_comes_behind_an_urgent_byte_is_read_although_the_news_are_older() {
    on_every_loop(|| async {
        let (stream, mut peer) = with_peer();
        assert!(poll_once(stream.read(&mut [0])).await.is_pending());
        peer.write_all(b"abcd").unwrap();
        stream.readable().await.unwrap();
        send_urgent(&peer);
        peer.write_all(b"ef").unwrap();
        let (mut filled, mut buffer) = (Vec::new(), [0; 100]);
        while filled.len() < 6 {
            let n = stream.read(&mut buffer).await.unwrap();
            filled.extend_from_slice(&buffer[..n]);
        }
        assert_eq!(filled, b"abcdef");
    });
}

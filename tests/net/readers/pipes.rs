//! Readers and writers of pipes and sockets of the standard library.

use std::cell::RefCell;
use std::io::{ErrorKind, Read, Write, pipe};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::rc::Rc;

use evloop::{LoopHandle, Promise, get_running_loop};

use super::Calls;
use crate::support::{fill, in_time, on_every_loop, registrations, settle};

fn handle() -> LoopHandle {
    get_running_loop().unwrap()
}

#[test]
fn the_reading_end_of_a_pipe_is_read_to_its_end() {
    on_every_loop(|| async {
        let (reads, mut writes) = pipe().unwrap();
        let (got, ended) = (Rc::new(RefCell::new(Vec::<u8>::new())), Promise::new());
        let reader = {
            let (mut source, got, ended) = (reads.try_clone().unwrap(), got.clone(), ended.clone());
            move || {
                let mut buffer = [0; 4];
                match source.read(&mut buffer).unwrap() {
                    0 => _ = ended.set_result(()),
                    n => got.borrow_mut().extend(&buffer[..n]),
                }
            }
        };
        handle().add_reader(&reads, reader).unwrap();
        settle().await;
        writes.write_all(b"hello ").unwrap();
        settle().await;
        assert_eq!(*got.borrow(), b"hello ");
        // The rest and the end come at once.
        writes.write_all(b"world").unwrap();
        drop(writes);
        in_time(ended).await.unwrap();
        assert_eq!(*got.borrow(), b"hello world");
        assert!(handle().remove_reader(&reads));
        assert_eq!(registrations(), (0, 0));
    });
}

#[test]
fn the_end_of_a_pipe_that_was_never_written_to_calls_its_reader() {
    on_every_loop(|| async {
        let ((reads, writes), calls) = (pipe().unwrap(), Calls::default());
        handle().add_reader(&reads, calls.counter()).unwrap();
        assert_eq!(calls.now().await, 0);
        drop(writes);
        assert!(calls.now().await >= 3);
        assert!(handle().remove_reader(&reads));
        assert_eq!(calls.now().await, 0);
    });
}

#[test]
fn the_writing_end_of_a_pipe_calls_its_writer_when_the_reading_end_is_closed() {
    on_every_loop(|| async {
        let ((reads, mut writes), calls) = (pipe().unwrap(), Calls::default());
        rustix::io::ioctl_fionbio(&writes, true).unwrap();
        fill(&writes);
        handle().add_writer(&writes, calls.counter()).unwrap();
        assert_eq!(calls.now().await, 0, "it is full");
        drop(reads);
        assert!(calls.now().await >= 3);
        assert_eq!(writes.write(b"!").unwrap_err().kind(), ErrorKind::BrokenPipe);
        assert!(handle().remove_writer(&writes));
        assert_eq!(calls.now().await, 0);
    });
}

#[test]
fn a_reader_of_the_writing_end_notices_that_the_reading_end_is_closed() {
    // How asyncio's write pipes hear of it without writing (test_write_pipe_disconnect_on_close).
    on_every_loop(|| async {
        let ((reads, mut writes), calls) = (pipe().unwrap(), Calls::default());
        handle().add_reader(&writes, calls.counter()).unwrap();
        writes.write_all(b"1").unwrap();
        assert_eq!(calls.now().await, 0);
        drop(reads);
        assert!(calls.now().await >= 3);
        assert!(handle().remove_reader(&writes));
    });
}

#[test]
fn a_pipe_is_written_as_room_comes() {
    on_every_loop(|| async {
        let (mut reads, writes) = pipe().unwrap();
        rustix::io::ioctl_fionbio(&writes, true).unwrap();
        let (left, done) = (Rc::new(RefCell::new(vec![7; 1_000_000])), Promise::new());
        let writer = {
            let (mut sink, left, done) = (writes.try_clone().unwrap(), left.clone(), done.clone());
            move || {
                let mut left = left.borrow_mut();
                let n = sink.write(&left).unwrap();
                left.drain(..n);
                if left.is_empty() {
                    let _ = done.set_result(());
                }
            }
        };
        handle().add_writer(&writes, writer).unwrap();
        let reader = std::thread::spawn(move || {
            let mut all = vec![0; 1_000_000];
            reads.read_exact(&mut all).unwrap();
            all.iter().all(|byte| *byte == 7)
        });
        // Once all is written the writer has nothing to write; it is called until it is removed.
        in_time(done).await.unwrap();
        assert!(handle().remove_writer(&writes));
        assert!(reader.join().unwrap());
    });
}

#[test]
fn a_listener_of_the_standard_library_accepts_in_a_reader() {
    on_every_loop(|| async {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let (accepted, all) = (Rc::new(RefCell::new(Vec::new())), Promise::new());
        let accept = {
            let (listener, accepted, all) = (listener.try_clone().unwrap(), accepted.clone(), all.clone());
            move || {
                accepted.borrow_mut().push(listener.accept().unwrap().1);
                if accepted.borrow().len() == 5 {
                    all.set_result(()).unwrap();
                }
            }
        };
        handle().add_reader(&listener, accept).unwrap();
        let connect = || TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let clients: Vec<_> = (0..5).map(|_| connect()).collect();
        in_time(all).await.unwrap();
        let addresses: Vec<_> = clients.iter().map(|client| client.local_addr().unwrap()).collect();
        assert_eq!(*accepted.borrow(), addresses);
        assert!(handle().remove_reader(&listener));
    });
}

#[test]
fn a_connection_of_the_standard_library_ends_in_a_writer() {
    on_every_loop(|| async {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        client.set_nonblocking(true).unwrap();
        fill(&client);
        let calls = Calls::default();
        handle().add_writer(&client, calls.counter()).unwrap();
        // Reset, with data unread.
        drop(server);
        settle().await;
        assert!(calls.take() >= 1);
        assert!(handle().remove_writer(&client));
        assert_eq!((calls.now().await, registrations()), (0, (0, 0)));
    });
}

#[test]
fn datagrams_are_received_in_a_reader() {
    on_every_loop(|| async {
        let (ours, theirs) =
            (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        ours.set_nonblocking(true).unwrap();
        let (got, all) = (Rc::new(RefCell::new(Vec::new())), Promise::new());
        let receive = {
            let (ours, got, all) = (ours.try_clone().unwrap(), got.clone(), all.clone());
            move || {
                let mut data = [0; 8];
                let n = ours.recv(&mut data).unwrap();
                got.borrow_mut().push(data[..n].to_vec());
                if got.borrow().len() == 3 {
                    all.set_result(()).unwrap();
                }
            }
        };
        handle().add_reader(&ours, receive).unwrap();
        for data in [b"one".as_slice(), b"", b"three"] {
            theirs.send_to(data, ours.local_addr().unwrap()).unwrap();
        }
        in_time(all).await.unwrap();
        assert_eq!(*got.borrow(), [b"one".as_slice(), b"", b"three"]);
        assert!(handle().remove_reader(&ours));
    });
}

//! Several tasks at one socket, in the same direction: all are woken, the first to come is the first to be
//! served, and whoever goes away leaves the others right. (Accepting: `serving.rs`.)

use std::cell::RefCell;
use std::io::Write as _;
use std::net;
use std::rc::Rc;
use std::time::Duration;

use evloop::net::TcpListener;
use evloop::{Task, create_task, wait_for, yield_now};

use super::peers::{
    LOOPBACK, cancel_when_woken, fill_up, narrow_pair, on_every_loop, pair, read_to_end, until_waiting,
    waiting, with_peer,
};
use crate::support::yields;

type Log<T> = Rc<RefCell<Vec<T>>>;

/// Yields until a log has so many entries.
async fn until_logged<T>(log: &Log<T>, count: usize) {
    while log.borrow().len() < count {
        yield_now().await;
    }
}

/// Tasks that each read one byte of a stream, and note their number and the byte.
struct Readers {
    peer: net::TcpStream,
    read: Log<(usize, u8)>,
    tasks: Vec<Task<()>>,
}

impl Readers {
    /// All of them wait, in the order of their numbers.
    async fn new(count: usize) -> Self {
        let (stream, peer) = with_peer();
        let (stream, read) = (Rc::new(stream), Log::default());
        let tasks = (0..count).map(|number| {
            let (stream, read) = (stream.clone(), Rc::clone(&read));
            create_task(async move {
                let mut byte = [0];
                let n = stream.read(&mut byte).await.unwrap();
                read.borrow_mut().push((number, if n == 0 { b'.' } else { byte[0] }));
            })
        });
        let tasks = tasks.collect();
        until_waiting(count).await;
        Self { peer, read, tasks }
    }
}

#[test]
fn those_who_wait_to_read_are_served_in_their_order() {
    on_every_loop(|| async {
        let mut readers = Readers::new(3).await;
        readers.peer.write_all(b"abc").unwrap();
        until_logged(&readers.read, 3).await;
        assert_eq!(*readers.read.borrow(), [(0, b'a'), (1, b'b'), (2, b'c')]);
    });
}

#[test]
fn those_for_whom_there_is_nothing_go_on_waiting_in_their_order() {
    on_every_loop(|| async {
        let mut readers = Readers::new(3).await;
        for (n, byte) in (1..).zip("abc".bytes()) {
            readers.peer.write_all(&[byte]).unwrap();
            until_logged(&readers.read, n).await;
            until_waiting(3 - n).await;
        }
        assert_eq!(*readers.read.borrow(), [(0, b'a'), (1, b'b'), (2, b'c')]);
    });
}

#[test]
fn all_who_wait_to_read_are_told_of_the_end() {
    on_every_loop(|| async {
        let mut readers = Readers::new(4).await;
        readers.peer.write_all(b"a").unwrap();
        drop(readers.peer);
        until_logged(&readers.read, 4).await;
        assert_eq!(*readers.read.borrow(), [(0, b'a'), (1, b'.'), (2, b'.'), (3, b'.')]);
    });
}

#[test]
fn cancelling_one_who_waits_to_read_leaves_the_others_right() {
    for cancelled in 0..3 {
        on_every_loop(|| async {
            let mut readers = Readers::new(3).await;
            readers.tasks[cancelled].cancel();
            until_waiting(2).await;
            readers.peer.write_all(b"ab").unwrap();
            until_logged(&readers.read, 2).await;
            let mut left = (0..3).filter(|number| *number != cancelled);
            let expected = [(left.next().unwrap(), b'a'), (left.next().unwrap(), b'b')];
            assert_eq!(*readers.read.borrow(), expected);
        });
    }
}

#[test]
fn cancelling_one_who_was_woken_loses_nothing() {
    for cancelled in 0..3 {
        on_every_loop(|| async {
            let mut readers = Readers::new(3).await;
            cancel_when_woken(readers.tasks[cancelled].task_ref());
            readers.peer.write_all(b"ab").unwrap();
            until_logged(&readers.read, 2).await;
            let mut left = (0..3).filter(|number| *number != cancelled);
            let expected = [(left.next().unwrap(), b'a'), (left.next().unwrap(), b'b')];
            assert_eq!(*readers.read.borrow(), expected);
        });
    }
}

#[test]
fn a_timeout_of_one_leaves_the_others_right() {
    on_every_loop(|| async {
        let (stream, mut peer) = with_peer();
        let stream = Rc::new(stream);
        let impatient = create_task({
            let stream = stream.clone();
            async move { wait_for(stream.read(&mut [0; 1]), Duration::from_millis(1)).await }
        });
        let patient = create_task(async move {
            let mut byte = [0];
            stream.read(&mut byte).await.unwrap();
            byte[0]
        });
        assert!(impatient.await.unwrap().is_err());
        peer.write_all(b"x").unwrap();
        assert_eq!(patient.await.unwrap(), b'x');
    });
}

#[test]
fn those_who_wait_to_write_are_served_in_their_order() {
    on_every_loop(|| async {
        let (writes, reads) = narrow_pair().await;
        let (filled, writes) = (fill_up(&writes).await, Rc::new(writes));
        let tasks: Vec<_> = "abcd"
            .bytes()
            .map(|byte| {
                let writes = writes.clone();
                create_task(async move { writes.write(&[byte]).await.unwrap() })
            })
            .collect();
        yields(2).await;
        drop(writes);
        let all = read_to_end(&reads).await;
        assert_eq!(&all[filled..], b"abcd");
        for task in tasks {
            assert_eq!(task.await.unwrap(), 1);
        }
    });
}

#[test]
fn cancelling_one_who_waits_to_write_leaves_the_others_right() {
    for cancelled in 0..3 {
        on_every_loop(|| async {
            let (writes, reads) = narrow_pair().await;
            let (filled, writes) = (fill_up(&writes).await, Rc::new(writes));
            let tasks: Vec<_> = "abc"
                .bytes()
                .map(|byte| {
                    let writes = writes.clone();
                    create_task(async move { writes.write_all(&[byte]).await.unwrap() })
                })
                .collect();
            yield_now().await;
            // What was on its way may have made room for some of them by now.
            let was_cancelled = tasks[cancelled].cancel();
            drop(writes);
            let all = read_to_end(&reads).await;
            let mut expected = b"abc".to_vec();
            if was_cancelled {
                expected.remove(cancelled);
            }
            assert_eq!(all[filled..], expected);
        });
    }
}

#[test]
fn one_who_reads_and_one_who_writes_do_not_disturb_each_other() {
    // Far more than fits.
    const MUCH: usize = 300_000;
    on_every_loop(|| async {
        let (stream, other) = narrow_pair().await;
        let stream = Rc::new(stream);
        let spawn_reader = || {
            let stream = stream.clone();
            create_task(async move {
                let mut byte = [0];
                stream.read_exact(&mut byte).await.unwrap();
                byte[0]
            })
        };
        let writer = create_task({
            let stream = stream.clone();
            async move { stream.write_all(&[b'w'; MUCH]).await.unwrap() }
        });
        let reader = spawn_reader();
        until_waiting(2).await;
        // The reader has its byte while the writer waits.
        other.write_all(b"r").await.unwrap();
        assert_eq!(reader.await.unwrap(), b'r');
        assert!(!writer.done());
        // And the other way round.
        let reader = spawn_reader();
        let mut all = vec![0; MUCH];
        other.read_exact(&mut all).await.unwrap();
        assert!(all.iter().all(|byte| *byte == b'w'));
        writer.await.unwrap();
        until_waiting(1).await;
        assert!(!reader.done());
        other.write_all(b"s").await.unwrap();
        assert_eq!(reader.await.unwrap(), b's');
        assert_eq!(waiting(), 0);
    });
}

/// Who was served comes again behind those who wait already: so nobody starves behind a task that is quick
/// to come back.
#[test]
fn one_who_comes_back_stands_behind_those_who_wait_already() {
    on_every_loop(|| async {
        let listener = Rc::new(TcpListener::bind(LOOPBACK).await.unwrap());
        let served = Log::default();
        let tasks: Vec<_> = (0..3)
            .map(|number| {
                let (listener, served) = (listener.clone(), Rc::clone(&served));
                create_task(async move {
                    loop {
                        listener.accept().await.unwrap();
                        served.borrow_mut().push(number);
                    }
                })
            })
            .collect();
        for n in 1..=6 {
            until_waiting(3).await;
            let _client = net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            until_logged(&served, n).await;
        }
        assert_eq!(*served.borrow(), [0, 1, 2, 0, 1, 2]);
        drop(tasks);
    });
}

#[test]
fn two_that_write_and_two_that_read_on_each_of_many_connections_lose_nothing() {
    on_every_loop(|| async {
        let (mut tasks, mut logs) = (Vec::new(), Vec::new());
        for _ in 0..8 {
            let (one, other) = pair();
            let (one, other, read) = (Rc::new(one), Rc::new(other), Log::default());
            for bytes in [0..100u8, 100..200] {
                let one = one.clone();
                tasks.push(create_task(async move {
                    for byte in bytes {
                        one.write_all(&[byte]).await.unwrap();
                        if byte % 7 == 0 {
                            yield_now().await;
                        }
                    }
                }));
                let (other, read) = (other.clone(), Rc::clone(&read));
                tasks.push(create_task(async move {
                    let mut buffer = [0; 3];
                    loop {
                        match other.read(&mut buffer).await.unwrap() {
                            0 => break,
                            n => read.borrow_mut().extend_from_slice(&buffer[..n]),
                        }
                    }
                }));
            }
            logs.push(read);
        }
        for task in tasks {
            task.await.unwrap();
        }
        for read in logs {
            let mut bytes = read.take();
            bytes.sort_unstable();
            assert!(bytes.into_iter().eq(0..200));
        }
    });
}

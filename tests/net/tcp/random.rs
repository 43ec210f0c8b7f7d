//! Random doings with one connection, against the plain model of it: what goes in at one end comes out at the
//! other, in order, whole, and nothing twice; however many tasks wait, are cancelled, try, peek, or move the
//! socket out of the loop and back in between.
//!
//! A failure names its seed.

use std::cell::RefCell;
use std::io::{self, IoSliceMut, Read as _, Write as _};
use std::net::{self, Shutdown};
use std::rc::Rc;
use std::task::Poll;

use evloop::net::TcpStream;
use evloop::{Task, create_task};

use super::peers::{narrow_pair, on_every_loop, poll_once};
use crate::support::{registrations, yields};

const SEEDS: u64 = 12;
const STEPS: usize = 400;

/// A generator of numbers that look random: xorshift.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// Less than `limit`.
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % limit
    }

    /// Mostly little, sometimes much.
    fn size(&mut self) -> usize {
        let limit = [1, 3, 10, 100, 1000, 20_000][self.below(6)];
        1 + self.below(limit)
    }
}

/// One direction of the connection: what went in and what came out so far. What goes in is numbered.
#[derive(Default)]
struct Way {
    sent: usize,
    received: usize,
}

fn byte_at(position: usize) -> u8 {
    (position * 31 % 251) as u8
}

impl Way {
    fn next(&self, len: usize) -> Vec<u8> {
        (self.sent..self.sent + len).map(byte_at).collect()
    }

    #[track_caller]
    fn check(&self, bytes: &[u8]) {
        let expected = (self.received..).map(byte_at);
        assert!(bytes.iter().copied().eq(expected.take(bytes.len())), "not what comes next");
        assert!(self.received + bytes.len() <= self.sent, "more than was sent");
    }

    #[track_caller]
    fn receive(&mut self, bytes: &[u8]) {
        self.check(bytes);
        self.received += bytes.len();
    }
}

/// The connection, with one side in the loop.
struct World {
    /// Always there, but in the midst of moving it.
    stream: Option<Rc<TcpStream>>,
    peer: net::TcpStream,
    inwards: Rc<RefCell<Way>>,
    outwards: Rc<RefCell<Way>>,
    tasks: Vec<Task<()>>,
    random: Random,
}

impl World {
    async fn new(seed: u64) -> Self {
        let (ours, theirs) = narrow_pair().await;
        Self {
            stream: Some(Rc::new(ours)),
            // It stays non-blocking.
            peer: theirs.into_std(),
            inwards: Rc::default(),
            outwards: Rc::default(),
            tasks: Vec::new(),
            random: Random::new(seed),
        }
    }

    async fn step(&mut self) {
        let size = self.random.size();
        let mut buffer = vec![0; size];
        match self.random.below(16) {
            0..=2 => self.peer_writes(size),
            3 | 4 => self.peer_reads(size),
            5 => {
                let times = 1 + self.random.below(3);
                self.spawn_reader(size, times);
            }
            6 => self.spawn_writer(size),
            7 if !self.tasks.is_empty() => {
                let task = self.random.below(self.tasks.len());
                self.tasks.swap_remove(task).cancel();
            }
            8 => match self.stream().try_read(&mut buffer) {
                Ok(n) => self.inwards.borrow_mut().receive(&buffer[..n]),
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            },
            9 => {
                if let Poll::Ready(n) = poll_once(self.stream().read(&mut buffer)).await {
                    self.inwards.borrow_mut().receive(&buffer[..n.unwrap()]);
                }
            }
            10 => {
                let half = size / 2;
                let (first, second) = buffer.split_at_mut(half);
                let mut buffers = [IoSliceMut::new(first), IoSliceMut::new(second)];
                if let Poll::Ready(n) = poll_once(self.stream().read_vectored(&mut buffers)).await {
                    self.inwards.borrow_mut().receive(&buffer[..n.unwrap()]);
                }
            }
            11 => {
                if let Poll::Ready(n) = poll_once(self.stream().peek(&mut buffer)).await {
                    self.inwards.borrow().check(&buffer[..n.unwrap()]);
                }
            }
            12 => {
                let data = self.outwards.borrow().next(size);
                match self.stream().try_write(&data) {
                    Ok(n) => self.outwards.borrow_mut().sent += n,
                    Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
                }
            }
            13 => {
                let _ = poll_once(self.stream().readable()).await;
                let _ = poll_once(self.stream().writable()).await;
            }
            14 => self.move_out_and_in(),
            _ => {
                let times = [0, 1, 3, 100][self.random.below(4)];
                yields(times).await;
            }
        }
    }

    fn peer_writes(&mut self, size: usize) {
        let data = self.inwards.borrow().next(size);
        match self.peer.write(&data) {
            Ok(n) => self.inwards.borrow_mut().sent += n,
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
        }
    }

    fn peer_reads(&mut self, size: usize) {
        let mut buffer = vec![0; size];
        match self.peer.read(&mut buffer) {
            Ok(n) => self.outwards.borrow_mut().receive(&buffer[..n]),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
        }
    }

    /// A task that notes what it has read in the step in which it has read it.
    fn spawn_reader(&mut self, size: usize, times: usize) {
        let (stream, inwards) = (self.stream().clone(), self.inwards.clone());
        self.tasks.push(create_task(async move {
            let mut buffer = vec![0; size];
            for _ in 0..times {
                let n = stream.read(&mut buffer).await.unwrap();
                inwards.borrow_mut().receive(&buffer[..n]);
            }
        }));
    }

    /// What is to be written is known only when there is room, since others write, too.
    fn spawn_writer(&mut self, size: usize) {
        let (stream, outwards) = (self.stream().clone(), self.outwards.clone());
        self.tasks.push(create_task(async move {
            loop {
                stream.writable().await.unwrap();
                let data = outwards.borrow().next(size);
                match stream.try_write(&data) {
                    Ok(n) => {
                        outwards.borrow_mut().sent += n;
                        break;
                    }
                    Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
                }
            }
        }));
    }

    fn stream(&self) -> &Rc<TcpStream> {
        self.stream.as_ref().unwrap()
    }

    /// If no task has it.
    fn move_out_and_in(&mut self) {
        self.stream = self.stream.take().map(|stream| match Rc::try_unwrap(stream) {
            Ok(stream) => Rc::new(TcpStream::from_std(stream.into_std()).unwrap()),
            Err(stream) => stream,
        });
    }

    /// All that is under way arrives, and then the end.
    async fn finish(mut self) {
        for task in self.tasks.drain(..) {
            task.cancel();
            let ended = task.await;
            assert!(ended.is_ok() || ended.unwrap_err().is_cancelled());
        }
        self.peer.shutdown(Shutdown::Write).unwrap();
        let mut buffer = vec![0; 5000];
        loop {
            match self.stream().read(&mut buffer).await.unwrap() {
                0 => break,
                n => self.inwards.borrow_mut().receive(&buffer[..n]),
            }
        }
        self.stream = None;
        self.peer.set_nonblocking(false).unwrap();
        let mut rest = Vec::new();
        self.peer.read_to_end(&mut rest).unwrap();
        self.outwards.borrow_mut().receive(&rest);
        for way in [self.inwards, self.outwards] {
            assert_eq!(way.borrow().received, way.borrow().sent);
        }
        assert_eq!(registrations(), (0, 0));
    }
}

#[test]
fn whatever_is_done_with_a_connection_it_carries_what_was_sent() {
    on_every_loop(|| async {
        for seed in 0..SEEDS {
            let named = NamesItsSeed(seed);
            let mut world = World::new(seed).await;
            for _ in 0..STEPS {
                world.step().await;
            }
            world.finish().await;
            drop(named);
        }
    });
}

/// Says which seed it was if the test fails.
struct NamesItsSeed(u64);

impl Drop for NamesItsSeed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("with seed {}", self.0);
        }
    }
}

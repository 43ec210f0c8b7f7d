//! Numbers of descriptors that stand for something else before the loop has heard that the former is gone.

use std::cell::Cell;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use evloop::{AsyncFd, get_running_loop, yield_now};

use super::abroad;
use crate::support::{Woken, in_time, on_every_kind, registrations, settle};

/// Runs a test on loops of each kind. The system gives out the lowest free number, so the next descriptor
/// has the one that was freed last, unless another test of this process was faster: then the test says
/// `None` and begins anew, on another loop.
#[track_caller]
fn on_every_loop(test: impl AsyncFn() -> Option<()>) {
    const ATTEMPTS: usize = 1000;
    on_every_kind(|builder| {
        let luck = (0..ATTEMPTS).any(|_| {
            let mut event_loop = builder.clone().steps_per_look(1).build().unwrap();
            let done = event_loop.run_until_complete(test()).unwrap().is_some();
            assert!(!done || event_loop.handle().registrations() == (0, 0), "what stayed behind");
            done
        });
        assert!(luck, "the number was always taken");
    });
}

/// Two connected sockets, the first with this number; `None` if that is taken.
fn pair_with(number: RawFd) -> Option<(UnixStream, UnixStream)> {
    let mut in_the_way = Vec::new();
    loop {
        let (a, b) = pair();
        match (a.as_raw_fd(), b.as_raw_fd()) {
            (first, _) if first == number => return Some((a, b)),
            (_, second) if second == number => return Some((b, a)),
            (first, second) if first.min(second) > number => return None,
            _ => in_the_way.push((a, b)),
        }
    }
}

fn pair() -> (UnixStream, UnixStream) {
    let (a, b) = UnixStream::pair().unwrap();
    a.set_nonblocking(true).unwrap();
    b.set_nonblocking(true).unwrap();
    (a, b)
}

/// A descriptor that waits, with a waker of its own.
struct Waits {
    fd: AsyncFd<UnixStream>,
    woken: Arc<Woken>,
    peer: UnixStream,
}

impl Waits {
    fn new((ours, peer): (UnixStream, UnixStream)) -> Self {
        let (woken, waker) = Woken::new();
        let mut fd = AsyncFd::new(ours);
        assert!(read(&mut fd, &mut Context::from_waker(&waker)).is_pending());
        Self { fd, woken, peer }
    }

    /// It goes on waiting, is told of what comes, and of nothing else.
    async fn assert_undisturbed(mut self) {
        settle().await;
        assert_eq!(self.woken.times(), 0, "what happened to the former does not reach it");
        assert_eq!(registrations(), (1, 1));
        self.peer.write_all(b"!").unwrap();
        settle().await;
        assert_eq!(self.woken.times(), 1, "it is registered still");
        assert_eq!(in_time(self.fd.read_with(|mut io| io.read(&mut [0; 8]))).await.unwrap(), 1);
    }

    /// Drops it abroad while an event is on its way that the loop has not heard of. Says which number that
    /// has freed, which is still the former's where the loop is concerned.
    fn drop_abroad(self) -> RawFd {
        let Self { fd, mut peer, .. } = self;
        peer.write_all(b"for the former").unwrap();
        let number = fd.as_raw_fd();
        abroad(move || drop(fd));
        number
    }
}

fn read(fd: &mut AsyncFd<UnixStream>, cx: &mut Context<'_>) -> Poll<std::io::Result<usize>> {
    fd.poll_read_with(cx, |mut io| io.read(&mut [0; 8]))
}

#[test]
fn a_number_freed_abroad_and_registered_before_the_mail_is_another_registration() {
    on_every_loop(async || {
        let former = Waits::new(pair());
        let woken = former.woken.clone();
        let waits = Waits::new(pair_with(former.drop_abroad())?);
        assert_eq!((registrations(), woken.times()), ((2, 2), 0), "the mail was not read yet");
        waits.assert_undisturbed().await;
        assert_eq!(woken.times(), 1);
        Some(())
    });
}

#[test]
fn a_number_may_change_hands_several_times_before_the_mail() {
    on_every_loop(async || {
        let mut number = Waits::new(pair()).drop_abroad();
        for _ in 0..3 {
            number = Waits::new(pair_with(number)?).drop_abroad();
        }
        // This one goes at home, and at once.
        drop(Waits::new(pair_with(number)?));
        let waits = Waits::new(pair_with(number)?);
        assert_eq!(registrations(), (5, 5));
        waits.assert_undisturbed().await;
        Some(())
    });
}

#[test]
fn what_was_taken_out_abroad_can_be_registered_again_before_the_mail() {
    on_every_loop(async || {
        let Waits { fd, woken, peer } = Waits::new(pair());
        let again = Waits::new((abroad(move || fd.into_inner()), peer));
        assert_eq!((registrations(), woken.times()), ((2, 2), 0));
        again.assert_undisturbed().await;
        assert_eq!(woken.times(), 1);
        Some(())
    });
}

#[test]
fn a_future_that_began_with_a_former_socket_is_no_future_of_the_next() {
    on_every_loop(async || {
        let (ours, peer) = pair();
        let number = ours.as_raw_fd();
        let former = AsyncFd::new(ours);
        let mut read: Pin<Box<dyn Future<Output = std::io::Result<usize>> + Send>> =
            Box::pin(async move { former.read_with(|mut io| io.read(&mut [0; 8])).await });
        let (woken, waker) = Woken::new();
        assert!(read.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        drop(waker);
        abroad(move || drop((peer, read)));
        Waits::new(pair_with(number)?).assert_undisturbed().await;
        assert_eq!((woken.times(), Arc::strong_count(&woken)), (1, 1));
        Some(())
    });
}

/// A callback that was added for a descriptor: how often it was called, and whether it still exists.
struct Reader {
    calls: Rc<Cell<usize>>,
}

impl Reader {
    fn add(fd: &UnixStream) -> Self {
        let calls = Rc::new(Cell::new(0));
        let counted = calls.clone();
        let reader = move || counted.set(counted.get() + 1);
        get_running_loop().unwrap().add_reader(fd, reader).unwrap();
        Self { calls }
    }

    fn calls(&self) -> usize {
        self.calls.get()
    }

    fn is_dropped(&self) -> bool {
        Rc::strong_count(&self.calls) == 1
    }
}

#[test]
fn a_number_freed_abroad_can_get_a_reader_before_the_mail() {
    on_every_loop(async || {
        let handle = get_running_loop().unwrap();
        let (ours, mut peer) = pair_with(Waits::new(pair()).drop_abroad())?;
        let reader = Reader::add(&ours);
        settle().await;
        assert_eq!((reader.calls(), registrations()), (0, (1, 1)));
        peer.write_all(b"!").unwrap();
        settle().await;
        assert!(reader.calls() > 0);
        assert!(handle.remove_reader(&ours));
        Some(())
    });
}

/// A reader whose descriptor was closed without a word, with an event that was not heard of; and another
/// pair under its number.
fn closed_behind_our_back() -> Option<(Reader, UnixStream, UnixStream)> {
    let (ours, mut peer) = pair();
    let (reader, number) = (Reader::add(&ours), ours.as_raw_fd());
    peer.write_all(b"for the former").unwrap();
    drop(ours);
    let (ours, peer) = pair_with(number)?;
    Some((reader, ours, peer))
}

#[test]
fn a_reader_added_under_the_number_of_a_closed_one_takes_its_place() {
    on_every_loop(async || {
        let handle = get_running_loop().unwrap();
        let (former, ours, mut peer) = closed_behind_our_back()?;
        let reader = Reader::add(&ours);
        assert!(former.is_dropped(), "its descriptor is gone");
        assert_eq!(registrations(), (1, 1));
        settle().await;
        assert_eq!((former.calls(), reader.calls()), (0, 0));
        peer.write_all(b"!").unwrap();
        settle().await;
        assert_eq!(former.calls(), 0);
        assert!(reader.calls() > 0);
        assert!(handle.remove_reader(&ours));
        assert!(!handle.remove_reader(&ours));
        Some(())
    });
}

#[test]
fn a_writer_added_under_the_number_of_a_closed_reader_ends_that_too() {
    on_every_loop(async || {
        let handle = get_running_loop().unwrap();
        let (former, ours, mut peer) = closed_behind_our_back()?;
        let calls = Rc::new(Cell::new(0));
        let counted = calls.clone();
        handle.add_writer(&ours, move || counted.set(counted.get() + 1)).unwrap();
        assert!(former.is_dropped());
        peer.write_all(b"!").unwrap();
        settle().await;
        assert!(former.calls() == 0 && calls.get() > 0);
        assert!(!handle.remove_reader(&ours) && handle.remove_writer(&ours));
        Some(())
    });
}

#[test]
fn a_socket_that_waits_under_the_number_of_a_closed_reader_takes_its_place() {
    on_every_loop(async || {
        let (former, ours, peer) = closed_behind_our_back()?;
        let waits = Waits::new((ours, peer));
        assert!(former.is_dropped());
        assert!(!get_running_loop().unwrap().remove_reader(&waits.fd), "it has no reader");
        waits.assert_undisturbed().await;
        assert_eq!(former.calls(), 0);
        Some(())
    });
}

#[test]
fn removing_by_a_reused_number_ends_the_closed_ones_reader() {
    on_every_loop(async || {
        let handle = get_running_loop().unwrap();
        let (former, ours, _peer) = closed_behind_our_back()?;
        assert!(!handle.remove_writer(&ours));
        assert!(handle.remove_reader(&ours));
        assert!(!handle.remove_reader(&ours));
        assert!(former.is_dropped());
        Some(())
    });
}

#[test]
fn a_reader_that_is_due_is_not_called_for_the_next_descriptor_of_its_number() {
    on_every_loop(async || {
        let (ours, mut peer) = pair();
        let (former, number) = (Reader::add(&ours), ours.as_raw_fd());
        peer.write_all(b"!").unwrap();
        // Behind this in the batch that begins now stands the reader.
        yield_now().await;
        drop(ours);
        let (ours, mut peer) = pair_with(number)?;
        let reader = Reader::add(&ours);
        yield_now().await;
        assert_eq!((former.calls(), reader.calls()), (0, 0));
        assert!(former.is_dropped());
        peer.write_all(b"!").unwrap();
        settle().await;
        assert!(reader.calls() > 0);
        assert!(get_running_loop().unwrap().remove_reader(&ours));
        Some(())
    });
}

#[test]
fn a_duplicate_of_a_closed_descriptor_reports_to_nobody() {
    on_every_loop(async || {
        let (ours, mut peer) = pair();
        let (former, number) = (Reader::add(&ours), ours.as_raw_fd());
        // As long as a duplicate is open, the system goes on reporting, under the former's key.
        let duplicate = ours.try_clone().unwrap();
        drop(ours);
        let waits = Waits::new(pair_with(number)?);
        assert!(former.is_dropped());
        // One more, in the place that the former had in the loop.
        let innocent = Waits::new(pair());
        peer.write_all(b"nobody reads this").unwrap();
        settle().await;
        assert_eq!((former.calls(), innocent.woken.times()), (0, 0));
        drop(innocent);
        waits.assert_undisturbed().await;
        drop(duplicate);
        Some(())
    });
}

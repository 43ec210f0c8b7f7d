//! The poller and its registrations, with real descriptors: both waits, all modes.
#![cfg(unix)]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;

use super::*;

const READ: Interest = Interest::of(Direction::Read);
const WRITE: Interest = Interest::of(Direction::Write);
/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(10);

struct Stage {
    shared: SharedPoller,
    reactor: Reactor,
}

impl Stage {
    fn new(portable: bool, mode: PollMode) -> Self {
        Self { shared: SharedPoller::new(portable, Some(mode)).unwrap(), reactor: Reactor::new() }
    }

    /// What there is now, of each descriptor: some systems tell the directions one by one.
    fn events(&self) -> Vec<(usize, Interest)> {
        let mut all = BTreeMap::new();
        for event in self.all(Duration::ZERO) {
            let ready = all.entry(event.key).or_insert(Interest::NONE);
            *ready = ready.with(event.ready);
        }
        all.into_iter().collect()
    }

    fn all(&self, timeout: Duration) -> Vec<Event> {
        let mut events = Vec::new();
        self.reactor.wait(&self.shared, Some(timeout), |event| events.push(event)).unwrap();
        events
    }

    fn add(&self, fd: &UnixStream, key: usize, interest: Interest) {
        self.shared.add_fd(fd.as_fd(), key, interest, self.shared.mode()).unwrap();
    }

    fn modify(&self, fd: &UnixStream, key: usize, interest: Interest) -> io::Result<()> {
        self.shared.modify(fd.as_raw_fd(), key, interest, self.shared.mode())
    }
}

/// Both waits.
fn on_each(modes: &[PollMode], test: impl Fn(&Stage)) {
    for portable in [false, true] {
        for &mode in modes {
            let stage = Stage::new(portable, mode);
            if stage.shared.mode() == mode {
                test(&stage);
            }
        }
    }
}

const MODES: [PollMode; 3] = [PollMode::Edge, PollMode::Level, PollMode::Oneshot];

fn pair() -> (UnixStream, UnixStream) {
    UnixStream::pair().unwrap()
}

#[test]
fn an_event_tells_the_key_and_the_direction() {
    on_each(&MODES, |stage| {
        let ((one, mut peer), (other, _peer)) = (pair(), pair());
        stage.add(&one, 7, READ);
        stage.add(&other, usize::MAX / 2, WRITE);
        assert_eq!(stage.events(), [(usize::MAX / 2, WRITE)]);
        stage.shared.delete(other.as_raw_fd()).unwrap();
        peer.write_all(b"x").unwrap();
        assert_eq!(stage.events(), [(7, READ)]);
    });
}

#[test]
fn what_is_watched_for_can_be_changed_and_the_key_with_it() {
    on_each(&MODES, |stage| {
        let (one, mut peer) = pair();
        stage.add(&one, 1, READ);
        assert_eq!(stage.events(), []);
        stage.modify(&one, 2, WRITE).unwrap();
        assert_eq!(stage.events(), [(2, WRITE)]);
        peer.write_all(b"x").unwrap();
        stage.modify(&one, 3, Interest::BOTH).unwrap();
        assert_eq!(stage.events(), [(3, Interest::BOTH)]);
    });
}

#[test]
fn in_level_mode_an_event_comes_again_and_again() {
    on_each(&[PollMode::Level], |stage| {
        let (mut one, mut peer) = pair();
        stage.add(&one, 1, READ);
        peer.write_all(b"x").unwrap();
        for _ in 0..3 {
            assert_eq!(stage.events(), [(1, READ)]);
        }
        one.read_exact(&mut [0]).unwrap();
        assert_eq!(stage.events(), []);
    });
}

#[test]
fn in_edge_mode_each_change_is_told_once() {
    on_each(&[PollMode::Edge], |stage| {
        let (one, mut peer) = pair();
        stage.add(&one, 1, READ);
        for _ in 0..3 {
            peer.write_all(b"x").unwrap();
            assert_eq!(stage.events(), [(1, READ)], "though what came before is still there");
            assert_eq!(stage.events(), []);
        }
    });
}

/// Which is why nothing is lost between an attempt that found nothing and the registration.
#[test]
fn what_is_there_already_is_told_to_who_registers() {
    on_each(&MODES, |stage| {
        let (one, mut peer) = pair();
        peer.write_all(b"x").unwrap();
        stage.add(&one, 1, Interest::BOTH);
        assert_eq!(stage.events(), [(1, Interest::BOTH)]);
    });
}

#[test]
fn in_oneshot_mode_an_event_ends_the_watching_until_it_is_renewed() {
    on_each(&[PollMode::Oneshot], |stage| {
        let (one, mut peer) = pair();
        stage.add(&one, 1, READ);
        for _ in 0..3 {
            peer.write_all(b"x").unwrap();
            assert_eq!(stage.events(), [(1, READ)]);
            peer.write_all(b"x").unwrap();
            assert_eq!(stage.events(), []);
            stage.modify(&one, 1, READ).unwrap();
        }
    });
}

/// The system tells of it asked or not; asked for nothing it must not go on for ever.
#[test]
fn a_hang_up_is_told_once_at_most_where_nothing_is_asked() {
    on_each(&MODES, |stage| {
        let (one, peer) = pair();
        stage.add(&one, 1, READ);
        stage.modify(&one, 1, Interest::NONE).unwrap();
        drop(peer);
        let told = stage.events().len();
        assert!(told <= 1);
        assert_eq!(stage.events(), []);
        stage.modify(&one, 1, READ).unwrap();
        assert!(stage.events()[0].1.contains(Direction::Read), "who asks again is told");
    });
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn a_hang_up_makes_both_directions_ready() {
    on_each(&MODES, |stage| {
        let (one, peer) = pair();
        stage.add(&one, 1, READ);
        drop(peer);
        assert_eq!(stage.events(), [(1, Interest::BOTH)]);
    });
}

#[test]
fn what_is_registered_already_and_what_cannot_be_watched_is_refused() {
    on_each(&MODES, |stage| {
        let (one, mut peer) = pair();
        stage.add(&one, 1, READ);
        let again = stage.shared.add_fd(one.as_fd(), 2, READ, stage.shared.mode());
        assert_eq!(again.unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        peer.write_all(b"x").unwrap();
        assert_eq!(stage.events(), [(1, READ)], "the first goes on");
        let (other, _peer) = pair();
        assert_eq!(stage.modify(&other, 3, READ).unwrap_err().kind(), io::ErrorKind::NotFound);
    });
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn a_regular_file_is_refused() {
    on_each(&MODES, |stage| {
        let file = std::fs::File::open(std::env::current_exe().unwrap()).unwrap();
        let refused = stage.shared.add_fd(file.as_fd(), 1, READ, stage.shared.mode());
        assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    });
}

/// The number of a descriptor that was closed behind our back: nobody's, or somebody's who is not registered.
#[test]
fn changes_by_a_number_that_is_not_registered_are_errors_and_harm_nobody() {
    on_each(&MODES, |stage| {
        let ((one, mut peer), (gone, _peer)) = (pair(), pair());
        stage.add(&one, 1, READ);
        stage.add(&gone, 2, READ);
        let number = gone.as_raw_fd();
        drop(gone);
        // Another test may have opened something under that number by now: it is registered elsewhere, if at all.
        assert!(stage.shared.modify(number, 2, READ, stage.shared.mode()).is_err());
        assert!(stage.shared.delete(number).is_err());
        let (unknown, _peer) = pair();
        assert!(stage.modify(&unknown, 2, READ).is_err());
        assert!(stage.shared.delete(unknown.as_raw_fd()).is_err());
        peer.write_all(b"x").unwrap();
        assert_eq!(stage.events(), [(1, READ)]);
        stage.shared.delete(one.as_raw_fd()).unwrap();
        assert!(stage.shared.delete(one.as_raw_fd()).is_err(), "twice");
        peer.write_all(b"x").unwrap();
        assert_eq!(stage.events(), []);
    });
}

#[test]
fn a_ring_ends_the_wait_that_comes_and_the_one_that_is() {
    on_each(&MODES[..1], |stage| {
        stage.shared.ring();
        stage.shared.ring();
        assert!(stage.all(PATIENCE).is_empty());
        let shared = &stage.shared;
        std::thread::scope(|threads| {
            threads.spawn(|| shared.ring());
            let mut events = 0;
            stage.reactor.wait(shared, None, |_| events += 1).unwrap();
            assert_eq!(events, 0, "it is nobody's event");
        });
    });
}

#[test]
fn a_wish_for_a_mode_is_granted_and_without_one_it_is_the_best() {
    for portable in [false, true] {
        assert_eq!(SharedPoller::new(portable, Some(PollMode::Oneshot)).unwrap().mode(), PollMode::Oneshot);
        let default = SharedPoller::new(portable, None).unwrap();
        if cfg!(any(target_os = "linux", target_os = "android")) {
            assert_eq!((default.mode(), default.repeating_mode()), (PollMode::Edge, PollMode::Level));
        }
    }
}

/// What the direct wait asks the kernel for beyond what `polling` does.
#[cfg(any(target_os = "linux", target_os = "android"))]
mod direct_wait {
    use std::net::{Shutdown, TcpListener, TcpStream};

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use socket2::SockRef;

    use super::*;

    fn connection() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let one = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (other, _) = listener.accept().unwrap();
        one.set_nonblocking(true).unwrap();
        other.set_nodelay(true).unwrap();
        (one, other)
    }

    /// Until that has arrived.
    fn await_arrival(stream: &TcpStream, what: PollFlags) {
        let patience = Timespec::try_from(PATIENCE).unwrap();
        loop {
            let mut fds = [PollFd::new(stream, what)];
            assert_eq!(poll(&mut fds, Some(&patience)).unwrap(), 1, "{what:?} does not come");
            if fds[0].revents().contains(what) {
                return;
            }
        }
    }

    fn registered(mode: PollMode, stream: &TcpStream) -> Stage {
        let stage = Stage::new(false, mode);
        stage.shared.add_fd(stream.as_fd(), 1, READ, mode).unwrap();
        stage
    }

    fn one(stage: &Stage) -> (Interest, bool) {
        let events = stage.all(PATIENCE);
        assert_eq!(events.len(), 1);
        (events[0].ready, events[0].split)
    }

    #[test]
    fn data_is_told_apart_from_data_and_the_end_in_one_event() {
        let (stream, mut peer) = connection();
        let stage = registered(PollMode::Edge, &stream);
        peer.write_all(b"data").unwrap();
        assert_eq!(one(&stage), (READ, false));
        peer.write_all(b"data").unwrap();
        peer.shutdown(Shutdown::Write).unwrap();
        await_arrival(&stream, PollFlags::RDHUP);
        assert_eq!(one(&stage), (READ, true), "a read that comes up short is not the end");
        assert!(stage.events().is_empty());
    }

    #[test]
    fn the_end_alone_is_something_to_read() {
        for mode in MODES {
            let (stream, peer) = connection();
            let stage = registered(mode, &stream);
            peer.shutdown(Shutdown::Write).unwrap();
            await_arrival(&stream, PollFlags::RDHUP);
            assert!(one(&stage).0.contains(Direction::Read), "{mode:?}");
        }
    }

    #[test]
    fn a_reset_is_something_to_read_and_to_write() {
        for mode in MODES {
            let (stream, peer) = connection();
            let stage = registered(mode, &stream);
            SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
            drop(peer);
            await_arrival(&stream, PollFlags::HUP);
            assert_eq!(one(&stage), (Interest::BOTH, true), "{mode:?}");
        }
    }

    /// It cannot be read, so it must neither wake anybody nor come back for ever.
    #[test]
    fn an_urgent_byte_alone_makes_nothing_ready() {
        for mode in MODES {
            let (stream, peer) = connection();
            let stage = registered(mode, &stream);
            SockRef::from(&peer).send_out_of_band(b"!").unwrap();
            await_arrival(&stream, PollFlags::PRI);
            let ready = stage.events();
            assert!(ready.iter().all(|(_, ready)| ready.is_empty()), "{mode:?}: {ready:?}");
            assert_eq!(ready.len(), usize::from(mode == PollMode::Edge), "an edge tells where reads stop");
            assert!(stage.events().is_empty());
        }
    }

    /// A read stops in front of the urgent byte, with more behind it: no second edge tells of that.
    #[test]
    fn data_around_an_urgent_byte_is_told_apart_from_data() {
        let (stream, mut peer) = connection();
        let stage = registered(PollMode::Edge, &stream);
        peer.write_all(b"before").unwrap();
        SockRef::from(&peer).send_out_of_band(b"!").unwrap();
        peer.write_all(b"behind").unwrap();
        await_arrival(&stream, PollFlags::PRI);
        await_arrival(&stream, PollFlags::IN);
        assert_eq!(one(&stage), (READ, true));
        let mut buffer = [0; 64];
        assert_eq!((&stream).read(&mut buffer).unwrap(), "before".len());
    }

    /// `polling` does not tell them apart.
    #[test]
    fn the_portable_wait_says_of_each_event_that_it_may_be_an_end() {
        let (stream, mut peer) = connection();
        let stage = Stage::new(true, PollMode::Edge);
        stage.shared.add_fd(stream.as_fd(), 1, READ, PollMode::Edge).unwrap();
        peer.write_all(b"data").unwrap();
        assert_eq!(one(&stage), (READ, true));
    }
}

/// Where a descriptor is registered, in these tests: it notes when it goes, and whether the descriptor was
/// registered still.
struct Place {
    poller: Rc<SharedPoller>,
    raw: RawSource,
    gone: Rc<RefCell<Vec<bool>>>,
}

impl AsRef<SharedPoller> for Place {
    fn as_ref(&self) -> &SharedPoller {
        &self.poller
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let still = self.poller.modify(self.raw, 1, READ, self.poller.mode());
        self.gone.borrow_mut().push(still.is_ok());
    }
}

/// Registers itself by way of [`Watched`].
struct Registered {
    watched: Watched<UnixStream, Place>,
    peer: UnixStream,
    poller: Rc<SharedPoller>,
    reactor: Reactor,
    gone: Rc<RefCell<Vec<bool>>>,
}

impl Registered {
    fn new() -> Self {
        let (one, peer) = pair();
        let this = Self {
            watched: Watched::new(one),
            peer,
            poller: Rc::new(SharedPoller::new(false, Some(PollMode::Level)).unwrap()),
            reactor: Reactor::new(),
            gone: Rc::default(),
        };
        assert!(this.watched.place().is_none());
        this.bind(&this.poller).unwrap();
        assert!(this.watched.place().is_some());
        this
    }

    fn bind(&self, poller: &Rc<SharedPoller>) -> io::Result<()> {
        let place = Place { poller: poller.clone(), raw: self.watched.raw(), gone: self.gone.clone() };
        self.watched.bind(place, 1, READ, PollMode::Level)
    }

    fn keys(reactor: &Reactor, poller: &SharedPoller) -> Vec<usize> {
        let keys = RefCell::new(Vec::new());
        reactor.wait(poller, Some(Duration::ZERO), |event| keys.borrow_mut().push(event.key)).unwrap();
        keys.take()
    }
}

#[test]
fn a_descriptor_leaves_the_poller_before_it_is_closed_and_its_place_goes_in_between() {
    let Registered { watched, mut peer, poller, reactor, gone } = Registered::new();
    peer.write_all(b"x").unwrap();
    assert_eq!(Registered::keys(&reactor, &poller), [1]);
    // Keeps what is registered alive: only the poller can forget it.
    let _twin = watched.io().try_clone().unwrap();
    drop(watched);
    assert_eq!(*gone.borrow(), [false], "its registration had ended");
    assert_eq!(Registered::keys(&reactor, &poller), []);
}

#[test]
fn a_descriptor_comes_out_open_and_registered_nowhere() {
    let Registered { watched, mut peer, poller, reactor, gone } = Registered::new();
    let mut io = watched.into_io();
    assert_eq!(*gone.borrow(), [false]);
    peer.write_all(b"x").unwrap();
    assert_eq!(Registered::keys(&reactor, &poller), []);
    io.read_exact(&mut [0]).unwrap();
}

#[test]
fn a_registration_that_comes_too_late_leaves_no_trace() {
    let mut this = Registered::new();
    let other = Rc::new(SharedPoller::new(false, Some(PollMode::Level)).unwrap());
    assert_eq!(this.bind(&other).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(*this.gone.borrow(), [false], "it had left the other poller again");
    this.peer.write_all(b"x").unwrap();
    assert_eq!(Registered::keys(&this.reactor, &other), []);
    assert_eq!(Registered::keys(&this.reactor, &this.poller), [1]);
    let place = this.watched.unbind();
    assert!(place.is_some() && this.watched.unbind().is_none());
    assert_eq!(Registered::keys(&this.reactor, &this.poller), []);
    this.bind(&other).unwrap();
    assert_eq!(Registered::keys(&this.reactor, &other), [1], "another may have it now");
}

#[test]
fn a_registration_that_the_system_refuses_is_none() {
    let mut this = Registered::new();
    // The same number again, by somebody who has borrowed it.
    let second = Watched::<_, Place>::new(this.watched.io().as_fd());
    let place = Place { poller: this.poller.clone(), raw: second.raw(), gone: Rc::default() };
    let refused = second.bind(place, 2, READ, PollMode::Level);
    assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    assert!(second.place().is_none());
    drop(second);
    this.peer.write_all(b"x").unwrap();
    assert_eq!(Registered::keys(&this.reactor, &this.poller), [1], "the first goes on");
}

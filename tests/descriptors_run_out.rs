//! What a loop does when the process has no descriptor left: nothing spins, nobody who has a connection notices, it
//! is reported, and it passes.
//!
//! The limit is the process's, so it is lowered in a binary of its own, whose tests take turns. A test takes all
//! descriptors that are left by opening `/dev/null`, and gives back as many as it wants to. The pause that a
//! listener makes is of real time; so are these tests.

#![cfg(unix)]

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::future::poll_fn;
use std::io;
use std::iter;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use evloop::net::{TcpListener, TcpStream};
use evloop::time::{millis, secs};
use evloop::{EventLoop, PollMode, RunError, create_task, get_running_loop, now, sleep, wait_for, yield_now};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// As many descriptors as the process may have while a test runs.
const DESCRIPTORS: u64 = 128;

static TURNS: Mutex<()> = Mutex::new(());

/// A test's turn, with the lower limit.
struct Turn {
    before: Rlimit,
    _turn: MutexGuard<'static, ()>,
}

impl Turn {
    fn begin() -> Self {
        let turn = TURNS.lock().unwrap_or_else(PoisonError::into_inner);
        let before = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: Some(DESCRIPTORS), ..before }).unwrap();
        Self { before, _turn: turn }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        setrlimit(Resource::Nofile, self.before).unwrap();
    }
}

/// Takes all descriptors that are left.
#[must_use]
fn take_all() -> Vec<File> {
    let taken: Vec<_> = iter::from_fn(|| File::open("/dev/null").ok()).collect();
    assert!(!taken.is_empty() && taken.len() < DESCRIPTORS as usize);
    taken
}

/// A server of echoes.
struct Server {
    address: SocketAddr,
    accepted: Rc<Cell<usize>>,
}

impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, accepted) = (listener.local_addr().unwrap(), Rc::new(Cell::new(0)));
        let count = accepted.clone();
        create_task(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                count.set(count.get() + 1);
                create_task(echo(stream)).detach();
            }
        })
        .detach();
        Self { address, accepted }
    }

    /// The same, by the method for futures written by hand.
    async fn start_by_hand() -> Self {
        let mut listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, accepted) = (listener.local_addr().unwrap(), Rc::new(Cell::new(0)));
        let count = accepted.clone();
        create_task(async move {
            loop {
                let (stream, _) = poll_fn(|cx| listener.poll_accept(cx)).await.unwrap();
                count.set(count.get() + 1);
                create_task(echo(stream)).detach();
            }
        })
        .detach();
        Self { address, accepted }
    }

    /// A connection in the line of those that wait to be accepted: the loop does not get to accept it
    /// before the caller awaits something.
    fn line_up(&self) -> TcpStream {
        TcpStream::from_std(std::net::TcpStream::connect(self.address).unwrap()).unwrap()
    }
}

async fn echo(stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; 100];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            count => stream.write_all(&buffer[..count]).await?,
        }
    }
}

/// Whether the server on the other side answers.
async fn is_served(stream: &TcpStream, within: Duration) -> bool {
    let exchange = async {
        let mut answer = [0; 4];
        stream.write_all(b"ping").await?;
        stream.read_exact(&mut answer).await?;
        io::Result::Ok(answer == *b"ping")
    };
    matches!(wait_for(exchange, within).await, Ok(Ok(true)))
}

/// Whether the connection is open, and nothing has come.
fn waits(stream: &TcpStream) -> bool {
    matches!(stream.try_peek(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}

/// How many iterations the loop makes while nobody has anything to do.
async fn idle_iterations(time: Duration) -> u64 {
    let event_loop = get_running_loop().unwrap();
    let before = event_loop.iterations();
    sleep(time).await;
    event_loop.iterations() - before
}

/// The reports that the loop's exception handler gets: errors, and their texts.
fn reports() -> Rc<RefCell<Vec<String>>> {
    let reports = Rc::new(RefCell::new(Vec::new()));
    get_running_loop().unwrap().set_exception_handler({
        let reports = reports.clone();
        move |context| {
            let error = context.error().expect("it is an error, not a panic");
            let error = error.downcast_ref::<io::Error>().expect("it is the system's");
            assert_eq!(Errno::from_io_error(error), Some(Errno::MFILE), "{context}");
            reports.borrow_mut().push(context.to_string());
        }
    });
    reports
}

#[test]
fn who_cannot_be_accepted_is_turned_away_and_the_others_are_served() {
    let _turn = Turn::begin();
    evloop::run(async {
        let reports = reports();
        let (server, by_hand) = (Server::start().await, Server::start_by_hand().await);
        let (one, other) = (server.line_up(), by_hand.line_up());
        assert!(is_served(&one, secs(1)).await && is_served(&other, secs(1)).await);

        let line: Vec<_> = (0..6).map(|n| if n < 3 { server.line_up() } else { by_hand.line_up() }).collect();
        let taken = take_all();
        let began = now();
        let iterations = idle_iterations(millis(300)).await;
        assert!(iterations < 10, "{iterations} iterations in 300 ms in which nothing can be done");
        for _ in 0..10 {
            assert!(is_served(&one, secs(1)).await && is_served(&other, secs(1)).await);
        }
        assert!(now() - began < millis(900), "too slow to see them wait");
        assert!(line.iter().all(waits), "they are turned away after a second, not before");

        for stream in &line {
            let end = wait_for(stream.read(&mut [0]), secs(3)).await;
            assert_eq!(end.expect("nobody waits in silence").unwrap(), 0);
        }
        let waited = now() - began;
        assert!(waited >= secs(1) && waited < millis(1900), "turned away after {waited:?}");
        let iterations = idle_iterations(millis(300)).await;
        assert!(iterations < 10, "{iterations} iterations in 300 ms in which nothing can be done");
        assert!(is_served(&one, secs(1)).await && is_served(&other, secs(1)).await);
        assert_eq!((server.accepted.get(), by_hand.accepted.get()), (1, 1));
        assert_eq!(reports.borrow().len(), 1, "{reports:?}");

        // There are descriptors again, and who comes now is served: when the pause is over, and then at once.
        drop(taken);
        let (late, late_by_hand) = (server.line_up(), by_hand.line_up());
        assert!(is_served(&late, millis(1900)).await && is_served(&late_by_hand, millis(1900)).await);
        let (later, later_by_hand) = (server.line_up(), by_hand.line_up());
        assert!(is_served(&later, millis(500)).await && is_served(&later_by_hand, millis(500)).await);
        assert_eq!(reports.borrow().len(), 1, "{reports:?}");

        // The next shortage is news.
        let _line = [server.line_up(), by_hand.line_up()];
        let _taken = take_all();
        sleep(millis(50)).await;
        assert_eq!(reports.borrow().len(), 2, "{reports:?}");
    });
}

#[test]
fn who_waits_less_than_a_second_is_served() {
    let _turn = Turn::begin();
    evloop::run(async {
        let reports = reports();
        let server = Server::start().await;
        let line: Vec<_> = (0..3).map(|_| server.line_up()).collect();
        let taken = take_all();
        sleep(millis(300)).await;
        assert!(line.iter().all(waits));
        drop(taken);
        for stream in &line {
            assert!(is_served(stream, millis(1500)).await);
        }
        assert_eq!((reports.borrow().len(), server.accepted.get()), (1, 3));
    });
}

#[test]
fn a_server_that_has_accepted_nobody_yet_turns_them_away_as_well() {
    let _turn = Turn::begin();
    evloop::run(async {
        let reports = reports();
        let server = Server::start().await;
        yield_now().await;
        yield_now().await; // by now it waits
        let line = [server.line_up(), server.line_up()];
        let _taken = take_all();
        for stream in &line {
            let end = wait_for(stream.read(&mut [0]), secs(3)).await;
            assert_eq!(end.expect("nobody waits in silence").unwrap(), 0);
        }
        assert_eq!((reports.borrow().len(), server.accepted.get()), (1, 0));
    });
}

#[test]
fn an_accept_that_is_given_up_and_begun_anew_turns_them_away_as_well() {
    let _turn = Turn::begin();
    evloop::run(async {
        let reports = reports();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Server { address: listener.local_addr().unwrap(), accepted: Rc::default() };
        let accepted = server.accepted.clone();
        // As a server does that looks at something else now and then.
        create_task(async move {
            loop {
                if let Ok(stream) = wait_for(listener.accept(), millis(200)).await {
                    accepted.set(accepted.get() + 1);
                    create_task(echo(stream.unwrap().0)).detach();
                }
            }
        })
        .detach();
        let one = server.line_up();
        assert!(is_served(&one, secs(1)).await);
        let line = server.line_up();
        let _taken = take_all();
        let end = wait_for(line.read(&mut [0]), secs(3)).await;
        assert_eq!(end.expect("nobody waits in silence").unwrap(), 0);
        assert_eq!((reports.borrow().len(), server.accepted.get()), (1, 1));
    });
}

#[test]
fn no_loop_spins_while_it_cannot_accept() {
    let _turn = Turn::begin();
    for portable in [false, true] {
        for mode in [PollMode::Edge, PollMode::Level, PollMode::Oneshot] {
            let builder = EventLoop::builder().portable_wait(portable).poll_mode(mode);
            let mut event_loop = builder.build().unwrap();
            let test = async {
                let reports = reports();
                let server = Server::start().await;
                let one = server.line_up();
                assert!(is_served(&one, secs(1)).await);
                let _line = [server.line_up(), server.line_up()];
                let _taken = take_all();
                let iterations = idle_iterations(millis(100)).await;
                assert!(
                    iterations < 10,
                    "{iterations} iterations in 100 ms ({mode:?}, portable: {portable})"
                );
                assert_eq!((reports.borrow().len(), server.accepted.get()), (1, 1));
            };
            event_loop.run_until_complete(test).unwrap();
        }
    }
}

#[test]
fn without_descriptors_new_things_are_errors() {
    let _turn = Turn::begin();
    evloop::run(async {
        let taken = take_all();
        let is_shortage = |error: io::Error| Errno::from_io_error(&error) == Some(Errno::MFILE);
        assert!(TcpStream::connect("127.0.0.1:1").await.is_err_and(is_shortage));
        assert!(TcpListener::bind("127.0.0.1:0").await.is_err_and(is_shortage));
        drop(taken);
        assert!(TcpListener::bind("127.0.0.1:0").await.is_ok());
    });
    let taken = take_all();
    assert!(matches!(evloop::try_run(async {}), Err(RunError::Io(_))));
    drop(taken);
    assert!(evloop::try_run(async {}).is_ok());
}

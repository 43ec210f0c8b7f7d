//! `graceful_shutdown`, with a real Ctrl-C and real clients.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::ExitStatus;

use rustix::process::{Pid, Signal, kill_process};

use super::servers::{Server, rest};

/// A client that has sent its requests.
struct Client(BufReader<TcpStream>);

impl Client {
    fn of(server: &Server, requests: &[u8]) -> Self {
        let mut stream = server.connect();
        stream.write_all(requests).unwrap();
        Self(BufReader::new(stream))
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("an answer");
        line
    }

    /// All that still comes.
    fn rest(mut self) -> String {
        let mut rest = String::new();
        self.0.read_to_string(&mut rest).expect("answers and their end");
        rest
    }
}

fn ctrl_c(server: &Server) {
    let pid = i32::try_from(server.child.id()).ok().and_then(Pid::from_raw).expect("a process");
    kill_process(pid, Signal::INT).expect("it runs");
}

/// What the server printed since it began to listen, and how it ended.
fn end(server: &mut Server) -> (String, ExitStatus) {
    let mut printed = String::new();
    server.child.stdout.as_mut().expect("it is piped").read_to_string(&mut printed).unwrap();
    (printed, server.child.wait().unwrap())
}

#[test]
fn graceful_shutdown_finishes_requests_and_says_goodbye() {
    let mut server = Server::start("graceful_shutdown", &["0.3", "20"]);
    let mut idle = Client::of(&server, b"idle\n");
    assert_eq!(idle.line(), "IDLE\n");
    let mut busy = Client::of(&server, b"one\ntwo\nthree\n");
    assert_eq!(busy.line(), "ONE\n");
    // The second request was begun in the step that answered the first one.
    ctrl_c(&server);
    assert_eq!(idle.rest(), "goodbye\n");
    assert_eq!(busy.rest(), "TWO\ngoodbye\n", "it is finished, and the third is not begun");
    let (printed, status) = end(&mut server);
    assert_eq!(printed, "ending, 2 clients\nall clients have been told\n");
    assert!(status.success());
    let refused = TcpStream::connect(server.address).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn graceful_shutdown_has_a_deadline() {
    let mut server = Server::start("graceful_shutdown", &["3600", "0.1"]);
    let busy = Client::of(&server, b"endless\n");
    // Whoever ends is answered by the end of the connection. That came after the request, so the request was read.
    let ends = server.connect();
    ends.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest(ends), "");
    ctrl_c(&server);
    assert_eq!(busy.rest(), "", "no answer, and no goodbye either");
    let (printed, status) = end(&mut server);
    assert_eq!(printed, "ending, 1 clients\n");
    assert_eq!(status.code(), Some(1));
}

#[test]
fn graceful_shutdown_without_clients_ends_at_once() {
    let mut server = Server::start("graceful_shutdown", &[]);
    ctrl_c(&server);
    let (printed, status) = end(&mut server);
    assert_eq!(printed, "ending, 0 clients\nall clients have been told\n", "{status}");
}

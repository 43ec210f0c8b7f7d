//! The programs with sockets, from outside: real processes on the loopback device, and clients that know nothing of
//! evloop. Only where the borders of packets matter, the server runs in the test, because there the client can see to
//! it that each packet was read before it sends the next.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use evloop::time::{millis, secs};
use evloop::{EventLoop, create_task, now, yield_now};
use socket2::SockRef;

use super::latencies::Latencies;
use super::{binary, hello_server, start, stderr, stdout};

/// Patience with another process: no test takes that long, but a failing one ends.
const PATIENCE: Duration = secs(20);

/// A server in a process of its own, which ends with this.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    pub(crate) fn start(name: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(binary(name));
        command.arg("127.0.0.1:0").args(arguments).stdin(Stdio::null()).stdout(Stdio::piped());
        let child = command.spawn().expect("an example starts");
        let mut line = String::new();
        // From here on it is ended, whatever else happens.
        let mut server = Server { child, address: ([127, 0, 0, 1], 0).into() };
        child_output(&mut server.child).read_line(&mut line).expect("it prints text");
        let address = line.trim_end().strip_prefix("listening on ");
        server.address = address.unwrap_or_else(|| panic!("it printed `{line}`")).parse().unwrap();
        server
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("the server listens");
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Says something, and returns the answer.
    fn ask(&self, request: &[u8]) -> String {
        let mut stream = self.connect();
        stream.write_all(request).unwrap();
        rest(stream)
    }

    fn is_alive(&mut self) -> bool {
        self.child.try_wait().expect("it is our child").is_none()
    }

    /// How many descriptors it has open; 0 where that cannot be known.
    fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).map_or(0, Iterator::count)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn child_output(child: &mut Child) -> impl BufRead {
    BufReader::new(child.stdout.as_mut().expect("it is piped"))
}

/// All that comes up to the end of the stream.
pub(crate) fn rest(mut stream: TcpStream) -> String {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer and its end");
    answer
}

#[test]
fn hello_server_minds_no_borders_of_packets() {
    /// What the server answers to these packets, each of which it has read before the next is sent.
    async fn answer(address: SocketAddr, packets: &[&[u8]]) -> String {
        let stream = evloop::net::TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        for packet in packets {
            stream.write_all(packet).await.unwrap();
            // The loop looks at its sockets once per iteration: accepting and reading take a few.
            for _ in 0..8 {
                yield_now().await;
            }
        }
        let mut answer = [0; 100];
        let mut length = 0;
        loop {
            match stream.read(&mut answer[length..]).await.unwrap() {
                0 => break,
                count => length += count,
            }
        }
        String::from_utf8(answer[..length].to_vec()).unwrap()
    }

    let mut event_loop = EventLoop::builder().steps_per_look(1).build().unwrap();
    let test = async {
        let listener = evloop::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let limits = hello_server::Limits { silence: PATIENCE, total: PATIENCE };
        create_task(hello_server::serve(listener, limits)).detach();
        for request in [&b"Ann\n\n"[..], b"Ann\r\n\r\n", b"Ann\r\n\n", b"Ann\n\r\n"] {
            for first in 0..request.len() {
                for second in first..request.len() {
                    let packets = [&request[..first], &request[first..second], &request[second..]];
                    assert_eq!(answer(address, &packets).await, "Hello Ann", "{packets:?}");
                }
            }
            let bytes: Vec<_> = request.chunks(1).collect();
            assert_eq!(answer(address, &bytes).await, "Hello Ann");
        }
    };
    event_loop.run_until_complete(test).unwrap();
}

#[test]
fn hello_server_greets_by_the_first_empty_line() {
    let server = Server::start("hello_server", &[]);
    assert_eq!(server.ask(b"Ann\n\n"), "Hello Ann");
    assert_eq!(server.ask(b"Ann\n\nBob\n\n"), "Hello Ann");
    assert_eq!(server.ask(b"Ann\nLee\r\n\r\n"), "Hello Ann\nLee");
    assert_eq!(server.ask(b"\nAnn\n\n"), "Hello \nAnn", "a line end at the beginning is not an empty line");
    assert_eq!(server.ask(b"\n\n"), "Hello ");
    assert_eq!(server.ask("Ænne\n\n".as_bytes()), "Hello Ænne");
}

#[test]
fn hello_server_greets_names_up_to_its_limit() {
    let server = Server::start("hello_server", &[]);
    for end in ["\n\n", "\r\n\r\n"] {
        let longest = "x".repeat(1024);
        assert_eq!(server.ask(format!("{longest}{end}").as_bytes()), format!("Hello {longest}"));
        assert_eq!(server.ask(format!("{longest}x{end}").as_bytes()), "Sorry, that name is too long\n");
    }
    // The answer arrives although the client is still talking.
    assert_eq!(server.ask(&vec![b'x'; 5_000_000]), "Sorry, that name is too long\n");
}

#[test]
fn hello_server_does_not_greet_half_a_name() {
    let server = Server::start("hello_server", &[]);
    for half in ["", "An", "Ann\n", "Ann\r\n\r"] {
        let mut stream = server.connect();
        stream.write_all(half.as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(rest(stream), "", "{half:?}");
    }
    // But one that has sent all and ended is greeted.
    let mut stream = server.connect();
    stream.write_all(b"Ann\n\n").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest(stream), "Hello Ann");
}

#[test]
fn hello_server_greets_500_at_once() {
    let server = Server::start("hello_server", &[]);
    let mut clients: Vec<_> = (0..500).map(|_| server.connect()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        writeln!(client, "client {number}").unwrap();
    }
    for client in &mut clients {
        client.write_all(b"\n").unwrap();
    }
    for (number, client) in clients.into_iter().enumerate() {
        assert_eq!(rest(client), format!("Hello client {number}"));
    }
}

#[test]
fn hello_server_waits_neither_for_the_silent_nor_for_the_slow() {
    let (silence, total) = (millis(500), millis(900));
    let server = Server::start("hello_server", &["0.5", "0.9"]);
    let began = now();
    let silent: Vec<_> = (0..20).map(|_| server.connect()).collect();
    let slow = server.connect();
    slow.set_read_timeout(Some(millis(50))).unwrap();
    // Nobody waits because of them.
    assert_eq!(server.ask(b"Ann\n\n"), "Hello Ann");

    // Never silent for long, and never done.
    let closed = (0..200).any(|_| {
        let read = (&slow).write_all(b"x").and_then(|()| (&slow).read(&mut [0; 100]));
        match read {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => false,
            Err(_) | Ok(0) => true,
            Ok(count) => panic!("an answer of {count} bytes"),
        }
    });
    assert!(closed, "the slow one was served for ten seconds");
    assert!(now() - began >= total, "closed too early: it was not silent");
    for stream in silent {
        assert_eq!(rest(stream), "");
    }

    let began = now();
    assert_eq!(rest(server.connect()), "");
    assert!(now() - began >= silence);
}

#[test]
fn hello_server_survives_the_rude() {
    let mut server = Server::start("hello_server", &[]);
    assert_eq!(server.ask(b"Ann\n\n"), "Hello Ann");
    let before = server.descriptors();
    let mut garbage = vec![0u8; 100_000];
    let mut state = 1u32;
    for byte in &mut garbage {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *byte = (state >> 24) as u8;
    }
    let requests = [&b""[..], b"An", b"Ann\n\n", b"\0\0\xff\n\xfe\n\n", &garbage];
    for request in requests {
        for reset in [false, true] {
            for _ in 0..20 {
                let mut stream = server.connect();
                // The server may be done with it before all is written.
                let _ = stream.write_all(request);
                if reset {
                    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
                }
            }
        }
    }
    assert_eq!(server.ask(b"Ann\n\n"), "Hello Ann");
    // It has forgotten them all, as soon as it has seen that they are gone.
    let forgotten =
        (0..5000).any(|_| server.ask(b"Ann\n\n") == "Hello Ann" && server.descriptors() <= before);
    assert!(forgotten, "{before} descriptors before, {} now", server.descriptors());
    assert!(server.is_alive());
}

#[test]
fn a_taken_address_and_wrong_arguments_are_clear_errors() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for name in ["hello_server", "echo_server"] {
        let output = start(name, &[&address], b"");
        assert_eq!(output.status.code(), Some(1), "{name}");
        assert!(stderr(&output).contains(&format!("cannot listen at {address}")), "{}", stderr(&output));
        assert_eq!(stdout(&output), "");
        mistake(name, &["nowhere"]);
        mistake(name, &["127.0.0.1:65536"]);
    }
    mistake("hello_server", &["127.0.0.1:0", "0"]);
    mistake("hello_server", &["127.0.0.1:0", "1", "-1"]);
    mistake("hello_server", &["127.0.0.1:0", "1", "1", "1"]);
    mistake("echo_client", &[":5001"]);
    mistake("echo_client", &["127.0.0.1:5001", "0"]);
    mistake("echo_client", &["127.0.0.1:5001", "1", "1m"]);
    mistake("echo_client", &["127.0.0.1:5001", "1", "0s"]);
    mistake("echo_client", &["127.0.0.1:5001", "1", "1", "0"]);
    mistake("echo_client", &["127.0.0.1:5001", "1", "1", "1", "1"]);
}

/// The last argument is one.
fn mistake(name: &str, arguments: &[&str]) {
    let output = start(name, arguments, b"");
    assert_eq!(output.status.code(), Some(2), "{name} {arguments:?}");
    let quoted = format!("`{}`", arguments.last().unwrap());
    assert!(stderr(&output).contains(&quoted), "{name} {arguments:?}: {}", stderr(&output));
}

#[test]
fn echo_client_counts_its_requests() {
    let mut server = Server::start("echo_server", &[]);
    let address = server.address.to_string();
    for (connections, requests, bytes) in [("1", "200", "1"), ("30", "2000", "64"), ("3", "20", "200000")] {
        let output = start("echo_client", &[&address, connections, requests, bytes], b"");
        assert!(output.status.success(), "{}", stderr(&output));
        let summary = stdout(&output);
        assert!(summary.starts_with(&format!("requests: {requests}\nrequests/s: ")), "{summary}");
        let latency = summary.lines().last().unwrap();
        for part in ["latency: min ", ", p50 ", ", p90 ", ", p99 ", ", max "] {
            assert!(latency.contains(part), "{latency}");
        }
    }
    let timed = start("echo_client", &[&address, "5", "0.1s"], b"");
    assert!(timed.status.success(), "{}", stderr(&timed));
    assert!(server.is_alive());
}

#[test]
fn echo_client_says_what_is_wrong_with_the_server() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let fails = |why: &str| {
        let output = start("echo_client", &[&address, "1", "10"], b"");
        assert_eq!(output.status.code(), Some(1), "{}", stdout(&output));
        assert!(stderr(&output).contains(why), "{}", stderr(&output));
    };
    thread::scope(|scope| {
        scope.spawn(|| {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(&[b'?'; 64]).unwrap();
            rest_of_bytes(stream);
            let (mut stream, _) = listener.accept().unwrap();
            stream.read_exact(&mut [0; 64]).unwrap();
        });
        fails("the answer is not what was sent");
        fails("unexpected end of file");
    });
    drop(listener);
    fails(&format!("cannot connect to {address}"));
}

/// Reads until the other side has gone.
fn rest_of_bytes(mut stream: TcpStream) {
    let _ = stream.read_to_end(&mut Vec::new());
}

#[test]
fn percentiles_are_right_to_three_percent() {
    let (mut latencies, mut sorted) = (Latencies::default(), Vec::new());
    let mut state = 1u64;
    for _ in 0..10_000 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // From nanoseconds to minutes, as many of each power of two.
        let ns = (state >> 27) >> (state >> 59);
        latencies.add(Duration::from_nanos(ns));
        sorted.push(ns);
    }
    sorted.sort_unstable();
    assert_eq!(latencies.count(), 10_000);
    for percent in [1, 10, 50, 90, 99, 100] {
        let (exact, found) =
            (sorted[percent * 100 - 1], latencies.percentile(percent as u64).as_nanos() as u64);
        assert!(exact <= found && found <= exact + exact / 32, "p{percent}: {exact} ns, found {found} ns");
    }
}

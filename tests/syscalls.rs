//! What the echo server of the examples asks of the system in steady state: receive, send, wait, and nothing else. And
//! what it takes to wake a loop.
//!
//! `strace` tells. The server is this test's own binary, started again, which then serves. The test is its client, and
//! marks the time in which the calls are counted by what it sends: from the echo of `begin` to the request `end`.
//! Where there is no `strace`, or it may not trace, this is said and nothing is tested.

#![cfg(target_os = "linux")]
#![allow(dead_code, reason = "the server's own `main`")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{self, Child, ChildStdin, Command, Stdio};

use evloop::EventLoop;
use evloop::channel::thread;
use evloop::net::TcpListener;
use evloop::time::secs;
use rustix::process::{Pid, Signal, kill_process};

#[path = "../examples/echo_server.rs"]
mod echo_server;

const IS_SERVER: &str = "EVLOOP_SYSCALLS_SERVER";

/// Is no test: it is the other process's part, and does nothing in this one.
#[test]
fn serve_if_asked_to() {
    if std::env::var_os(IS_SERVER).is_none() {
        return;
    }
    evloop::run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        writeln!(io::stdout(), "\nserves {} {}", process::id(), listener.local_addr().unwrap()).unwrap();
        evloop::create_task(echo_server::serve(listener)).detach();
        // The client is gone, however it went, when its end of the pipe is.
        evloop::to_thread(|| io::stdin().read_to_end(&mut Vec::new())).await.unwrap();
    });
}

/// A traced server; both processes end with this.
struct Traced {
    strace: Child,
    server: Option<Pid>,
    address: String,
    file: PathBuf,
    _stdin: ChildStdin,
}

impl Traced {
    fn start(name: &str) -> Self {
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.{}.strace", process::id()));
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-s", "8", "-o"]).arg(&file);
        command.arg(std::env::current_exe().unwrap()).args(["--exact", "serve_if_asked_to", "--nocapture"]);
        command.env(IS_SERVER, "1").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut strace = command.spawn().unwrap();
        let (stdin, stdout) = (strace.stdin.take().unwrap(), strace.stdout.take().unwrap());
        let mut this = Self { strace, server: None, address: String::new(), file, _stdin: stdin };
        for line in BufReader::new(stdout).lines() {
            let line = line.unwrap();
            let Some((process, address)) = line.strip_prefix("serves ").and_then(|rest| rest.split_once(' '))
            else {
                continue;
            };
            this.server = Pid::from_raw(process.parse().unwrap());
            this.address = address.to_owned();
            return this;
        }
        panic!("the server has ended");
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(secs(20))).unwrap();
        stream
    }

    /// Ends the server; returns the lines that were written of it.
    fn end(self) -> Vec<String> {
        let file = self.file.clone();
        drop(self);
        let lines = fs::read_to_string(&file).unwrap().lines().map(str::to_owned).collect();
        fs::remove_file(&file).unwrap();
        lines
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        // `strace` ends with what it traces; ended itself, it would leave that alone.
        match self.server {
            Some(server) => drop(kill_process(server, Signal::KILL)),
            None => drop(self.strace.kill()),
        }
        let _ = self.strace.wait();
    }
}

fn can_trace() -> bool {
    let traced =
        Command::new("strace").args(["-qq", "-o", "/dev/null", "true"]).stderr(Stdio::null()).status();
    let can = traced.is_ok_and(|status| status.success());
    if !can {
        // Past the test harness, which would keep it to itself.
        let _ = writeln!(io::stderr(), "skipped: counting system calls takes a `strace` that may trace");
    }
    can
}

fn send(stream: &mut TcpStream, request: &[u8]) {
    stream.write_all(request).unwrap();
}

fn receive(stream: &mut TcpStream, request: &[u8]) {
    let mut answer = vec![0; request.len()];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer, request);
}

/// How often each system call was begun.
fn count<'a>(lines: impl IntoIterator<Item = &'a String>) -> BTreeMap<&'a str, usize> {
    let mut counts = BTreeMap::new();
    for line in lines {
        // `THREAD call(…) = …`; what another thread's line has cut in two goes on as `THREAD <... call resumed>…`.
        let (_, call) = line.split_once(' ').unwrap();
        let name = call.trim_start().split('(').next().unwrap();
        if !name.starts_with(['<', '+', '-']) {
            *counts.entry(name).or_insert(0) += 1;
        }
    }
    counts
}

/// What the server does while each of so many connections sends so many requests: the calls from `begin` to `end`, and
/// how many descriptors it had registered by then.
fn calls(name: &str, connections: usize, rounds: usize) -> (BTreeMap<String, usize>, usize) {
    let server = Traced::start(name);
    let mut streams: Vec<_> = (0..connections).map(|_| server.connect()).collect();
    let mut round = |request: &[u8]| {
        streams.iter_mut().for_each(|stream| send(stream, request));
        streams.iter_mut().for_each(|stream| receive(stream, request));
    };
    let mut marks = server.connect();
    let mut mark = |request: &[u8]| {
        send(&mut marks, request);
        receive(&mut marks, request);
    };
    // A connection is registered when the server finds nothing in it. It has looked, once it has answered another.
    round(&[b'w'; 100]);
    mark(b"warm");
    round(&[b'w'; 100]);
    mark(b"begin");
    for _ in 0..rounds {
        round(&[b'x'; 100]);
    }
    mark(b"end");
    let lines = server.end();

    let find = |call: &str, data: &str| {
        let has = |line: &String| line.contains(call) && line.contains(data);
        lines.iter().position(has).unwrap_or_else(|| panic!("no {call} of {data} in {lines:#?}"))
    };
    let (begin, end) = (find("sendto", "\"begin\""), find("recvfrom", "\"end\""));
    // The loop's thread; the one that waits for the client's end is none of the server's.
    let (thread, _) = lines[begin].split_once(' ').unwrap();
    let counted = count(lines[begin + 1..end].iter().filter(|line| line.starts_with(&format!("{thread} "))));
    let before = &lines[..end];
    let registered = before.iter().filter(|line| line.contains("EPOLL_CTL_")).count();
    let counted = counted.into_iter().map(|(name, count)| (name.to_owned(), count)).collect();
    (counted, registered)
}

/// The bell, two of polling's own, the listener and the connection of the marks are registered, too.
const OTHERS: usize = 5;

/// Takes the waits out, and expects one receive and one send per request, and no call of another kind.
fn waits_beside(mut calls: BTreeMap<String, usize>, requests: usize) -> usize {
    let waits = ["epoll_pwait2", "epoll_wait", "epoll_pwait"];
    let waits = waits.into_iter().filter_map(|name| calls.remove(name)).sum();
    let expected = [("recvfrom", requests), ("sendto", requests)];
    assert_eq!(calls, expected.map(|(name, count)| (name.to_owned(), count)).into(), "and {waits} waits");
    waits
}

#[test]
fn a_request_is_one_receive_one_send_and_one_wait() {
    if !can_trace() {
        return;
    }
    let (calls, registered) = calls("one", 1, 300);
    let waits = waits_beside(calls, 300);
    // `end` is waited for, too.
    assert!(waits <= 301, "{waits} waits");
    assert!(registered <= OTHERS + 1, "{registered} changes of what is registered");
}

#[test]
fn fifty_connections_share_the_waits() {
    if !can_trace() {
        return;
    }
    let (calls, registered) = calls("fifty", 50, 20);
    let waits = waits_beside(calls, 1000);
    assert!(waits <= 500, "{waits} waits for 1000 requests");
    assert!(registered <= OTHERS + 50, "{registered} changes of what is registered");
}

const IS_SENDER: &str = "EVLOOP_SYSCALLS_SENDER";

/// Is no test: it is the other process's part, and does nothing in this one. A thread sends to a loop that sleeps.
#[test]
fn send_if_asked_to() {
    if std::env::var_os(IS_SENDER).is_none() {
        return;
    }
    let mut event_loop = EventLoop::new().unwrap();
    let (sender, mut receiver) = thread::unbounded();
    let receives = event_loop.handle().create_task(async move {
        let mut sum = 0;
        while let Some(n) = receiver.recv().await {
            sum += n;
        }
        sum
    });
    // Now the task waits, and so does the loop: its host would watch the bell.
    event_loop.run_once(Some(std::time::Duration::ZERO)).unwrap();
    let sends = std::thread::spawn(move || {
        io::stderr().write_all(b"begin").unwrap();
        for n in 0..1000 {
            sender.blocking_send(n).unwrap();
        }
        io::stderr().write_all(b"end").unwrap();
    });
    sends.join().unwrap();
    assert_eq!(event_loop.run_until_complete(receives).unwrap().unwrap(), 499_500);
}

#[test]
fn a_thousand_items_ring_the_bell_of_a_loop_that_sleeps_once() {
    if !can_trace() {
        return;
    }
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("ring.{}.strace", process::id()));
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-s", "8", "-o"]).arg(&file);
    command.arg(std::env::current_exe().unwrap()).args(["--exact", "send_if_asked_to", "--nocapture"]);
    let output = command.env(IS_SENDER, "1").stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines: Vec<_> = fs::read_to_string(&file).unwrap().lines().map(str::to_owned).collect();
    fs::remove_file(&file).unwrap();

    let find = |data: &str| lines.iter().position(|line| line.contains(data)).expect("a mark");
    let (begin, end) = (find("write(2, \"begin\""), find("write(2, \"end\""));
    let (thread, _) = lines[begin].split_once(' ').unwrap();
    let mut calls =
        count(lines[begin + 1..end].iter().filter(|line| line.starts_with(&format!("{thread} "))));
    // Memory for the items is no matter here.
    for memory in ["brk", "mmap", "mprotect", "mremap", "munmap", "madvise"] {
        calls.remove(memory);
    }
    assert_eq!(calls, [("write", 1)].into(), "one ring, and nothing else");
}

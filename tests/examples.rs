//! Every example is run, and its output compared with what it must print.
//!
//! The programs are included and run on the virtual clock; the two log counters and the tour also as the binaries
//! that a newcomer starts, which `cargo test` builds beside the tests. Those with sockets are in `examples/servers.rs`
//! and `examples/shutdown.rs`.

#![allow(clippy::duplicate_mod, reason = "programs share modules, and each must stand alone")]
#![allow(dead_code, reason = "the programs' own `main`s")]

use std::cell::RefCell;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::rc::Rc;
use std::time::Duration;

use evloop::Clock;
use evloop::time::secs;

#[path = "../examples/call_later.rs"]
mod call_later;
#[path = "../examples/eternity.rs"]
mod eternity;
#[path = "../examples/hello_server.rs"]
mod hello_server;
#[path = "../examples/ip_count.rs"]
mod ip_count;
#[path = "../examples/sockets/latencies.rs"]
mod latencies;
#[path = "../examples/producer_consumer.rs"]
mod producer_consumer;
#[path = "../examples/say_after.rs"]
mod say_after;
#[path = "examples/servers.rs"]
mod servers;
#[cfg(unix)]
#[path = "examples/shutdown.rs"]
mod shutdown;
#[path = "../examples/threaded_ip_count.rs"]
mod threaded_ip_count;

const BOTH: [&str; 2] = ["ip_count", "threaded_ip_count"];

type Demo = fn(Clock, Rc<dyn Fn(&str)>) -> io::Result<Duration>;

/// Runs a program on the virtual clock; returns what it printed and how much time it took there.
fn virtually(demo: Demo) -> (String, Duration) {
    let printed = Rc::new(RefCell::new(String::new()));
    let sink = printed.clone();
    let took = demo(
        Clock::Virtual,
        Rc::new(move |line| {
            sink.borrow_mut().push_str(line);
            sink.borrow_mut().push('\n');
        }),
    );
    let printed = printed.borrow().clone();
    (printed, took.expect("an example failed"))
}

fn expected(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("examples/expected/{name}.txt"));
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn binary(name: &str) -> PathBuf {
    // target/debug/deps/examples-… -> target/debug/examples/NAME
    let own = std::env::current_exe().expect("a test has a path");
    let path = own.ancestors().nth(2).expect("it is in deps/").join("examples").join(name);
    assert!(
        path.exists(),
        "{} is missing: `cargo test` or `cargo build --examples` builds it",
        path.display()
    );
    path
}

fn start(name: &str, arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(binary(name))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("an example starts");
    // A program that ends early closes its input; that is its right.
    let _ = child.stdin.take().expect("it is piped").write_all(input);
    child.wait_with_output().expect("an example ends")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("examples print text")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("examples print text")
}

#[test]
fn say_after_prints_what_the_original_prints() {
    assert_eq!(virtually(say_after::demo), (expected("say_after"), secs(6)));
}

#[test]
fn eternity_times_out_after_a_second() {
    assert_eq!(virtually(eternity::demo), (expected("eternity"), secs(1)));
}

#[test]
fn call_later_calls_nine_times_and_stops() {
    assert_eq!(virtually(call_later::demo), (expected("call_later"), secs(8)));
}

#[test]
fn producer_consumer_ends_when_all_is_consumed() {
    assert_eq!(virtually(producer_consumer::demo), (expected("producer_consumer"), secs(6)));
}

#[test]
fn the_counters_agree_about_their_own_log() {
    assert_eq!(virtually(ip_count::demo), (expected("ip_count"), Duration::ZERO));
    assert_eq!(virtually(threaded_ip_count::demo), (expected("threaded_ip_count"), Duration::ZERO));
    assert_eq!(expected("ip_count"), expected("threaded_ip_count"));
}

#[test]
fn the_tour_shows_them_all() {
    let output = start("tour", &[], b"");
    let printed = stdout(&output);
    assert!(output.status.success(), "{}", stderr(&output));
    let (deterministic, last) = printed.trim_end().rsplit_once('\n').expect("it prints lines");
    assert_eq!(format!("{deterministic}\n"), expected("tour"));
    assert!(last.contains("in the real world"), "{last}");
}

#[test]
fn the_counters_read_standard_input_and_any_address() {
    let log = b"192.0.2.7 - - a\n192.0.2.77 - - b\n192.0.2.7 c\n2001:db8::1 d\n192.0.2.7";
    for name in BOTH {
        let output = start(name, &["-", "192.0.2.7", "2001:db8::1", "203.0.113.5"], log);
        assert!(output.status.success(), "{name}: {}", stderr(&output));
        assert_eq!(stdout(&output), "192.0.2.7: 3\n2001:db8::1: 1\n203.0.113.5: 0\n", "{name}");
    }
}

#[test]
fn garbage_and_invalid_utf8_are_counted_and_reported() {
    let mut log = b"192.0.2.7 fine\nnot an address\n\xff\xfe 192.0.2.7\n192.0.2.7 \xff\n".to_vec();
    // A line without an end does not fill the memory.
    log.extend(vec![b'x'; 1 << 20]);
    for name in BOTH {
        let output = start(name, &["-", "192.0.2.7"], &log);
        assert!(output.status.success(), "{name}: {}", stderr(&output));
        assert!(stderr(&output).contains("were not log lines"), "{name}: {}", stderr(&output));
        assert!(stderr(&output).contains("not UTF-8"), "{name}: {}", stderr(&output));
    }
}

#[test]
fn a_missing_file_and_a_wrong_address_are_clear_errors() {
    for name in BOTH {
        let missing = start(name, &["/no/such/access.log"], b"");
        assert_eq!(missing.status.code(), Some(1), "{name}");
        assert!(stderr(&missing).contains("/no/such/access.log"), "{name}: {}", stderr(&missing));
        assert_eq!(stdout(&missing), "", "{name}");

        let wrong = start(name, &["-", "300.1.2.3"], b"");
        assert_eq!(wrong.status.code(), Some(2), "{name}");
        assert!(stderr(&wrong).contains("300.1.2.3"), "{name}: {}", stderr(&wrong));
    }
}

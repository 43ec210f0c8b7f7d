//! Starts this program again for each test, with patience, and compares.

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;

use evloop::time::secs;

/// How a process has ended.
#[derive(Debug, PartialEq)]
pub(crate) enum End {
    Code(i32),
    Signal(i32),
}

/// A name, what happens in the process, what it prints, and how it ends.
pub(crate) struct Test {
    pub(crate) name: &'static str,
    pub(crate) scenario: fn(),
    pub(crate) prints: &'static str,
    pub(crate) ends: End,
}

const SCENARIO: &str = "EVLOOP_SCENARIO";

pub(crate) fn main(tests: &[&'static [Test]]) {
    let all: Vec<&Test> = tests.iter().flat_map(|tests| tests.iter()).collect();
    if let Ok(name) = std::env::var(SCENARIO) {
        let test = all.iter().find(|test| test.name == name).expect("a test of this name");
        return (test.scenario)();
    }
    let filters: Vec<_> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let chosen =
        |test: &&&Test| filters.is_empty() || filters.iter().any(|part| test.name.contains(part.as_str()));
    let mut failed = Vec::new();
    for test in all.iter().filter(chosen) {
        let difference = difference(test);
        println!("test {} ... {}", test.name, if difference.is_some() { "FAILED" } else { "ok" });
        failed.extend(difference);
    }
    for difference in &failed {
        println!("\n{difference}");
    }
    println!("\ntest result: {} failed", failed.len());
    if !failed.is_empty() {
        std::process::exit(101);
    }
}

/// Runs a test; `None` if all is as it should be.
fn difference(test: &Test) -> Option<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .env(SCENARIO, test.name)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = rustix::process::Pid::from_child(&child);
    let (over, is_over) = mpsc::channel::<()>();
    let patience = thread::spawn(move || {
        if is_over.recv_timeout(secs(30)) == Err(mpsc::RecvTimeoutError::Timeout) {
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        }
    });
    let mut stderr = child.stderr.take().unwrap();
    let errors = thread::spawn(move || {
        let mut said = String::new();
        let _ = stderr.read_to_string(&mut said);
        said
    });
    let mut printed = String::new();
    child.stdout.take().unwrap().read_to_string(&mut printed).unwrap();
    let status = child.wait().unwrap();
    drop(over);
    patience.join().unwrap();
    let errors = errors.join().unwrap();
    let ended = end(status);
    (printed != test.prints || ended != test.ends).then(|| {
        format!(
            "{}\nprinted {printed:?}\n instead {:?}\nended {ended:?}\n instead {:?}\nstderr: {errors}",
            test.name, test.prints, test.ends
        )
    })
}

fn end(status: ExitStatus) -> End {
    match status.signal() {
        Some(signal) => End::Signal(signal),
        None => End::Code(status.code().unwrap()),
    }
}

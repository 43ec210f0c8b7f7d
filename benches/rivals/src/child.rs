//! A child process that is this same program in another role, and what it owes to its parent.
//!
//! It never outlives the parent: dropped, it is killed and waited for, also when the parent panics; if the
//! parent is killed, the kernel kills it. It speaks in lines on its standard output and listens on its
//! standard input, which ends when the parent does.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{ChildStderr, ChildStdin, ChildStdout, Command, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Resource, Rlimit, Signal, getrlimit, set_parent_process_death_signal, setrlimit};

use crate::cores::pin;

/// Nobody needs that long for an answer, or to end.
const PATIENCE: Timespec = Timespec { tv_sec: 120, tv_nsec: 0 };

/// A running child; dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Child {
    process: std::process::Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Child {
    /// Starts this program in another role.
    pub(crate) fn start(args: &[&str], core: Option<usize>) -> io::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(args);
        if let Some(core) = core {
            command.args(["--core", &core.to_string()]);
        }
        Self::spawn(command)
    }

    /// Starts it under another program, whose report on standard error is for [`finish`](Self::finish).
    pub(crate) fn start_under(wrapper: &[&str], args: &[&str]) -> io::Result<Self> {
        let (program, options) = wrapper.split_first().expect("a wrapper is a program");
        let mut command = Command::new(program);
        command.args(options).arg(std::env::current_exe()?).args(args).stderr(Stdio::piped());
        Self::spawn(command).map_err(|error| io::Error::other(format!("cannot run {program}: {error}")))
    }

    fn spawn(mut command: Command) -> io::Result<Self> {
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let input = process.stdin.take().expect("its input is a pipe");
        let output = process.stdout.take().expect("its output is a pipe");
        Ok(Self { process, input, output: BufReader::new(output) })
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Says a line and waits for one in return.
    pub(crate) fn ask(&mut self, question: &str) -> io::Result<String> {
        writeln!(self.input, "{question}")?;
        self.line()
    }

    /// The next line that it says.
    pub(crate) fn line(&mut self) -> io::Result<String> {
        // A line is written at once, so that what is readable is a whole one.
        let output = self.output.get_ref();
        if poll(&mut [PollFd::new(output, PollFlags::IN)], Some(&PATIENCE))? == 0 {
            return Err(io::Error::other("a child does not answer"));
        }
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            let end = self.process.wait()?;
            return Err(io::Error::other(format!("a child ended before its time, {end}")));
        }
        Ok(line.trim_end().to_owned())
    }

    /// Waits for its end, which must be near, and returns what stands on its standard error.
    pub(crate) fn finish(mut self) -> io::Result<String> {
        let mut report = String::new();
        if let Some(mut stderr) = self.process.stderr.take() {
            read_to_end_in_time(&mut stderr, &mut report)?;
        }
        let end = self.process.wait()?;
        if end.success() { Ok(report) } else { Err(io::Error::other(format!("{end}: {report}"))) }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Both fail only for a child that has been waited for, which is what is wanted.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn read_to_end_in_time(stderr: &mut ChildStderr, report: &mut String) -> io::Result<()> {
    let mut bytes = Vec::new();
    loop {
        if poll(&mut [PollFd::new(&*stderr, PollFlags::IN)], Some(&PATIENCE))? == 0 {
            return Err(io::Error::other("a child does not end"));
        }
        let mut chunk = [0; 4096];
        let n = stderr.read(&mut chunk)?;
        if n == 0 {
            *report = String::from_utf8_lossy(&bytes).into_owned();
            return Ok(());
        }
        bytes.extend(&chunk[..n]);
    }
}

/// What a child does first: it ties itself to its parent, takes as many descriptors as it may have, and its
/// core.
pub(crate) fn play_a_part(core: Option<usize>) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // No limit of CPU time beside it: with one, the process's clock of CPU time moves by ticks only.
    raise_descriptors()?;
    core.map_or(Ok(()), pin)
}

/// Thousands of connections need more descriptors than are given at first.
pub(crate) fn raise_descriptors() -> io::Result<()> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    Ok(setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?)
}

//! What `ip_count` and `threaded_ip_count` share: the command line, the reading of the log, the printing of the answer.
//! Nothing here knows of loops or threads.
//!
//! A log may hold anything. A line that is no log line is counted and reported, and never ends the program; a line
//! without an end does not fill the memory, since only its first [`MAX_LINE_BYTES`] are kept.

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Web servers refuse a request line of more than 8 to 16 KiB; what is longer than this was not written by one.
const MAX_LINE_BYTES: usize = 64 * 1024;

/// Many enough that a trip to another thread costs little per line, few enough that the memory does not notice.
const CHUNK_LINES: usize = 256;

pub(crate) struct Arguments {
    pub(crate) log: Log,
    pub(crate) addresses: Vec<IpAddr>,
}

pub(crate) enum Log {
    File(PathBuf),
    Stdin,
}

/// The log that comes with the examples, and the addresses that the original program asks for.
impl Default for Arguments {
    fn default() -> Self {
        let relative = "examples/data/access.log";
        let built_from = Path::new(env!("CARGO_MANIFEST_DIR")).join(relative);
        // The sources may have moved since the program was built.
        let log = if built_from.exists() { built_from } else { relative.into() };
        let addresses = [[83, 149, 9, 216], [93, 114, 45, 13], [207, 241, 237, 101]];
        Arguments { log: Log::File(log), addresses: addresses.map(|a| Ipv4Addr::from(a).into()).to_vec() }
    }
}

impl Arguments {
    /// `Ok(None)` if only help is asked for; an error is a sentence about the first mistake.
    fn parse(mut given: impl Iterator<Item = OsString>) -> Result<Option<Self>, String> {
        let mut arguments = Self::default();
        match given.next() {
            None => return Ok(Some(arguments)),
            Some(log) => match log.to_str() {
                Some("-h" | "--help") => return Ok(None),
                Some("-") => arguments.log = Log::Stdin,
                Some(option) if option.starts_with('-') => {
                    return Err(format!("unknown option `{option}`"));
                }
                _ => arguments.log = Log::File(log.into()),
            },
        }
        let parse = |word: OsString| {
            let text = word.to_string_lossy();
            let address = text.parse::<IpAddr>();
            address.map_err(|_| format!("`{text}` is not an IP address"))
        };
        let addresses = given.map(parse).collect::<Result<Vec<_>, _>>()?;
        if !addresses.is_empty() {
            arguments.addresses = addresses;
        }
        Ok(Some(arguments))
    }
}

/// Lines that were not counted, and why. Those that are neither of the latter two do not begin with an address.
#[derive(Default)]
pub(crate) struct Garbage {
    lines: u64,
    not_utf8: u64,
    too_long: u64,
}

impl fmt::Display for Garbage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.lines {
            1 => write!(f, "1 line was not a log line")?,
            n => write!(f, "{n} lines were not log lines")?,
        }
        let mut reasons = Vec::new();
        if self.not_utf8 > 0 {
            reasons.push(format!("{} of them not UTF-8", self.not_utf8));
        }
        if self.too_long > 0 {
            let limit = MAX_LINE_BYTES / 1024;
            reasons.push(format!("{} of them over {limit} KiB", self.too_long));
        }
        if reasons.is_empty() {
            return Ok(());
        }
        write!(f, " ({})", reasons.join(", "))
    }
}

/// Reads the log a chunk at a time. All of it blocks: call it where blocking is allowed.
pub(crate) struct LogReader {
    input: Box<dyn BufRead + Send>,
    name: String,
    line: Vec<u8>,
    pub(crate) garbage: Garbage,
}

impl LogReader {
    pub(crate) fn open(log: &Log) -> io::Result<Self> {
        let (input, name): (Box<dyn BufRead + Send>, _) = match log {
            Log::Stdin => (Box::new(BufReader::new(io::stdin())), "-".into()),
            Log::File(path) => {
                let name = path.display().to_string();
                let file = File::open(path).map_err(|error| explain("open", &name, &error))?;
                (Box::new(BufReader::new(file)), name)
            }
        };
        Ok(LogReader { input, name, line: Vec::new(), garbage: Garbage::default() })
    }

    /// The clients of the next lines; `None` at the end of the log.
    pub(crate) fn next_chunk(&mut self) -> io::Result<Option<Vec<IpAddr>>> {
        let mut clients = Vec::new();
        for nth in 0..CHUNK_LINES {
            let read = self.next_line();
            match read.map_err(|error| explain("read", &self.name, &error))? {
                None if nth == 0 => return Ok(None),
                None => break,
                Some(client) => clients.extend(client),
            }
        }
        Ok(Some(clients))
    }

    /// `None` at the end of the log, `Some(None)` for a line that is no log line.
    fn next_line(&mut self) -> io::Result<Option<Option<IpAddr>>> {
        self.line.clear();
        let limit = MAX_LINE_BYTES as u64 + 1; // with its line feed
        let mut input = self.input.by_ref().take(limit);
        if input.read_until(b'\n', &mut self.line)? == 0 {
            return Ok(None);
        }
        let (mut too_long, mut not_utf8, mut client) = (false, false, None);
        if self.line.len() > MAX_LINE_BYTES && self.line.last() != Some(&b'\n') {
            too_long = true;
            self.input.skip_until(b'\n')?;
        } else {
            match str::from_utf8(&self.line) {
                Ok(line) => client = client_of(line),
                Err(_) => not_utf8 = true,
            }
        }
        self.garbage.lines += u64::from(client.is_none());
        self.garbage.not_utf8 += u64::from(not_utf8);
        self.garbage.too_long += u64::from(too_long);
        Ok(Some(client))
    }
}

/// The original asks whether a line starts with the address, so that 1.2.3.4 counts the lines of 1.2.3.41 as well. Here
/// the whole first field has to be the address.
fn client_of(line: &str) -> Option<IpAddr> {
    line.split_whitespace().next()?.parse().ok()
}

fn explain(failed_to: &str, name: &str, error: &io::Error) -> io::Error {
    let advice = "give the path of an access log, or `-` to read one from standard input";
    io::Error::new(error.kind(), format!("cannot {failed_to} `{name}`: {error}\n{advice}"))
}

pub(crate) struct Answer {
    /// In the order in which the addresses were given.
    pub(crate) counts: Vec<(IpAddr, u64)>,
    pub(crate) garbage: Garbage,
}

impl Answer {
    pub(crate) fn lines(&self) -> impl Iterator<Item = String> {
        let line = |(address, count): &(IpAddr, u64)| format!("{address}: {count}");
        self.counts.iter().map(line)
    }

    /// Not on standard output, where the next program expects counts only.
    pub(crate) fn report_garbage(&self) {
        if self.garbage.lines > 0 {
            complain(&self.garbage);
        }
    }
}

/// The whole program around a `count`.
pub(crate) fn main(name: &str, count: impl FnOnce(Arguments) -> io::Result<Answer>) -> ExitCode {
    let usage = format!("usage: {name} [LOG|-] [ADDRESS]...");
    let arguments = match Arguments::parse(env::args_os().skip(1)) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => return print(name, [usage].into_iter()),
        Err(mistake) => {
            complain(format!("{name}: {mistake}\n{usage}"));
            return ExitCode::from(2);
        }
    };
    match count(arguments) {
        Ok(answer) => {
            let code = print(name, answer.lines());
            answer.report_garbage();
            code
        }
        Err(error) => {
            complain(format!("{name}: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn print(name: &str, lines: impl Iterator<Item = String>) -> ExitCode {
    let mut stdout = io::stdout().lock();
    let mut written = Ok(());
    for line in lines {
        written = written.and_then(|()| writeln!(stdout, "{line}"));
    }
    match written.and_then(|()| stdout.flush()) {
        // Whoever closed the pipe (`… | head -1`) has seen enough: no failure.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            complain(format!("{name}: cannot print the answer: {error}"));
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}

/// Not `eprintln!`, which panics if standard error is closed.
fn complain(message: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "{message}");
}

//! What the programs with sockets share: the command line, the line that says where a server listens, the end.

use std::env;
use std::fmt;
use std::io::{self, Write};
use std::iter::Peekable;
use std::process::ExitCode;
use std::time::Duration;

use evloop::net::TcpListener;

pub(crate) mod latencies;
pub(crate) mod load;

/// The words of a command line, each of which may be left out if those after it are, too.
pub(crate) struct Words(Peekable<Box<dyn Iterator<Item = String>>>);

impl Words {
    fn given() -> Self {
        let given = env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
        let given: Box<dyn Iterator<Item = String>> = Box::new(given);
        Words(given.peekable())
    }

    /// The next word, or `default`; an error if it is none of `wanted`.
    pub(crate) fn next<T>(
        &mut self,
        wanted: &str,
        default: T,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, String> {
        let Some(word) = self.0.next() else { return Ok(default) };
        parse(&word).ok_or_else(|| format!("`{word}` is not {wanted}"))
    }

    pub(crate) fn address(&mut self, default: &str) -> Result<String, String> {
        self.next("an address such as 127.0.0.1:5000 or localhost:5000", default.to_owned(), |word| {
            let (host, port) = word.rsplit_once(':')?;
            (!host.is_empty() && port.parse::<u16>().is_ok()).then(|| word.to_owned())
        })
    }

    pub(crate) fn seconds(&mut self, default: Duration) -> Result<Duration, String> {
        self.next("a number of seconds, above 0", default, seconds)
    }
}

/// `0.5` and the like.
pub(crate) fn seconds(word: &str) -> Option<Duration> {
    let time = Duration::try_from_secs_f64(word.parse().ok()?).ok()?;
    (!time.is_zero()).then_some(time)
}

/// Listens, and says where, first of all: whoever asks for port 0 learns the real one.
pub(crate) async fn listen(address: &str) -> io::Result<TcpListener> {
    let bound = TcpListener::bind(address).await;
    let listener = bound.map_err(|error| explain(format!("cannot listen at {address}"), &error))?;
    say(format!("listening on {}", listener.local_addr()?));
    Ok(listener)
}

pub(crate) fn explain(what_failed: impl fmt::Display, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{what_failed}: {error}"))
}

/// Not `println!`, which panics if nobody reads it; a server goes on.
pub(crate) fn say(message: impl fmt::Display) {
    let _ = writeln!(io::stdout(), "{message}");
}

/// Not `eprintln!`, which panics if standard error is closed.
pub(crate) fn complain(message: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "{message}");
}

/// The whole program: `parse` makes arguments of the words, `run` is the rest.
pub(crate) fn main<A>(
    usage: &str,
    parse: impl FnOnce(&mut Words) -> Result<A, String>,
    run: impl FnOnce(A) -> io::Result<()>,
) -> ExitCode {
    let name = usage.split(' ').next().unwrap_or_default();
    let mut words = Words::given();
    if words.0.next_if(|word| word == "-h" || word == "--help").is_some() {
        let _ = writeln!(io::stdout(), "usage: {usage}");
        return ExitCode::SUCCESS;
    }
    let parsed = parse(&mut words).and_then(|arguments| match words.0.next() {
        None => Ok(arguments),
        Some(word) => Err(format!("there is nothing to be done with `{word}`")),
    });
    let result = match parsed {
        Ok(arguments) => run(arguments),
        Err(mistake) => {
            complain(format!("{name}: {mistake}\nusage: {usage}"));
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(format!("{name}: {error}"));
            ExitCode::FAILURE
        }
    }
}

//! The command line.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

const USAGE: &str = "\
usage: rivals [--quick] [--rounds N] [--modes] [--parked] [--connections C] [WORD…]
           the tables; with words, of those workloads whose names contain one of them
       rivals --instructions [--modes] [--quick] [--connections C] [--requests N]
           user-space instructions for a request, by valgrind
       rivals --syscalls [--modes] [--quick] [--connections C] [--requests N]
           system calls for a request, by strace
       rivals serve SERVER [--requests N]
           one echo server; it prints its address and ends after N requests
       rivals load ADDRESS [--connections C] [--requests N]
           the load, for a server that was started by hand";

/// What this process is to be.
#[derive(Debug, PartialEq)]
pub(crate) enum Role {
    /// The parent that prints the tables.
    Compare,
    Instructions,
    Syscalls,
    /// The child that runs the workloads in memory for one side.
    Play(String),
    /// The child that is an echo server.
    Serve(String),
    Load(SocketAddr),
}

#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) role: Role,
    /// Just enough to see that everything works.
    pub(crate) quick: bool,
    /// Also evloop's other ways to register sockets and to wait.
    pub(crate) modes: bool,
    /// The load sleeps while it waits, instead of looking again at once.
    pub(crate) parked: bool,
    /// What a child is pinned to.
    pub(crate) core: Option<usize>,
    pub(crate) connections: Option<usize>,
    pub(crate) requests: Option<u64>,
    rounds: Option<usize>,
    words: Vec<String>,
}

impl Options {
    pub(crate) fn parse(args: impl Iterator<Item = String>) -> io::Result<Self> {
        let mut options = Self {
            role: Role::Compare,
            quick: false,
            modes: false,
            parked: false,
            core: None,
            connections: None,
            requests: None,
            rounds: None,
            words: Vec::new(),
        };
        let mut args = args.peekable();
        // Cargo's own `--` comes through where the alias has one already.
        while args.next_if(|arg| arg == "--").is_some() {}
        let role = args.next_if(|arg| matches!(arg.as_str(), "play" | "serve" | "load"));
        match role.as_deref() {
            Some("play") => options.role = Role::Play(value("play", args.next())?),
            Some("serve") => options.role = Role::Serve(value("serve", args.next())?),
            Some(_) => options.role = Role::Load(value("load", args.next())?),
            None => {}
        }
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--" => {}
                "--quick" => options.quick = true,
                "--modes" => options.modes = true,
                "--parked" => options.parked = true,
                "--instructions" => options.role = Role::Instructions,
                "--syscalls" => options.role = Role::Syscalls,
                "--core" => options.core = Some(value("--core", args.next())?),
                "--connections" => options.connections = Some(value("--connections", args.next())?),
                "--requests" => options.requests = Some(value("--requests", args.next())?),
                "--rounds" => options.rounds = Some(value("--rounds", args.next())?),
                word if !word.starts_with('-') => options.words.push(word.to_owned()),
                _ => return Err(io::Error::other(format!("what is {arg}?\n{USAGE}"))),
            }
        }
        if options.rounds == Some(0) || options.connections == Some(0) || options.requests == Some(0) {
            return Err(io::Error::other("rounds, connections and requests are at least 1"));
        }
        Ok(options)
    }

    pub(crate) fn wants(&self, workload: &str) -> bool {
        self.words.is_empty() || self.words.iter().any(|word| workload.contains(word.as_str()))
    }

    /// How many rounds, where that many are usual.
    pub(crate) fn rounds(&self, usual: usize) -> usize {
        self.rounds.unwrap_or(if self.quick { usual.min(3) } else { usual })
    }

    /// How long a slice is, where that is usual.
    pub(crate) fn slice(&self, usual: Duration) -> Duration {
        if self.quick { usual / 10 } else { usual }
    }
}

fn value<T: std::str::FromStr>(option: &str, arg: Option<String>) -> io::Result<T> {
    let value = arg.as_deref().and_then(|arg| arg.parse().ok());
    value.ok_or_else(|| io::Error::other(format!("{option} needs another value\n{USAGE}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> io::Result<Options> {
        Options::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn without_arguments_everything_is_compared() {
        let options = parse("").unwrap();
        assert_eq!(options.role, Role::Compare);
        assert!(options.wants("anything"));
        assert_eq!(options.rounds(41), 41);
    }

    #[test]
    fn the_dashes_of_an_alias_are_no_argument() {
        let options = parse("-- -- echo --quick -- yield").unwrap();
        assert!(options.quick);
        assert!(options.wants("TCP echo") && options.wants("yield, 1 task") && !options.wants("queue"));
        assert_eq!(options.rounds(41), 3);
    }

    #[test]
    fn a_role_comes_first_and_takes_a_name() {
        let options = parse("serve tokio-echo --requests 5 --core 0").unwrap();
        assert_eq!(options.role, Role::Serve("tokio-echo".into()));
        assert_eq!((options.requests, options.core), (Some(5), Some(0)));
    }

    #[test]
    fn what_it_does_not_know_is_an_error() {
        for line in ["--fast", "--rounds", "--rounds x", "--rounds 0", "serve", "load here"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}

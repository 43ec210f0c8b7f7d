//! What a request costs in user-space instructions and in system calls, counted from outside.
//!
//! A server runs twice under valgrind or strace, to its end after few requests and after many; the
//! difference leaves out its start, its connections and its end. Requests come in bursts, one on each
//! connection while the server sleeps: a load that answers at once would be faster than a server that a tool
//! slows down, and what waits for a socket would never have to wait.

use std::collections::BTreeMap;
use std::io;

use super::load::{Load, Wait};
use super::servers::{Server, wanted};
use crate::child::{self, Child};
use crate::options::Options;

const CONNECTIONS: [usize; 2] = [1, 50];
/// At least so many requests are in the figures.
const REQUESTS: u64 = 2000;
/// Both runs have so many more bursts: whatever grows is grown then.
const WARM: u64 = 20;

const CALLGRIND: &[&str] = &["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"];
const STRACE: &[&str] = &["strace", "-f", "-c"];

/// Prints how many instructions each server takes for a request.
pub(crate) fn instructions(options: &Options) -> io::Result<()> {
    child::raise_descriptors()?;
    println!("User-space instructions for a request, counted by callgrind\n");
    println!("{:<12} {:<16} {:>12}", "connections", "server", "instructions");
    for connections in counts(options) {
        for server in wanted(options.modes) {
            let [few, many] = reports(CALLGRIND, server, connections, options)?.map(|r| collected(&r));
            let (Some(few), Some(many)) = (few, many) else {
                return Err(io::Error::other("valgrind did not say how much it collected"));
            };
            let each = (many as f64 - few as f64) / requests(connections, options) as f64;
            println!("{connections:<12} {:<16} {each:>12.1}", server.name);
        }
    }
    Ok(())
}

/// Prints which system calls each server makes for a request.
pub(crate) fn syscalls(options: &Options) -> io::Result<()> {
    child::raise_descriptors()?;
    println!("System calls for a request, counted by strace; in parentheses how many of them failed\n");
    println!("{:<12} {:<16} {:>6}", "connections", "server", "calls");
    for connections in counts(options) {
        for server in wanted(options.modes) {
            let [few, many] = reports(STRACE, server, connections, options)?.map(|r| calls(&r));
            let none = Calls::default();
            let mut parts = Vec::new();
            let mut total = 0.0;
            for (name, many) in &many {
                let few = few.get(name).unwrap_or(&none);
                let each =
                    |many: u64, few: u64| (many as f64 - few as f64) / requests(connections, options) as f64;
                let (made, failed) = (each(many.made, few.made), each(many.failed, few.failed));
                total += made;
                // Less is chance.
                if made >= 0.005 {
                    parts.push(if failed >= 0.005 {
                        format!("{name} {made:.2} ({failed:.2})")
                    } else {
                        format!("{name} {made:.2}")
                    });
                }
            }
            println!("{connections:<12} {:<16} {total:>6.2}   {}", server.name, parts.join(", "));
        }
    }
    Ok(())
}

fn counts(options: &Options) -> Vec<usize> {
    options.connections.map_or(CONNECTIONS.to_vec(), |count| vec![count])
}

/// How many requests the second run has more than the first.
fn requests(connections: usize, options: &Options) -> u64 {
    connections as u64 * bursts(connections, options)
}

fn bursts(connections: usize, options: &Options) -> u64 {
    let requests = options.requests.unwrap_or(if options.quick { REQUESTS / 10 } else { REQUESTS });
    requests.div_ceil(connections as u64)
}

/// The tool's reports on a server that answered few requests, and on one that answered many.
fn reports(tool: &[&str], server: &Server, connections: usize, options: &Options) -> io::Result<[String; 2]> {
    let report = |bursts: u64| {
        // The greetings are requests, too.
        let quota = (connections as u64 * (bursts + 1)).to_string();
        let mut child = Child::start_under(tool, &["serve", server.name, "--requests", &quota])?;
        let address = child.line()?.parse().map_err(io::Error::other)?;
        Load::connect(address, connections, Wait::Parked)?.bursts(bursts)?;
        child.finish()
    };
    Ok([report(WARM)?, report(WARM + bursts(connections, options))?])
}

/// From the line `Collected : NUMBER`.
fn collected(report: &str) -> Option<u64> {
    let (_, rest) = report.split_once("Collected :")?;
    rest.split_whitespace().next()?.parse().ok()
}

#[derive(Debug, Default, PartialEq)]
struct Calls {
    made: u64,
    failed: u64,
}

/// From the table with the columns share, seconds, time for each, calls, perhaps errors, and name.
fn calls(report: &str) -> BTreeMap<String, Calls> {
    let mut found = BTreeMap::new();
    for line in report.lines() {
        let columns: Vec<_> = line.split_whitespace().collect();
        let (made, failed, name) = match columns[..] {
            [_, _, _, made, failed, name] => (made, failed, name),
            [_, _, _, made, name] => (made, "0", name),
            _ => continue,
        };
        if let (Ok(made), Ok(failed), false) = (made.parse(), failed.parse(), name == "total") {
            found.insert(name.to_owned(), Calls { made, failed });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_of_callgrind_has_its_number() {
        let report = "==7== Events    : Ir\n==7== Collected : 123456\n==7==\n";
        assert_eq!(collected(report), Some(123_456));
        assert_eq!(collected("==7== killed"), None);
    }

    #[test]
    fn a_report_of_strace_has_its_calls() {
        let report = "\
strace: Process 8 attached
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 60.00    0.000600           1       600       100 recvfrom
 40.00    0.000400           1       400           sendto
------ ----------- ----------- --------- --------- ----------------
100.00    0.001000           1      1000       100 total
";
        let calls = calls(report);
        assert_eq!(calls.len(), 2);
        assert_eq!(calls["recvfrom"], Calls { made: 600, failed: 100 });
        assert_eq!(calls["sendto"], Calls { made: 400, failed: 0 });
    }
}

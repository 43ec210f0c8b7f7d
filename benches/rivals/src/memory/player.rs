//! The child that runs workloads on one runtime, as its parent asks for them, line by line.
//!
//! `NUMBER N` runs the workload of that number `N` times and answers with nanoseconds of CPU time;
//! `million N` runs the sleeps and answers as [`Outcome::to_line`](super::million::Outcome::to_line); `waiting N` and
//! `sleeping N` start so many tasks and answer with the bytes of one. The runtime of the workloads stays from line to
//! line: its memory is warm, as in a program that has been running.

use std::io::{self, BufRead, Write};

use super::runtime::Runtime;
use super::workloads::all;
use super::{bytes, million};

pub(crate) fn play<R: Runtime>() -> io::Result<()> {
    let (workloads, mut runtime) = (all::<R>(), R::new());
    let mut output = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let line = line?;
        let (what, n) = line.split_once(' ').unwrap_or_default();
        let n: u64 = n.parse().map_err(io::Error::other)?;
        let answer = match what {
            "million" => million::run::<R>(n).to_line(),
            "waiting" | "sleeping" => bytes::run::<R>(what, n)?.to_string(),
            number => {
                let number: usize = number.parse().map_err(io::Error::other)?;
                (workloads[number].run)(&mut runtime, n).as_nanos().to_string()
            }
        };
        // At once, for the parent takes what it can read for a whole line.
        output.write_all(format!("{answer}\n").as_bytes())?;
        output.flush()?;
    }
    Ok(())
}

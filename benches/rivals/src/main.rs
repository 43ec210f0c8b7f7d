//! evloop beside other runtimes, in memory and over TCP, and beside bare system calls.
//!
//! `cargo rivals` prints tables; `README.md` says what is measured and how. This one program is everything:
//! without a role it is the parent that starts the others, asks them in turn and prints; as `play SIDE` it
//! is a child that runs the workloads in memory on one runtime; as `serve SERVER` a child that is one echo
//! server. So no side shares memory, threads or a kernel's poller with another.

#[cfg(not(target_os = "linux"))]
compile_error!("the reference is epoll and the clocks are Linux's: this compares on Linux only");

mod child;
mod cores;
mod cpu_clock;
mod echo;
mod memory;
mod options;
mod stats;
mod versions;

use std::process::ExitCode;

use cores::Cores;
use options::{Options, Role};

fn main() -> ExitCode {
    let outcome = Options::parse(std::env::args().skip(1)).and_then(|options| match options.role {
        Role::Play(ref side) => child::play_a_part(options.core).and_then(|()| memory::play(side)),
        Role::Serve(ref server) => {
            child::play_a_part(options.core).and_then(|()| echo::serve(server, options.requests))
        }
        Role::Load(address) => echo::load(address, &options),
        Role::Instructions => echo::instructions(&options),
        Role::Syscalls => echo::syscalls(&options),
        Role::Compare => compare(&options),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rivals: {error}");
            ExitCode::FAILURE
        }
    }
}

fn compare(options: &Options) -> std::io::Result<()> {
    let cores = Cores::choose()?;
    println!("{}", versions::line());
    println!("{cores}\n");
    memory::compare(options, &cores)?;
    echo::compare(options, &cores)
}

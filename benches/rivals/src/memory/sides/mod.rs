//! The runtimes that take part. A new one is a file that implements [`Runtime`] and a line here.

mod evloop;
mod locks;
mod smol;
mod tokio;

use std::io;

use super::player;
use super::runtime::Runtime;

/// A runtime by name.
pub(crate) struct Side {
    pub(crate) name: &'static str,
    pub(crate) setup: &'static str,
    /// Its child's whole life.
    pub(crate) play: fn() -> io::Result<()>,
}

impl Side {
    const fn of<R: Runtime>() -> Self {
        Self { name: R::NAME, setup: R::SETUP, play: player::play::<R> }
    }
}

/// Any would do where only the names of the workloads are wanted.
pub(crate) type First = evloop::Evloop;

/// The first is what the others are compared with.
pub(crate) const SIDES: &[Side] = &[
    Side::of::<evloop::Evloop>(),
    Side::of::<tokio::CurrentThread>(),
    Side::of::<tokio::Local>(),
    Side::of::<smol::Smol>(),
];

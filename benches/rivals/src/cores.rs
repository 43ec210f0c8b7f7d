//! Who runs where: the children on one core, the load on another.

use std::fmt;
use std::io;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The first two cores that this process may use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cores {
    /// For the children, one of which works at a time.
    pub(crate) children: Option<usize>,
    /// For the parent, which makes the load.
    pub(crate) load: Option<usize>,
}

impl Cores {
    pub(crate) fn choose() -> io::Result<Self> {
        let allowed = sched_getaffinity(None)?;
        let mut cores = (0..CpuSet::MAX_CPU).filter(|&core| allowed.is_set(core));
        match (cores.next(), cores.next()) {
            (Some(children), Some(load)) => Ok(Self { children: Some(children), load: Some(load) }),
            // With a single core there is nothing to choose.
            _ => Ok(Self { children: None, load: None }),
        }
    }
}

impl fmt::Display for Cores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.children, self.load) {
            (Some(children), Some(load)) => {
                write!(
                    f,
                    "measured: processes of their own, on core {children}; load and parent on core {load}"
                )
            }
            _ => write!(
                f,
                "a single core: load and measured processes share it, figures of servers mean little"
            ),
        }
    }
}

/// Keeps this thread on a core.
pub(crate) fn pin(core: usize) -> io::Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    Ok(sched_setaffinity(None, &set)?)
}

/// Lets this thread run on any core but the one on which it is kept, if there is another.
pub(crate) fn leave() -> io::Result<()> {
    let own = sched_getaffinity(None)?;
    let mut others = CpuSet::new();
    (0..CpuSet::MAX_CPU).filter(|&core| !own.is_set(core)).for_each(|core| others.set(core));
    match sched_setaffinity(None, &others) {
        // None of them is there, or may be used.
        Err(rustix::io::Errno::INVAL) => Ok(()),
        result => Ok(result?),
    }
}

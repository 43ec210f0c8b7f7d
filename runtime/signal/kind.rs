//! Which signals one can listen to.

use std::fmt;
use std::io;

use super::unix;

/// A signal that a program can listen to.
///
/// # asyncio
/// Python's `signal.SIGTERM` and so on.
///
/// # Examples
/// ```
/// use evloop::signal::Signal;
///
/// assert_eq!(Signal::from_raw(15)?, Signal::SIGTERM);
/// assert_eq!(format!("{:?}", Signal::SIGTERM), "SIGTERM");
/// assert!(Signal::from_raw(9).unwrap_err().to_string().contains("SIGKILL cannot be caught"));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signal(u8);

/// Makes the constants, and the names for `Debug`.
macro_rules! signals {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        impl Signal {
            $($(#[$doc])* pub const $name: Self = Self(libc::$name as u8);)*
        }

        const NAMES: &[(Signal, &str)] = &[$((Signal::$name, stringify!($name)),)*];
    };
}

signals! {
    /// A timer of `alarm` has run out.
    SIGALRM;
    /// A child has ended, stopped or gone on.
    SIGCHLD;
    /// A stopped process goes on.
    SIGCONT;
    /// The terminal was closed; by custom: read your configuration again.
    SIGHUP;
    /// Ctrl-C.
    SIGINT;
    /// A pipe or socket was written to that nobody reads. (Rust programs ignore it: writing is an error.)
    SIGPIPE;
    /// Ctrl-\.
    SIGQUIT;
    /// Please end.
    SIGTERM;
    /// Ctrl-Z.
    SIGTSTP;
    /// A process in the background reads from its terminal.
    SIGTTIN;
    /// A process in the background writes to its terminal.
    SIGTTOU;
    /// Urgent data on a socket.
    SIGURG;
    /// For the program's own use.
    SIGUSR1;
    /// For the program's own use.
    SIGUSR2;
    /// The terminal's size has changed.
    SIGWINCH;
}

/// What nobody can catch.
const UNCATCHABLE: [(i32, &str); 2] = [(libc::SIGKILL, "SIGKILL"), (libc::SIGSTOP, "SIGSTOP")];

/// What the processor raises in the instruction that failed, and raises again if the handler returns.
const FAULTS: [(i32, &str); 4] = [
    (libc::SIGSEGV, "SIGSEGV"),
    (libc::SIGILL, "SIGILL"),
    (libc::SIGFPE, "SIGFPE"),
    (libc::SIGBUS, "SIGBUS"),
];

impl Signal {
    /// The signal of a number.
    ///
    /// # Errors
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if the system has no such signal, or keeps it for itself;
    /// [`Unsupported`](io::ErrorKind::Unsupported) for SIGKILL and SIGSTOP, which cannot be caught, and for
    /// SIGSEGV, SIGILL, SIGFPE and SIGBUS, after which nothing can go on.
    ///
    /// # asyncio
    /// `add_signal_handler` checks this; there it is `ValueError` and `RuntimeError`.
    pub fn from_raw(number: i32) -> io::Result<Self> {
        let named =
            |list: &[(i32, &'static str)]| list.iter().find(|(n, _)| *n == number).map(|(_, name)| *name);
        if let Some(name) = named(&UNCATCHABLE) {
            let text = format!("{name} cannot be caught: the system acts on it without asking the process");
            return Err(io::Error::new(io::ErrorKind::Unsupported, text));
        }
        if let Some(name) = named(&FAULTS) {
            let text = format!(
                "{name} cannot be listened to: it says that an instruction failed, which fails again if the \
                 program goes on"
            );
            return Err(io::Error::new(io::ErrorKind::Unsupported, text));
        }
        match u8::try_from(number) {
            Ok(small) if unix::exists(number) => Ok(Self(small)),
            _ => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{number} is not the number of a signal that this system lets a program have"),
            )),
        }
    }

    /// Its number.
    #[must_use]
    pub fn as_raw(self) -> i32 {
        self.0.into()
    }

    /// As the handler writes it.
    pub(super) fn byte(self) -> u8 {
        self.0
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(signal, _)| signal == self) {
            Some((_, name)) => f.write_str(name),
            None => write!(f, "Signal({})", self.0),
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(signal, _)| signal == self) {
            Some((_, name)) => f.write_str(name),
            None => write!(f, "signal {}", self.0),
        }
    }
}

impl TryFrom<i32> for Signal {
    type Error = io::Error;

    fn try_from(number: i32) -> io::Result<Self> {
        Self::from_raw(number)
    }
}

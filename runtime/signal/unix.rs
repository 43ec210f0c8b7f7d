//! The signal handler, and the system calls around it.
//!
//! The handler uses atomics, `getpid` and `write`, and, where nobody listens or a process is to end by a signal
//! after all, `sigaction` and `raise`: all of them may be used in a handler. It takes no lock and no memory, and leaves `errno`
//! as it was.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::RawFd;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering};

use libc::{c_int, c_void, siginfo_t};

use super::post_box::{INTERRUPT, NUMBERS, PostBox};

/// The list of all post boxes; it only grows, at its head.
static POST_BOXES: AtomicPtr<PostBox> = AtomicPtr::new(ptr::null_mut());

/// What was there before our handler, for each signal.
static FORMER: [Former; NUMBERS] = [const { Former::new() }; NUMBERS];

/// What the handler has to know of the action before it.
struct Former {
    /// `SIG_DFL`, `SIG_IGN`, or a function with one argument.
    plain: AtomicUsize,
    /// A function with three arguments, or 0. A word of its own: which word a function was found in says how it
    /// is to be called, whatever changes meanwhile.
    with_info: AtomicUsize,
    /// The process that listens; 0 if nobody does.
    process: AtomicU32,
}

/// What to call after ours.
enum Call {
    Nothing,
    Plain(usize),
    WithInfo(usize),
}

impl Former {
    const fn new() -> Self {
        Self {
            plain: AtomicUsize::new(libc::SIG_IGN),
            with_info: AtomicUsize::new(0),
            process: AtomicU32::new(0),
        }
    }

    /// The handler may run meanwhile, and may find nothing to call then.
    fn set(&self, handler: usize, with_info: bool) {
        let (plain, with_info) = if with_info { (libc::SIG_IGN, handler) } else { (handler, 0) };
        self.with_info.store(0, Ordering::SeqCst);
        self.plain.store(plain, Ordering::SeqCst);
        self.with_info.store(with_info, Ordering::SeqCst);
    }

    fn call(&self) -> Call {
        match self.with_info.load(Ordering::SeqCst) {
            0 => match self.plain.load(Ordering::SeqCst) {
                libc::SIG_DFL | libc::SIG_IGN => Call::Nothing,
                function => Call::Plain(function),
            },
            function => Call::WithInfo(function),
        }
    }

    fn is_default(&self) -> bool {
        self.with_info.load(Ordering::SeqCst) == 0 && self.plain.load(Ordering::SeqCst) == libc::SIG_DFL
    }
}

type WithInfo = extern "C" fn(c_int, *mut siginfo_t, *mut c_void);

/// What the system does with a signal.
#[derive(Clone, Copy)]
pub(super) struct Action(libc::sigaction);

impl Action {
    fn handler(&self) -> usize {
        self.0.sa_sigaction
    }

    pub(super) fn is_ours(&self) -> bool {
        self.handler() == ours()
    }

    pub(super) fn is_default(&self) -> bool {
        self.handler() == libc::SIG_DFL
    }

    pub(super) fn is_function(&self) -> bool {
        !self.is_default() && self.handler() != libc::SIG_IGN
    }

    /// It is a function with three arguments.
    fn takes_info(&self) -> bool {
        self.is_function() && self.0.sa_flags & libc::SA_SIGINFO != 0
    }

    /// The action of a signal at present.
    pub(super) fn of(number: c_int) -> io::Result<Self> {
        let mut action = MaybeUninit::zeroed();
        // SAFETY: a null pointer asks and changes nothing; the other is valid for writes of an action.
        let result = unsafe { libc::sigaction(number, ptr::null(), action.as_mut_ptr()) };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: all zeros are an action, and the call has written over them what the system has. That may be less than
        // the whole: a C library's mask has room for more signals than there are.
        Ok(Self(unsafe { action.assume_init() }))
    }

    /// Makes it the signal's action, and returns the one before.
    fn replace(&self, number: c_int) -> io::Result<Self> {
        let mut former = MaybeUninit::zeroed();
        // SAFETY: both pointers are valid. Installed are our own handler, which obeys the rules for handlers,
        // default actions, and what the system itself has given us as an action that was installed before.
        let result = unsafe { libc::sigaction(number, &raw const self.0, former.as_mut_ptr()) };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: as above.
        Ok(Self(unsafe { former.assume_init() }))
    }

    /// Our handler, or another one, without anything else.
    fn new(handler: usize, flags: c_int) -> Self {
        // SAFETY: an action consists of numbers, a mask of numbers and an optional function: all zeros are valid.
        let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
        action.sa_sigaction = handler;
        action.sa_flags = flags;
        // SAFETY: a valid pointer to a mask.
        unsafe { libc::sigemptyset(&raw mut action.sa_mask) };
        Self(action)
    }
}

fn ours() -> usize {
    on_signal as WithInfo as usize
}

/// Whether the system lets a program have the signal.
pub(super) fn exists(number: c_int) -> bool {
    (1..NUMBERS as c_int).contains(&number) && Action::of(number).is_ok()
}

/// Installs our handler and returns the action before it, which our handler calls if `chained`.
pub(super) fn install(number: c_int, chained: bool) -> io::Result<Action> {
    let place = &FORMER[number as usize];
    let remember = |former: &Action| {
        let handler = if chained || !former.is_function() { former.handler() } else { libc::SIG_IGN };
        place.set(handler, handler == former.handler() && former.takes_info());
    };
    // Before the first signal can come; and once more, should another thread have changed it meanwhile.
    let former = Action::of(number)?;
    remember(&former);
    let mut action = Action::new(ours(), libc::SA_SIGINFO | libc::SA_RESTART | libc::SA_ONSTACK);
    if former.is_function() {
        // It wants these held back while it runs.
        action.0.sa_mask = former.0.sa_mask;
    }
    let former = action.replace(number)?;
    remember(&former);
    Ok(former)
}

/// This process listens to the signal: it is not the copy of one that does.
pub(super) fn listens_here(number: c_int, process: u32) {
    FORMER[number as usize].process.store(process, Ordering::SeqCst);
}

/// Nobody listens to the signal any more. From here on our handler, should it still be in place or be put back by
/// somebody who has saved it, does what was done before.
pub(super) fn nobody_listens(number: c_int) {
    FORMER[number as usize].process.store(0, Ordering::SeqCst);
}

/// Puts an action back if ours is still there; says whether it was.
pub(super) fn restore(number: c_int, former: &Action) -> bool {
    is_in_place(number) && former.replace(number).is_ok()
}

/// The first of all post boxes.
pub(super) fn post_boxes() -> Option<&'static PostBox> {
    // SAFETY: null, or what `add_post_box` has put there: a box that is never freed, and was whole before.
    unsafe { POST_BOXES.load(Ordering::Acquire).as_ref() }
}

/// Makes one more post box. Under the registry's lock.
pub(super) fn add_post_box() -> &'static PostBox {
    let post_box: &'static PostBox = Box::leak(Box::new(PostBox::new(post_boxes())));
    POST_BOXES.store(ptr::from_ref(post_box).cast_mut(), Ordering::Release);
    post_box
}

/// Whether this is the thread that `main` runs on.
pub(super) fn on_main_thread(process: u32) -> bool {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        // SAFETY: it has no arguments and cannot fail.
        let thread = unsafe { libc::gettid() };
        u32::try_from(thread) == Ok(process)
    }
    // Elsewhere by the name that std gives it. A host that is no Rust program has none there, and keeps its Ctrl-C.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    {
        let _ = process;
        std::thread::current().name() == Some("main")
    }
}

/// The handler.
extern "C" fn on_signal(number: c_int, info: *mut siginfo_t, context: *mut c_void) {
    let errno = errno();
    // SAFETY: the place of this thread's `errno`.
    let before = unsafe { *errno };
    let place = &FORMER[number as usize % NUMBERS];
    if !tell(number, place) {
        end_by(number);
    }
    // SAFETY: as above.
    unsafe { *errno = before };
    match place.call() {
        Call::Nothing => {}
        Call::Plain(former) => {
            // SAFETY: only `Former::set` writes there, and only what the system had as a handler with one argument.
            let former = unsafe { std::mem::transmute::<usize, extern "C" fn(c_int)>(former) };
            former(number);
        }
        Call::WithInfo(former) => {
            // SAFETY: as above, with three; these are the system's own.
            let former = unsafe { std::mem::transmute::<usize, WithInfo>(former) };
            former(number, info, context);
        }
    }
}

/// Tells the loops that listen; `false` if the process has to end by the signal.
fn tell(number: c_int, place: &Former) -> bool {
    // SAFETY: it has no arguments and cannot fail.
    let process = unsafe { libc::getpid() } as u32;
    let mut heard = false;
    let mut next = post_boxes();
    while let Some(post_box) = next {
        if let Some(inside) = post_box.enter(process).filter(|inside| inside.wants(number as u8)) {
            inside.put(number as u8, write);
            heard = true;
        }
        next = post_box.next;
    }
    if heard {
        return true;
    }
    let mut next = post_boxes().filter(|_| number == libc::SIGINT);
    while let Some(post_box) = next {
        if let Some(inside) = post_box.enter(process).filter(|inside| inside.wants(INTERRUPT)) {
            // The loop has not even noticed the one before: something in it is stuck.
            return inside.interrupt(write);
        }
        next = post_box.next;
    }
    // Nobody listens: they have left, or this is a forked child. If another handler stands above ours and calls it,
    // the signal is that one's.
    let listens = place.process.load(Ordering::SeqCst) == process;
    listens || !place.is_default() || by_default_ignored(number) || !is_in_place(number)
}

fn is_in_place(number: c_int) -> bool {
    Action::of(number).is_ok_and(|now| now.is_ours())
}

/// Whether the default action is none: then nothing needs to be changed for it to happen.
fn by_default_ignored(number: c_int) -> bool {
    matches!(number, libc::SIGCHLD | libc::SIGCONT | libc::SIGURG | libc::SIGWINCH)
}

/// Tries to write a byte.
fn write(pipe: RawFd, byte: u8) -> bool {
    loop {
        // SAFETY: one byte that is there. The descriptor is open: `Inside`, whose `put` calls this, keeps it so.
        let written = unsafe { libc::write(pipe, (&raw const byte).cast(), 1) };
        if written == 1 {
            return true;
        }
        // SAFETY: the place of this thread's `errno`.
        if unsafe { *errno() } != libc::EINTR {
            return false;
        }
    }
}

/// Lets the default action happen, as soon as the handler has returned.
fn end_by(number: c_int) {
    let _ = Action::new(libc::SIG_DFL, 0).replace(number);
    // SAFETY: a signal to this very thread, where it is held back until the handler has returned.
    unsafe { libc::raise(number) };
}

/// Where this thread's `errno` is.
fn errno() -> *mut c_int {
    #[cfg(any(target_os = "solaris", target_os = "illumos"))]
    use libc::___errno as place;
    #[cfg(any(
        target_os = "android",
        target_os = "netbsd",
        target_os = "openbsd",
        target_os = "cygwin"
    ))]
    use libc::__errno as place;
    #[cfg(any(target_os = "linux", target_os = "hurd", target_os = "emscripten", target_os = "redox"))]
    use libc::__errno_location as place;
    #[cfg(target_os = "dragonfly")]
    use libc::__errno_location as place;
    #[cfg(any(target_vendor = "apple", target_os = "freebsd"))]
    use libc::__error as place;
    #[cfg(target_os = "aix")]
    use libc::_Errno as place;
    #[cfg(target_os = "haiku")]
    use libc::_errnop as place;
    // SAFETY: it has no arguments, and the place it returns is this thread's own.
    unsafe { place() }
}

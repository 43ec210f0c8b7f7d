//! A descriptor and its registration under one owner, so that it leaves the poller before it is closed.
//!
//! A number that is closed first may be somebody else's descriptor by the time it is deleted. Here the
//! order cannot be wrong: the descriptor is inside and comes out only after its registration has ended.
//!
//! The registration is made when somebody has to wait for the first time, through `&self` and therefore
//! once; `&mut self` can end it and let another poller have the descriptor. The owner is `Send` and `Sync`
//! if its parts are.

use std::io;
use std::mem::ManuallyDrop;
use std::ptr;
use std::sync::OnceLock;

use polling::AsSource;

use super::{Interest, PollMode, RawSource, SharedPoller, raw};

/// See the module's description. `P` says where it is registered: it leads to the poller, and is dropped after
/// the registration has ended.
pub(crate) struct Watched<T: AsSource, P: AsRef<SharedPoller>> {
    /// `&mut T` is given to nobody, so a socket's descriptor is the same one for life. What else is watched
    /// (`AsyncFd`) may exchange its own inside of itself, against its documentation: what it loses is its own
    /// events, or those of the descriptor that it took in.
    io: T,
    place: OnceLock<P>,
}

impl<T: AsSource, P: AsRef<SharedPoller>> Watched<T, P> {
    pub(crate) fn new(io: T) -> Self {
        Self { io, place: OnceLock::new() }
    }

    #[inline]
    pub(crate) fn io(&self) -> &T {
        &self.io
    }

    /// Where it is registered.
    #[inline]
    pub(crate) fn place(&self) -> Option<&P> {
        self.place.get()
    }

    /// The descriptor's number: good as long as `self`.
    pub(crate) fn raw(&self) -> RawSource {
        raw(&self.io)
    }

    /// Registers it. It fails if the system refuses, or with [`io::ErrorKind::AlreadyExists`] if another thread
    /// was faster.
    pub(crate) fn bind(&self, place: P, key: usize, interest: Interest, mode: PollMode) -> io::Result<()> {
        place.as_ref().add(&self.io, key, interest, mode)?;
        self.place.set(place).map_err(|place| {
            let _ = place.as_ref().delete(self.raw());
            io::ErrorKind::AlreadyExists.into()
        })
    }

    /// Ends the registration, on any thread; says where it was.
    pub(crate) fn unbind(&mut self) -> Option<P> {
        let place = self.place.take()?;
        // It fails if somebody has closed the descriptor behind our back; then it has left by itself.
        let _ = place.as_ref().delete(self.raw());
        Some(place)
    }

    /// The descriptor, out of any poller.
    pub(crate) fn into_io(mut self) -> T {
        drop(self.unbind());
        let this = ManuallyDrop::new(self);
        // SAFETY: `this` is dropped by nobody, so this is the only owner of `io`; `place` is empty.
        unsafe { ptr::read(&raw const this.io) }
    }
}

impl<T: AsSource, P: AsRef<SharedPoller>> Drop for Watched<T, P> {
    fn drop(&mut self) {
        self.unbind();
    }
}

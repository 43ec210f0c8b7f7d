//! The way home for a thing that is carried about: which loop is its home, and mail to it.

use super::context::{Home, RemoteRef, with_current};
use super::loop_handle::LoopHandle;
use super::proxy::post;

/// A reference to a loop for something that belongs to it and may be anywhere. It is no
/// [`LoopProxy`](super::LoopProxy): nothing new comes by it, so the virtual clock does not care.
#[derive(Clone)]
pub(crate) struct Errand {
    remote: RemoteRef,
}

impl Errand {
    pub(crate) fn of(handle: &LoopHandle) -> Self {
        Self { remote: RemoteRef::new(handle.loop_ref()) }
    }

    /// The number of the loop.
    pub(crate) fn loop_id(&self) -> u64 {
        self.remote.shared().id
    }

    /// The loop's state, if this code runs in that loop.
    pub(crate) fn home_if_current(&self) -> Option<&Home> {
        self.remote.home_if_current()
    }

    /// Has `f` called at home, as any callback; a loop that is gone drops it.
    pub(crate) fn send(&self, f: impl FnOnce(&Home) + Send + 'static) {
        // A loop that is gone has nothing of this thing any more.
        let _ = post(&self.remote, move || {
            with_current(|_, home| f(home));
        });
    }
}

//! What stays on its thread and what may leave it, as the compiler sees it.

use std::rc::Rc;

use evloop::channel::{broadcast, mpsc, oneshot, watch};
use evloop::{context, queue, sync};

/// Asks which of the two it is; ambiguous, which is an error, of a type that is `Send`.
trait Stays<Because> {
    const IS_BOUND: () = ();
}

struct NotSync;
impl<T: ?Sized> Stays<()> for T {}
impl<T: ?Sized + Send> Stays<u8> for T {}
impl<T: ?Sized + Sync> Stays<NotSync> for T {}

macro_rules! stay {
    ($($bound:ty),* $(,)?) => { $(const _: () = <$bound as Stays<_>>::IS_BOUND;)* };
}

stay!(
    sync::Barrier,
    sync::BoundedSemaphore,
    sync::Condition,
    sync::Event,
    sync::Lock<()>,
    sync::LockGuard<'_, ()>,
    sync::MappedLockGuard<'_, ()>,
    sync::MappedRwLockWriteGuard<'_, ()>,
    sync::OnceCell<()>,
    sync::OwnedPermit,
    sync::Permit<'_>,
    sync::Promise<()>,
    sync::RwLock<()>,
    sync::RwLockReadGuard<'_, ()>,
    sync::RwLockWriteGuard<'_, ()>,
    sync::Semaphore,
    queue::Queue<()>,
    mpsc::Permit<'_, ()>,
    mpsc::Receiver<()>,
    mpsc::Sender<()>,
    mpsc::UnboundedSender<()>,
    oneshot::Receiver<()>,
    oneshot::Sender<()>,
    broadcast::Receiver<()>,
    broadcast::Sender<()>,
    watch::Receiver<()>,
    watch::Sender<()>,
    watch::Snapshot<()>,
    context::Context,
    context::Token<()>,
);

const fn travel<T: Send + Sync + 'static>() {}

/// Errors go wherever a `Box<dyn Error + Send + Sync>` is wanted, numbers to whoever draws them.
const _: () = {
    travel::<sync::WouldWait>();
    travel::<sync::BrokenBarrierError>();
    travel::<sync::ReleasedTooOften>();
    travel::<sync::InvalidStateError>();
    travel::<queue::QueueShutDown>();
    travel::<mpsc::SendError>();
    travel::<mpsc::TrySendError>();
    travel::<mpsc::TryRecvError>();
    travel::<oneshot::RecvError>();
    travel::<broadcast::Lagged>();
    travel::<broadcast::RecvError>();
    travel::<broadcast::TryRecvError>();
    travel::<evloop::NotAtHome>();
    travel::<sync::BarrierStats>();
    travel::<sync::ConditionStats>();
    travel::<sync::EventStats>();
    travel::<sync::LockStats>();
    travel::<sync::OnceCellStats>();
    travel::<sync::RwLockStats>();
    travel::<sync::SemaphoreStats>();
    travel::<queue::QueueStats>();
    travel::<mpsc::Stats>();
    travel::<context::ContextVar<Rc<()>>>();
};

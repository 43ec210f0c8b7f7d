//! `waiting()` of who waits for another thread, and for the locks of which others hold the key.

use std::future::pending;
use std::rc::Rc;

use evloop::channel::thread;
use evloop::{OnceCell, RwLock, create_task, yield_now};

use super::waiting::words;

#[evloop::test]
async fn a_channel_between_threads_says_what_it_is() {
    let empty = async {
        let (_sender, mut receiver) = thread::channel::<u8>(1);
        receiver.recv().await;
    };
    assert_eq!(words(empty).await, "thread::Receiver::recv");
    let full = async {
        let (sender, _receiver) = thread::channel(1);
        sender.send(1).await.unwrap();
        sender.send(2).await.unwrap();
    };
    assert_eq!(words(full).await, "thread::Sender::send");
    let wanted = async {
        let (sender, _receiver) = thread::unbounded::<u8>();
        sender.closed().await;
    };
    assert_eq!(words(wanted).await, "thread::Sender::closed");
}

#[evloop::test]
async fn who_waits_for_another_kind_of_lock_names_its_holder() {
    evloop::current_task().unwrap().set_name("holder");
    let lock = Rc::new(RwLock::new(()));
    let wants = || {
        let lock = lock.clone();
        async move { drop(lock.read().await) }
    };
    let held = lock.write().await;
    assert_eq!(words(wants()).await, "RwLock, held by holder");
    drop(held);

    let cell = Rc::new(OnceCell::<u8>::new());
    let making = || {
        let cell = cell.clone();
        async move { _ = cell.get_or_init(pending).await }
    };
    let maker = create_task(making());
    maker.set_name("maker");
    yield_now().await;
    assert_eq!(words(making()).await, "OnceCell::get_or_init, held by maker");
}

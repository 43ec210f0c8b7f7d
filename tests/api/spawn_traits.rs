//! The ecosystem's spawning traits: a library that is handed an executor can be handed ours.

use std::rc::Rc;

use evloop::testing::settle;
use evloop::time::secs;
use evloop::{get_running_loop, sleep, to_thread, yield_now};
use futures::task::{LocalSpawn, LocalSpawnExt, Spawn, SpawnExt};

use crate::support::{Log, forever_with, virtual_loop};

#[evloop::test]
async fn a_loop_handle_spawns_local_futures() {
    let (handle, log) = (get_running_loop().unwrap(), Log::new());
    let not_send = Rc::new(log.clone());
    assert!(handle.status_local().is_ok());
    handle.spawn_local(async move { not_send.push("ran") }).unwrap();
    assert_eq!(log.take(), [""; 0]);
    settle().await;
    assert_eq!(log.take(), ["ran"]);
}

#[evloop::test]
async fn a_loop_handle_spawns_send_futures() {
    let handle = get_running_loop().unwrap();
    let (sender, ran) = std::sync::mpsc::channel();
    assert!(Spawn::status(&handle).is_ok());
    SpawnExt::spawn(&handle, async move { sender.send("ran").unwrap() }).unwrap();
    settle().await;
    assert_eq!(ran.try_recv(), Ok("ran"));
}

#[evloop::test]
async fn a_library_can_take_the_loop_as_its_executor() {
    async fn library(spawner: &dyn LocalSpawn) -> u64 {
        let handles: Vec<_> = (1..=3)
            .map(|n| {
                let work = async move {
                    sleep(secs(n)).await;
                    n
                };
                spawner.spawn_local_with_handle(work).unwrap()
            })
            .collect();
        futures::future::join_all(handles).await.into_iter().sum()
    }
    let start = evloop::now();
    assert_eq!(library(&get_running_loop().unwrap()).await, 6);
    assert_eq!(evloop::now() - start, secs(3));
}

#[evloop::test]
async fn a_dropped_remote_handle_of_futures_ends_its_task() {
    let (handle, log) = (get_running_loop().unwrap(), Log::new());
    let remote = handle.spawn_local_with_handle(forever_with(log.on_drop("dropped"))).unwrap();
    settle().await;
    drop(remote);
    settle().await;
    assert_eq!(log.take(), ["dropped"]);
}

#[test]
fn a_closed_loop_says_that_it_is_shut_down() {
    let (event_loop, log) = (virtual_loop(), Log::new());
    let (handle, proxy) = (event_loop.handle(), event_loop.handle().proxy());
    drop(event_loop);
    assert!(handle.status_local().unwrap_err().is_shutdown());
    assert!(Spawn::status(&handle).unwrap_err().is_shutdown());
    let refused = handle.spawn_local(forever_with(log.on_drop("dropped")));
    assert!(refused.unwrap_err().is_shutdown());
    assert_eq!(log.take(), ["dropped"]);
    assert!(SpawnExt::spawn(&proxy, async {}).unwrap_err().is_shutdown());
}

#[evloop::test(clock = "real")]
async fn a_proxy_is_a_spawner_of_futures() {
    let proxy = get_running_loop().unwrap().proxy();
    assert!(Spawn::status(&proxy).is_ok());
    let answer = to_thread(move || {
        let handle = proxy.spawn_with_handle(async {
            yield_now().await;
            std::thread::current().id()
        });
        futures::executor::block_on(handle.unwrap())
    });
    assert_eq!(answer.await, std::thread::current().id());
}

//! What primitives and queues say of themselves while tasks hold them and wait for them.

use std::rc::Rc;

use evloop::sync::RwLockWriteGuard;
use evloop::{
    Barrier, Condition, Event, Lock, OnceCell, Promise, Queue, RwLock, Semaphore, Task, create_task,
    current_task, gather, yield_now,
};

/// Tasks that do the same with something they share.
fn several<T: 'static, R: 'static>(
    count: usize,
    shared: &Rc<T>,
    body: impl AsyncFnOnce(&T) -> R + Clone + 'static,
) -> Vec<Task<R>> {
    let start = |_| {
        let (shared, body) = (shared.clone(), body.clone());
        create_task(async move { body(&shared).await })
    };
    (0..count).map(start).collect()
}

#[evloop::test(order = "fifo")]
async fn a_lock_knows_who_holds_it() {
    let lock = Rc::new(Lock::new(()));
    let leave = Promise::new();
    let ours = lock.acquire().await;
    assert_eq!(lock.stats().holder, Some(current_task().unwrap().id()));
    let others = several(3, &lock, {
        let leave = leave.clone();
        async move |lock: &Lock<()>| {
            let _guard = lock.acquire().await;
            leave.await.unwrap();
        }
    });
    yield_now().await;
    assert_eq!((lock.stats().waiters, lock.stats().peak_waiters), (3, 3));
    drop(ours);
    let stats = lock.stats();
    assert_eq!((stats.locked, stats.holder, stats.waiters), (false, None, 2), "promised, not held");
    yield_now().await;
    assert_eq!(lock.stats().holder, Some(others[0].id()));
    leave.set_result(()).unwrap();
    gather(others).await.unwrap();
    let stats = lock.stats();
    assert_eq!((stats.locked, stats.waiters, stats.peak_waiters), (false, 0, 3));
}

#[test]
fn outside_of_a_task_there_is_no_holder() {
    let lock = Lock::new(());
    let _guard = lock.acquire_nowait();
    assert_eq!((lock.stats().locked, lock.stats().holder), (true, None));
}

#[evloop::test(order = "fifo")]
async fn a_read_write_lock_knows_who_writes() {
    let lock = Rc::new(RwLock::new(()));
    let id = current_task().unwrap().id();
    let writing = lock.write().await;
    assert_eq!((lock.stats().write_locked, lock.stats().writer, lock.stats().readers), (true, Some(id), 0));
    let readers = several(2, &lock, async |lock: &RwLock<()>| drop(lock.read().await));
    let writers = several(1, &lock, async |lock: &RwLock<()>| {
        let _guard = lock.write().await;
        assert_eq!(lock.stats().writer, Some(current_task().unwrap().id()));
    });
    yield_now().await;
    assert_eq!((lock.stats().waiters, lock.stats().peak_waiters), (3, 3));
    let reading = RwLockWriteGuard::downgrade(writing);
    let stats = lock.stats();
    assert_eq!((stats.write_locked, stats.writer, stats.readers, stats.waiters), (false, None, 3, 1));
    gather(readers).await.unwrap();
    drop(reading);
    let stats = lock.stats();
    assert_eq!((stats.write_locked, stats.writer), (true, None), "promised");
    gather(writers).await.unwrap();
    assert!(!lock.stats().write_locked);
}

#[evloop::test(order = "fifo")]
async fn the_others_know_how_many_wait() {
    let semaphore = Rc::new(Semaphore::new(2));
    let permits = semaphore.acquire_many(2).await;
    let waiting = several(2, &semaphore, async |semaphore: &Semaphore| drop(semaphore.acquire().await));
    yield_now().await;
    let stats = semaphore.stats();
    assert_eq!((stats.available_permits, stats.waiters, stats.peak_waiters), (0, 2, 2));
    drop(permits);
    gather(waiting).await.unwrap();
    let stats = semaphore.stats();
    assert_eq!((stats.available_permits, stats.waiters, stats.peak_waiters), (2, 0, 2));

    let event = Rc::new(Event::new());
    let waiting = several(2, &event, async |event: &Event| event.wait().await);
    yield_now().await;
    assert_eq!((event.stats().is_set, event.stats().waiters), (false, 2));
    event.set();
    assert_eq!((event.stats().is_set, event.stats().waiters, event.stats().peak_waiters), (true, 0, 2));
    gather(waiting).await.unwrap();

    let shared = Rc::new((Lock::new(()), Condition::new()));
    let waiting = several(2, &shared, async |(lock, condition): &(Lock<()>, Condition)| {
        drop(condition.wait(lock.acquire().await).await);
    });
    yield_now().await;
    yield_now().await;
    assert_eq!(shared.1.stats().waiters, 2);
    let guard = shared.0.acquire().await;
    shared.1.notify_all(&guard);
    yield_now().await;
    assert_eq!((shared.1.stats().waiters, shared.1.stats().peak_waiters), (0, 2));
    assert_eq!(shared.0.stats().waiters, 2, "who was notified waits for the lock");
    drop(guard);
    gather(waiting).await.unwrap();

    let barrier = Rc::new(Barrier::new(2));
    let rounds = several(4, &barrier, async |barrier: &Barrier| barrier.wait().await.unwrap());
    yield_now().await;
    let stats = barrier.stats();
    assert_eq!((stats.waiters, stats.peak_waiters, stats.next_round), (0, 1, 2));
    gather(rounds).await.unwrap();

    let cell = Rc::new(OnceCell::new());
    let tasks = several(3, &cell, async |cell: &OnceCell<u8>| {
        *cell
            .get_or_init(async || {
                yield_now().await;
                7
            })
            .await
    });
    yield_now().await;
    let stats = cell.stats();
    assert_eq!((stats.is_set, stats.initializer, stats.waiters), (false, Some(tasks[0].id()), 2));
    gather(tasks).await.unwrap();
    let stats = cell.stats();
    assert_eq!((stats.is_set, stats.initializer, stats.waiters, stats.peak_waiters), (true, None, 0, 2));
}

#[evloop::test(order = "fifo")]
async fn a_queue_knows_its_sizes_and_who_waits() {
    let queue = Rc::new(Queue::new(2));
    let getters = several(3, &queue, async |queue: &Queue<u8>| queue.get().await.unwrap());
    yield_now().await;
    assert_eq!((queue.stats().getters, queue.stats().peak_getters), (3, 3));
    (0..2).for_each(|item| queue.put_nowait(item).unwrap());
    let putters = several(1, &queue, async |queue: &Queue<u8>| queue.put(9).await.unwrap());
    let joiners = several(1, &queue, async |queue: &Queue<u8>| queue.join().await);
    gather(getters).await.unwrap();
    gather(putters).await.unwrap();
    yield_now().await;
    let stats = queue.stats();
    assert_eq!((stats.size, stats.peak_size, stats.unfinished), (0, 2, 3));
    assert_eq!((stats.getters, stats.putters, stats.peak_putters, stats.joiners), (0, 0, 0, 1));
    (0..3).for_each(|_| queue.task_done());
    gather(joiners).await.unwrap();
    (0..2).for_each(|item| queue.put_nowait(item).unwrap());
    let putters = several(1, &queue, async |queue: &Queue<u8>| queue.put(9).await.unwrap_err().0);
    yield_now().await;
    assert_eq!((queue.stats().putters, queue.stats().peak_putters), (1, 1));
    queue.shutdown_now();
    assert_eq!(gather(putters).await.unwrap(), [9]);
    assert_eq!((queue.stats().size, queue.stats().putters), (0, 0));
}

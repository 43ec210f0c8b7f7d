//! CPython's `test_pep492`: guards for `async with`. The rest of it is about Python's syntax.

use std::rc::Rc;

use evloop::time::millis;
use evloop::{BoundedSemaphore, Condition, Lock, Semaphore, sleep};

#[evloop::test]
async fn test_context_manager_async_with() {
    let lock = Lock::new(());
    sleep(millis(10)).await;
    assert!(!lock.locked());
    {
        let _guard = lock.acquire().await;
        assert!(lock.locked());
        sleep(millis(10)).await;
        assert!(lock.locked());
    }
    assert!(!lock.locked());

    // A condition is used with the guard of a lock.
    let shared = Rc::new((Lock::new(()), Condition::new()));
    let notified = evloop::create_task({
        let shared = shared.clone();
        async move {
            let guard = shared.0.acquire().await;
            let _guard = shared.1.wait(guard).await;
            assert!(shared.0.locked());
        }
    });
    sleep(millis(10)).await;
    assert!(!shared.0.locked());
    {
        let guard = shared.0.acquire().await;
        shared.1.notify(&guard, 1);
        sleep(millis(10)).await;
        assert!(shared.0.locked() && !notified.done());
    }
    notified.await.unwrap();
    assert!(!shared.0.locked());

    let semaphore = Semaphore::new(1);
    {
        let _permit = semaphore.acquire().await;
        sleep(millis(10)).await;
        assert!(semaphore.locked());
    }
    assert!(!semaphore.locked());

    let bounded = BoundedSemaphore::new(1);
    {
        let _permit = bounded.acquire().await;
        sleep(millis(10)).await;
        assert!(bounded.locked());
    }
    assert!(!bounded.locked());
}

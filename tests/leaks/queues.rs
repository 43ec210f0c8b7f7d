//! Queues that are used while they ask for memory.

use std::cell::RefCell;
use std::rc::Rc;

use evloop::{PutNowaitError, Queue};

use crate::balance::{balanced, meddle};

thread_local! {
    static QUEUE: RefCell<Option<Rc<Queue<Box<u32>>>>> = const { RefCell::new(None) };
}

fn put(items: impl IntoIterator<Item = u32>) {
    let queue = QUEUE.with_borrow(|queue| queue.clone().expect("the test has set it"));
    let put = items.into_iter().try_for_each(|item| queue.put_nowait(Box::new(item)));
    assert!(matches!(put, Ok(()) | Err(PutNowaitError::QueueFull(_))));
}

/// An allocator that logs by a queue is unusual, and no reason to lose an item.
#[test]
fn an_allocator_may_use_the_queue_for_which_it_is_called() {
    const MEDDLERS: [fn(); 3] = [|| put(10..11), || put(10..14), || put(10..30)];
    for meddler in MEDDLERS {
        balanced(|| {
            let queue = Rc::new(Queue::new(0));
            QUEUE.set(Some(queue.clone()));
            // Full, as long as the first memory is for four; the box of the next is made before the allocator meddles.
            put(0..4);
            let last = Box::new(4);
            meddle(meddler);
            queue.put_nowait(last).unwrap();
            let items: Vec<u32> = std::iter::from_fn(|| queue.get_nowait().ok()).map(|item| *item).collect();
            let meddled = items.len() as u32 - 5;
            assert!(meddled > 0, "the allocator was called");
            assert!(items.into_iter().eq((0..4).chain(10..10 + meddled).chain([4])));
            QUEUE.set(None);
        });
    }
}

//! `waiting()`: what every task waits for, whatever that is.

use std::cell::RefCell;
use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::task::Poll;

use evloop::channel::{broadcast, mpsc, oneshot, watch};
use evloop::debug::{TaskWaits, waiting};
use evloop::time::{millis, secs};
use evloop::{
    AllCompleted, Barrier, Condition, ContextVar, Event, Lock, Promise, Queue, Semaphore, Task, TaskGroup,
    as_completed, catch_cancel, create_task, finally, gather, on_cancel, race, scope, select, shield, sleep,
    to_thread, wait, wait_for, yield_now,
};

/// What a task waits for that does this, in words.
pub(super) async fn words(future: impl Future<Output = ()> + 'static) -> String {
    let task = create_task(future);
    task.set_name("asked");
    yield_now().await;
    let said = words_of(&task).await;
    task.cancel();
    let _ = task.await;
    said
}

async fn words_of(task: &Task<()>) -> String {
    let table = waiting().await;
    let waits = table.iter().find(|waits| waits.task().id() == task.id()).expect("it is unfinished");
    let waits: Vec<_> = waits.waits().iter().map(ToString::to_string).collect();
    waits.join("; ")
}

#[evloop::test(order = "fifo")]
async fn every_primitive_says_what_it_is() {
    assert_eq!(words(nothing_to_get()).await, "Queue::get");
    let full = async {
        let queue = Queue::new(1);
        queue.put(1).await.unwrap();
        queue.put(2).await.unwrap();
    };
    assert_eq!(words(full).await, "Queue::put");
    let unfinished = async {
        let queue = Queue::new(1);
        queue.put(1).await.unwrap();
        queue.join().await;
    };
    assert_eq!(words(unfinished).await, "Queue::join");
    assert_eq!(words(async { Event::new().wait().await }).await, "Event::wait");
    assert_eq!(words(async { drop(Semaphore::new(0).acquire().await) }).await, "Semaphore::acquire");
    assert_eq!(words(async { _ = Barrier::new(2).wait().await }).await, "Barrier::wait");
    let condition = async {
        let (lock, condition) = (Lock::new(()), Condition::new());
        let guard = lock.acquire().await;
        drop(condition.wait(guard).await);
    };
    assert_eq!(words(condition).await, "Condition::wait");
    let promise = Promise::<u8>::new();
    let place = promise.location();
    assert_eq!(words(async { drop(promise.await) }).await, format!("Promise made at {place}"));
    assert_eq!(words(sleep(secs(5))).await, "a time that is 5s away");
    assert_eq!(words(async { drop(waiting().await) }).await, "", "it is answered together with this one");
    assert_eq!(words(pending()).await, "");
}

#[evloop::test]
async fn every_channel_says_what_it_is() {
    let empty = async {
        let (_sender, mut receiver) = mpsc::channel::<u8>(1);
        receiver.recv().await;
    };
    assert_eq!(words(empty).await, "mpsc::Receiver::recv");
    let full = async {
        let (sender, _receiver) = mpsc::channel(1);
        sender.send(1).await.unwrap();
        let _ = sender.send(2).await;
    };
    assert_eq!(words(full).await, "mpsc::Sender::send");
    let unread = async {
        let (sender, _receiver) = mpsc::unbounded::<u8>();
        sender.closed().await;
    };
    assert_eq!(words(unread).await, "mpsc::Sender::closed");
    let reply = async {
        let (_sender, receiver) = oneshot::channel::<u8>();
        let _ = receiver.await;
    };
    assert_eq!(words(reply).await, "oneshot::Receiver");
    let wanted = async {
        let (mut sender, _receiver) = oneshot::channel::<u8>();
        sender.closed().await;
    };
    assert_eq!(words(wanted).await, "oneshot::Sender::closed");
    let silent = async {
        let (_sender, mut receiver) = broadcast::channel::<u8>(1);
        let _ = receiver.recv().await;
    };
    assert_eq!(words(silent).await, "broadcast::Receiver::recv");
    let unchanged = async {
        let (_sender, mut receiver) = watch::channel(1);
        let _ = receiver.changed().await;
    };
    assert_eq!(words(unchanged).await, "watch::Receiver::changed");
    let watched = async {
        let (sender, _receiver) = watch::channel(1);
        sender.closed().await;
    };
    assert_eq!(words(watched).await, "watch::Sender::closed");
}

#[evloop::test]
async fn who_waits_for_tasks_names_them() {
    let other = || {
        let other = create_task(pending::<()>());
        other.set_name("other");
        other
    };
    let of = other();
    assert_eq!(words(async move { of.await.unwrap() }).await, "the end of other");
    let of = other();
    let (first, second) = (of.task_ref(), async move { (&of).await.unwrap() });
    first.add_done_callback(|_| ()); // then there is a list
    assert_eq!(words(second).await, "the end of other");
    let of = other();
    assert_eq!(words(async move { drop(wait([of], AllCompleted, None).await) }).await, "wait for other");
    let two = || {
        let tasks = [create_task(pending::<()>()), create_task(pending::<()>())];
        tasks[0].set_name("a");
        tasks[1].set_name("b");
        tasks
    };
    assert_eq!(words(async move { drop(gather(two()).await) }).await, "gather of a, b");
    let [a, _] = two();
    assert_eq!(words(async move { drop(shield(a).await) }).await, "the end of a");
    let group = async {
        TaskGroup::scope(async |tg| {
            tg.create_task(pending::<()>()).unwrap().set_name("child");
        })
        .await;
    };
    assert_eq!(words(group).await, "the children of its TaskGroup: child");
    let crowded = async {
        let group = TaskGroup::builder().limit(1);
        group
            .scope(async |tg| {
                let _ = tg.create_task(pending::<()>());
                let late = tg.create_task(async {}).unwrap();
                late.await.unwrap();
            })
            .await;
    };
    assert!(words(crowded).await.starts_with("the end of Task-"));
    let each = async {
        let ends = as_completed([pending::<()>()]);
        drop(ends.next().await);
    };
    assert_eq!(words(each).await, "as_completed");
}

#[evloop::test(order = "fifo")]
async fn who_waits_for_several_things_names_all() {
    let branches = || (nothing_to_get(), async { Event::new().wait().await });
    let both = "Queue::get; Event::wait";
    assert_eq!(words(async move { race(branches()).await }).await, both);
    let selected = async {
        let (a, b) = branches_pinned();
        drop(select([a, b]).await);
    };
    assert_eq!(words(selected).await, both);
    let borrowed = async {
        scope(async |s| {
            s.spawn(nothing_to_get());
            Event::new().wait().await;
        })
        .await;
    };
    assert_eq!(words(borrowed).await, "Event::wait; Queue::get", "the body first");
    let limited = async { _ = wait_for(async { Event::new().wait().await }, secs(3)).await };
    assert_eq!(words(limited).await, "Event::wait; a time that is 3s away");
    let caught = async { drop(catch_cancel(async { Event::new().wait().await }).await) };
    assert_eq!(words(caught).await, "Event::wait");
    let cleaned = async { finally(async { Event::new().wait().await }, async {}).await };
    assert_eq!(words(cleaned).await, "Event::wait");
}

async fn nothing_to_get() {
    assert!(Queue::<u8>::new(0).get().await.is_err());
}

type Branch = std::pin::Pin<Box<dyn Future<Output = ()>>>;

fn branches_pinned() -> (Branch, Branch) {
    (Box::pin(nothing_to_get()), Box::pin(async { Event::new().wait().await }))
}

#[evloop::test(order = "fifo")]
async fn who_waits_for_a_lock_names_its_holder() {
    let lock = Rc::new(Lock::new(()));
    let held = lock.acquire().await;
    evloop::current_task().unwrap().set_name("holder");
    let wants = lock.clone();
    assert_eq!(words(async move { drop(wants.acquire().await) }).await, "Lock::acquire, held by holder");
    drop(held);

    let keeps = lock.clone();
    let gone = create_task(async move { std::mem::forget(keeps.acquire().await) });
    gone.set_name("gone");
    gone.await.unwrap();
    let wants = lock.clone();
    let said = words(async move { drop(wants.acquire().await) }).await;
    assert!(
        said.starts_with("Lock::acquire, held by Task-") && said.ends_with(", which has ended"),
        "{said}"
    );
}

#[evloop::test(order = "fifo")]
async fn asking_moves_nothing() {
    let queue = Rc::new(Queue::new(0));
    let order = crate::support::Log::new();
    let tasks: Vec<_> = (0..3)
        .map(|n| {
            let (queue, order) = (queue.clone(), order.clone());
            create_task(async move {
                sleep(millis(1)).await;
                let item: u8 = queue.get().await.unwrap();
                order.push(format!("{n} got {item}"));
            })
        })
        .collect();
    for _ in 0..5 {
        assert_eq!(waiting().await.len(), 4);
    }
    sleep(millis(1)).await;
    for _ in 0..5 {
        let table = waiting().await;
        assert!(table[1..].iter().all(|waits| waits.waits()[0].what() == "Queue::get"));
    }
    for item in 1..=3 {
        queue.put(item).await.unwrap();
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(order.take(), ["0 got 1", "1 got 2", "2 got 3"]);
}

#[evloop::test(order = "fifo")]
async fn who_is_ready_or_has_a_request_before_it_is_not_asked() {
    let asked = create_task(on_cancel(pending::<()>(), async |c| c.rethrow().await));
    yield_now().await;
    let fresh = create_task(async {});
    let question = waiting();
    asked.cancel();
    let table = question.await;
    let of = |id| table.iter().find(|waits: &&TaskWaits| waits.task().id() == id);
    assert!(of(asked.id()).is_none_or(TaskWaits::is_ready));
    assert!(of(fresh.id()).is_none_or(TaskWaits::is_ready));
    assert!(asked.await.unwrap_err().is_cancelled());
    fresh.await.unwrap();
}

#[evloop::test(order = "fifo")]
async fn the_one_who_asks_is_in_the_table_with_all_that_it_waits_for() {
    evloop::current_task().unwrap().set_name("curious");
    let (table, ()) = futures::join!(waiting(), async { sleep(millis(3)).await });
    assert_eq!(table[0].task().name(), "curious");
    let said: Vec<_> = table[0].waits().iter().map(|wait| wait.what()).collect();
    assert_eq!(said, ["debug::waiting", "a time that is 3ms away"]);
}

#[evloop::test(order = "fifo")]
async fn a_question_that_is_dropped_asks_nobody() {
    let polls = Rc::new(std::cell::Cell::new(0));
    let counted = polls.clone();
    let task = create_task(std::future::poll_fn(move |_| {
        counted.set(counted.get() + 1);
        std::task::Poll::<()>::Pending
    }));
    yield_now().await;
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    let mut question = waiting();
    assert!(crate::support::poll_once(&mut question, &mut cx).is_pending());
    drop(question);
    yield_now().await;
    assert_eq!(polls.get(), 1);
    task.cancel();
    assert!(task.await.is_err());
}

#[evloop::test(clock = "real")]
async fn a_job_and_a_descriptor_say_what_they_are() {
    let (end, ended) = std::sync::mpsc::channel();
    let job = create_task(async move { to_thread(move || ended.recv().unwrap()).await });
    yield_now().await;
    assert_eq!(words_of(&job).await, "to_thread");
    end.send(()).unwrap();
    job.await.unwrap();

    let listener = evloop::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let said = words(async move { drop(listener.accept().await) }).await;
    assert!(said.starts_with("descriptor ") && said.ends_with(" to be readable"), "{said}");
}

#[test]
fn outside_of_a_loop_there_is_nobody_to_ask() {
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    let text = crate::support::panic_of(|| crate::support::poll_once(&mut waiting(), &mut cx));
    assert!(text.contains("waiting() needs a running loop"), "{text}");
}

#[evloop::test(order = "fifo")]
async fn a_task_that_is_asked_is_in_its_own_context() {
    static X: ContextVar<u32> = ContextVar::new("x");
    let seen = Rc::new(RefCell::new(Vec::new()));
    let see = {
        let seen = seen.clone();
        move || seen.borrow_mut().push(X.get())
    };
    let sees = || {
        let see = see.clone();
        poll_fn::<(), _>(move |_| {
            see();
            Poll::Pending
        })
    };
    let without = create_task(sees());
    let sets = {
        let see = see.clone();
        create_task(poll_fn::<(), _>(move |_| {
            see();
            X.set(2);
            Poll::Pending
        }))
    };
    yield_now().await;
    X.set(1);
    waiting().await;
    waiting().await;
    assert_eq!(*seen.borrow(), [None, None, None, Some(2), None, Some(2)]);
    assert_eq!(X.get(), Some(1));
    without.cancel();
    sets.cancel();
}

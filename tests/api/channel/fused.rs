//! `FusedStream`: whoever is told the end is told so by `is_terminated`, and nobody earlier.

use evloop::channel::{broadcast, mpsc, thread};
use evloop::time::secs;
use evloop::{as_completed, create_task, sleep, yield_now};
use futures::stream::{FusedStream, StreamExt};

/// Takes all that is in a stream that has ended and was not told so, and says how many those were.
async fn drain(stream: &mut (impl FusedStream + Unpin)) -> usize {
    let mut count = 0;
    loop {
        assert!(!stream.is_terminated(), "there is the end to be told, at least");
        if stream.next().await.is_none() {
            break;
        }
        count += 1;
    }
    assert!(stream.is_terminated());
    assert!(stream.next().await.is_none(), "and it stays so");
    assert!(stream.is_terminated());
    count
}

#[evloop::test]
async fn receivers_are_terminated_when_they_have_heard_of_the_end() {
    let (sender, mut receiver) = mpsc::channel(2);
    sender.send(1).await.unwrap();
    drop(sender);
    assert_eq!(drain(&mut receiver).await, 1);

    let (sender, mut receiver) = mpsc::unbounded();
    sender.send(1).unwrap();
    receiver.close();
    assert_eq!(drain(&mut receiver).await, 1);
    assert!(sender.send(2).is_err());

    let (sender, mut receiver) = thread::channel(2);
    sender.send(1).await.unwrap();
    drop(sender);
    assert_eq!(drain(&mut receiver).await, 1);

    let (sender, mut receiver) = thread::unbounded();
    sender.try_send(1).unwrap();
    receiver.close();
    assert_eq!(drain(&mut receiver).await, 1);
    assert!(sender.try_send(2).is_err());

    let (sender, mut receiver) = broadcast::channel(1);
    (1..4).for_each(|n| assert!(sender.send(n).is_ok()));
    drop(sender);
    assert_eq!(drain(&mut receiver).await, 2, "that some were missed, and the last");
    assert!(!receiver.resubscribe().is_terminated());
}

#[evloop::test]
async fn it_does_not_matter_how_a_receiver_has_heard_of_the_end() {
    let (sender, mut receiver) = mpsc::channel::<u8>(1);
    drop(sender);
    let mut buffer = Vec::new();
    assert_eq!(receiver.recv_many(&mut buffer, 0).await, 0);
    assert!(!receiver.is_terminated(), "that said nothing");
    assert_eq!(receiver.recv_many(&mut buffer, 1).await, 0);
    assert!(receiver.is_terminated());

    let (sender, mut receiver) = mpsc::channel::<u8>(1);
    let ends = create_task(async move {
        let received = receiver.recv().await;
        (received, receiver.is_terminated())
    });
    yield_now().await;
    drop(sender);
    assert_eq!(ends.await.unwrap(), (None, true));

    let (sender, mut receiver) = thread::channel::<u8>(1);
    drop(sender);
    assert_eq!(receiver.recv().await, None);
    assert!(receiver.is_terminated());

    let (sender, mut receiver) = broadcast::channel::<u8>(1);
    drop(sender);
    assert!(receiver.recv().await.is_err());
    assert!(receiver.is_terminated());
}

#[evloop::test]
async fn completions_are_terminated_after_the_last_or_the_error() {
    let mut none = as_completed([(); 0].map(|()| yield_now()));
    assert_eq!(drain(&mut none).await, 0);
    let mut all = as_completed([1, 2].map(|n| sleep(secs(n))));
    assert_eq!(drain(&mut all).await, 2);
    let mut all = as_completed([1, 2].map(|n| sleep(secs(n)))).timeout(secs(3));
    assert_eq!(drain(&mut all).await, 2);
    let mut late = as_completed([1, 20].map(|n| sleep(secs(n)))).timeout(secs(3));
    assert_eq!(drain(&mut late).await, 2, "one task and the error");
}

/// What it is for: a `select!` in a loop leaves out what has ended, and is complete when all have.
#[evloop::test]
async fn a_select_in_a_loop_goes_on_with_the_others() {
    let (numbers, mut from_numbers) = mpsc::channel(1);
    let (letters, mut from_letters) = thread::channel(1);
    let mut sleeps = as_completed([1, 3].map(|n| sleep(secs(n))));
    create_task(async move {
        for n in 0..3 {
            numbers.send(n).await.unwrap();
        }
    })
    .detach();
    create_task(async move {
        for letter in ['a', 'b'] {
            letters.send(letter).await.unwrap();
        }
    })
    .detach();
    let (mut sum, mut text, mut slept) = (0, String::new(), 0);
    loop {
        futures::select! {
            number = from_numbers.select_next_some() => sum += number,
            letter = from_letters.select_next_some() => text.push(letter),
            task = sleeps.select_next_some() => {
                task.await.unwrap();
                slept += 1;
            }
            complete => break,
        }
    }
    assert_eq!((sum, text.as_str(), slept), (3, "ab", 2));
}

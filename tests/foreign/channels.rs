//! The channel between loops and threads: all of its ends at once, those that block, those that are awaited, and those
//! that give up.

use std::future::poll_fn;
use std::io::Write;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use evloop::channel::thread::{Receiver, Sender, channel, unbounded};
use evloop::net::TcpListener;
use evloop::time::secs;
use evloop::{EventLoop, create_task, race, run, wait_for, yield_now};

use crate::support::{Anywhere, Chance, Ledger, Watch, beside};

/// Who sent it, its number, and whether it is dropped once.
type Item = (u64, u64, Anywhere);

/// Fails unless the items of each sender come in their order.
#[derive(Default)]
struct Order([u64; 4], usize);

impl Order {
    fn note(&mut self, (sender, number, _probe): Item) {
        let next = &mut self.0[sender as usize];
        assert!(number >= *next, "{number} of {sender} after {next}");
        *next = number + 1;
        self.1 += 1;
    }
}

/// Begins some sends and gives them up; says how many it has made.
async fn send_with_doubts(
    sender: &Sender<Item>,
    me: u64,
    items: u64,
    ledger: &Arc<Ledger>,
    chance: &mut Chance,
) -> usize {
    let mut sent = 0;
    for number in 0..items {
        let send = async { sender.send((me, number, ledger.anywhere())).await.is_ok() };
        if chance.below(3) == 0 {
            let patience = chance.below(3);
            let give_up = async {
                for _ in 0..patience {
                    yield_now().await;
                }
                false
            };
            sent += usize::from(race((send, give_up)).await);
        } else {
            sent += usize::from(send.await);
        }
    }
    sent
}

/// Receives until the end, and gives up now and then.
async fn receive_with_doubts(receiver: &mut Receiver<Item>, chance: &mut Chance) -> Order {
    let mut order = Order::default();
    loop {
        let item = if chance.below(4) == 0 {
            match wait_for(receiver.recv(), Duration::from_micros(chance.below(30))).await {
                Ok(item) => item,
                Err(_) => continue,
            }
        } else {
            receiver.recv().await
        };
        match item {
            Some(item) => order.note(item),
            None => return order,
        }
    }
}

#[test]
fn threads_feed_a_loop() {
    let _watch = Watch::new("threads feed a loop");
    let ledger = Arc::new(Ledger::default());
    for round in 0..20 {
        let (sender, mut receiver) =
            if round % 4 == 0 { unbounded() } else { channel(1 + round as usize % 7) };
        let senders: Vec<_> = (0..3).map(|_| std::sync::Mutex::new(Some(sender.clone()))).collect();
        drop(sender);
        let send = |me: u64| {
            let sender = senders[me as usize].lock().unwrap().take().unwrap();
            let mut chance = Chance::new(round * 10 + me);
            for number in 0..200 {
                sender.blocking_send((me, number, ledger.anywhere())).unwrap();
                chance.dawdle();
            }
        };
        let order =
            beside(3, send, || run(receive_with_doubts(&mut receiver, &mut Chance::new(round + 500))));
        assert_eq!(order.0, [200, 200, 200, 0]);
        assert_eq!(order.1, 600);
    }
    ledger.assert_balanced();
}

#[test]
fn a_loop_feeds_a_thread() {
    let _watch = Watch::new("a loop feeds a thread");
    let ledger = Arc::new(Ledger::default());
    for round in 0..20 {
        let (sender, mut receiver) = channel(1 + round as usize % 5);
        let consumer = thread::spawn(move || {
            let (mut order, mut chance) = (Order::default(), Chance::new(round));
            while let Some(item) = receiver.blocking_recv() {
                order.note(item);
                chance.dawdle();
            }
            order.1
        });
        let sent = run(async {
            let tasks: Vec<_> = (0..3)
                .map(|me| {
                    let (sender, ledger) = (sender.clone(), ledger.clone());
                    create_task(async move {
                        send_with_doubts(&sender, me, 100, &ledger, &mut Chance::new(round * 10 + me)).await
                    })
                })
                .collect();
            let mut sent = 0;
            for task in tasks {
                sent += task.await.unwrap();
            }
            sent
        });
        drop(sender);
        assert_eq!(consumer.join().unwrap(), sent, "what was given up was not sent");
    }
    ledger.assert_balanced();
}

#[test]
fn loops_feed_a_loop() {
    let _watch = Watch::new("loops feed a loop");
    let ledger = Arc::new(Ledger::default());
    for round in 0..15 {
        let (sender, mut receiver) = channel(1 + round as usize % 9);
        let senders: Vec<_> = (0..2).map(|_| std::sync::Mutex::new(Some(sender.clone()))).collect();
        drop(sender);
        let sent = AtomicUsize::new(0);
        let send = |me: u64| {
            let sender = senders[me as usize].lock().unwrap().take().unwrap();
            let mut chance = Chance::new(round * 10 + me);
            let count = run(send_with_doubts(&sender, me, 300, &ledger, &mut chance));
            sent.fetch_add(count, Ordering::SeqCst);
        };
        let order =
            beside(2, send, || run(receive_with_doubts(&mut receiver, &mut Chance::new(round + 500))));
        assert_eq!(order.1, sent.load(Ordering::SeqCst));
    }
    ledger.assert_balanced();
}

#[test]
fn whoever_goes_while_the_others_wait_leaves_nothing_behind() {
    let _watch = Watch::new("ends that go");
    let ledger = Arc::new(Ledger::default());
    for round in 0..60 {
        let (sender, mut receiver) = channel(2);
        let senders: Vec<_> = (0..2).map(|_| std::sync::Mutex::new(Some(sender.clone()))).collect();
        drop(sender);
        let send = |me: u64| {
            let sender = senders[me as usize].lock().unwrap().take().unwrap();
            let mut chance = Chance::new(round * 10 + me);
            let items = chance.below(30);
            for number in 0..items {
                // It may end while this waits: then the item comes back.
                if let Err(error) = sender.blocking_send((me, number, ledger.anywhere())) {
                    assert_eq!(error.into_inner().1, number);
                    assert!(sender.is_closed());
                    break;
                }
                chance.dawdle();
            }
        };
        beside(2, send, || {
            let mut chance = Chance::new(round);
            let mut event_loop = EventLoop::new().unwrap();
            let wanted = chance.below(30);
            let receives = event_loop.handle().create_task(async move {
                for _ in 0..wanted {
                    if receiver.recv().await.is_none() {
                        return;
                    }
                }
                if wanted.is_multiple_of(2) {
                    receiver.close();
                    while receiver.recv().await.is_some() {}
                }
                // Or it goes with what was not received.
            });
            if chance.below(3) == 0 {
                // The loop ends under it.
                for _ in 0..chance.below(10) {
                    event_loop.run_once(Some(Duration::from_micros(chance.below(60)))).unwrap();
                }
                drop(event_loop);
                drop(receives);
            } else {
                event_loop.run_until_complete(receives).unwrap().unwrap();
            }
        });
    }
    ledger.assert_balanced();
}

#[test]
fn a_receiver_moves_from_loop_to_loop_and_to_a_thread() {
    let _watch = Watch::new("a receiver that moves");
    let ledger = Arc::new(Ledger::default());
    for round in 0..20 {
        let (sender, mut receiver) = channel(3);
        let ledger_there = ledger.clone();
        let producer = thread::spawn(move || {
            for number in 0..90 {
                sender.blocking_send((0, number, ledger_there.anywhere())).unwrap();
            }
        });
        let mut order = Order::default();
        for _ in 0..3 {
            run(async {
                for _ in 0..10 {
                    order.note(receiver.recv().await.unwrap());
                }
            });
            for _ in 0..10 {
                order.note(receiver.blocking_recv_timeout(secs(60)).unwrap().unwrap());
            }
            let there = thread::spawn(move || {
                run(async {
                    for _ in 0..10 {
                        order.note(receiver.recv().await.unwrap());
                    }
                });
                (order, receiver)
            });
            (order, receiver) = there.join().unwrap();
        }
        assert_eq!(receiver.blocking_recv().map(|item| item.1), None, "round {round}");
        producer.join().unwrap();
    }
    ledger.assert_balanced();
}

#[test]
fn a_loop_that_a_thread_keeps_awake_hears_of_its_sockets() {
    let _watch = Watch::new("a loop that a thread keeps awake");
    let (ask, mut questions) = unbounded();
    let (answer, mut answers) = unbounded();
    let echo = thread::spawn(move || {
        while let Some(question) = questions.blocking_recv() {
            answer.try_send(question).unwrap();
        }
    });
    run(async move {
        let mut exchange = async || {
            ask.send(()).await.unwrap();
            answers.recv().await.unwrap();
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut socket, _) = listener.accept().await.unwrap();
        for _ in 0..20 {
            // Until the loop has got used to answers that come soon.
            for _ in 0..50 {
                exchange().await;
            }
            let reading = create_task(async move { (socket.read_exact(&mut [0]).await.unwrap(), socket) });
            yield_now().await;
            client.write_all(b"!").unwrap();
            let mut steps = 0;
            let mut exchanging = pin!(async {
                while !reading.done() {
                    exchange().await;
                }
                reading.await.unwrap()
            });
            let counted = poll_fn(|cx| {
                steps += 1;
                exchanging.as_mut().poll(cx)
            });
            (_, socket) = counted.await;
            // A loop that has work looks outside after 64 steps, and so does one that finds mail before it sleeps.
            assert!(steps <= 2 * 64, "a socket that is ready waited for {steps} steps");
        }
    });
    echo.join().unwrap();
}

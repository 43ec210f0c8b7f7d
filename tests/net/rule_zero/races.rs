//! Two threads that want the same socket: one has it, the other hears of that.

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use evloop::Builder;
use evloop::net::TcpStream;
use futures::AsyncReadExt;

use crate::support::{in_time, on_every_kind, tcp_pair, unless_it_hangs};

const ROUNDS: usize = 100;

/// Where two threads meet, to go on at the same moment: no sleep is as punctual.
#[derive(Default)]
struct Meeting(AtomicUsize);

impl Meeting {
    fn meet(&self) {
        let number = self.0.fetch_add(1, Ordering::SeqCst);
        let mut patience = 0;
        while self.0.load(Ordering::SeqCst) / 2 == number / 2 {
            patience += 1;
            if patience % 1000 == 0 { thread::yield_now() } else { std::hint::spin_loop() }
        }
    }
}

enum Act {
    Read,
    Peek,
    Readable,
}

async fn act(stream: &TcpStream, act: Act) -> std::io::Result<()> {
    let mut byte = [0];
    match act {
        Act::Read => stream.read(&mut byte).await.map(|_| ()),
        Act::Peek => stream.peek(&mut byte).await.map(|_| ()),
        Act::Readable => stream.readable().await,
    }
}

/// A thread with a loop that begins to wait for each stream it is given, at the same time as the other.
fn rival(
    builder: Builder,
    meeting: Arc<Meeting>,
    streams: mpsc::Receiver<(Arc<TcpStream>, Act)>,
    results: mpsc::Sender<Result<(), String>>,
) {
    let mut event_loop = builder.build().unwrap();
    for (stream, what) in streams {
        meeting.meet();
        let result = event_loop.run_until_complete(in_time(act(&stream, what))).unwrap();
        let (won, left) = (result.is_ok(), event_loop.handle().registrations());
        assert_eq!(left, (usize::from(won), 0), "only the winner has registered it");
        if !won {
            // Nor has the system: it refuses what it has already.
            event_loop.handle().add_reader(&*stream, || ()).expect("it is not registered here");
            assert!(event_loop.handle().remove_reader(&*stream));
        }
        results.send(result.map_err(|error| error.to_string())).unwrap();
        // The last share may be dropped here, there or by the referee.
        drop(stream);
        meeting.meet();
        event_loop.run_once(Some(Duration::ZERO)).unwrap();
    }
    event_loop.run_once(Some(Duration::ZERO)).unwrap();
    assert_eq!(event_loop.handle().registrations(), (0, 0), "left behind");
}

#[test]
fn of_two_first_waits_at_once_one_wins_and_the_other_gets_the_error() {
    unless_it_hangs(|| on_every_kind(one_wins));
}

fn one_wins(builder: Builder) {
    let meeting = Arc::new(Meeting::default());
    let (results, outcome) = mpsc::channel();
    let (mut give, mut threads) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        let (sender, streams) = mpsc::channel();
        let (builder, meeting, results) = (builder.clone(), meeting.clone(), results.clone());
        threads.push(thread::spawn(move || rival(builder, meeting, streams, results)));
        give.push(sender);
    }
    for round in 0..ROUNDS {
        let (ours, mut theirs) = tcp_pair();
        let ours = Arc::new(ours);
        for (i, sender) in give.iter().enumerate() {
            let what = match (round + i) % 3 {
                0 => Act::Read,
                1 => Act::Peek,
                _ => Act::Readable,
            };
            sender.send((ours.clone(), what)).unwrap();
        }
        drop(ours);
        let error = outcome.recv().unwrap().expect_err("nothing to read has come, so this is the loser");
        assert!(error.contains("has waited in another event loop"), "{error}");
        theirs.write_all(b"!").unwrap();
        outcome.recv().unwrap().expect("the winner");
    }
    drop(give);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn a_stream_lost_in_a_race_is_the_winners_until_it_is_nobody_elses() {
    unless_it_hangs(|| on_every_kind(the_loser_gets_it_in_the_end));
}

fn the_loser_gets_it_in_the_end(builder: Builder) {
    let (ours, mut theirs) = tcp_pair();
    let ours = Arc::new(ours);
    let meeting = Arc::new(Meeting::default());
    let (lost, loser) = mpsc::channel();
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let (builder, ours) = (builder.clone(), ours.clone());
            let (meeting, lost) = (meeting.clone(), lost.clone());
            thread::spawn(move || {
                let mut event_loop = builder.build().unwrap();
                meeting.meet();
                let mut data = [0; 3];
                let won = event_loop.run_until_complete(in_time(ours.read_exact(&mut data))).unwrap().is_ok();
                if won {
                    return Some(data);
                }
                let again = event_loop.run_until_complete(in_time(ours.readable())).unwrap();
                assert!(again.is_err(), "it is not registered here now");
                drop(ours);
                let (give, take) = mpsc::channel();
                lost.send(give).unwrap();
                // In the end it has it alone, and waits for it here.
                let mut ours: TcpStream = take.recv().unwrap();
                let mut read = Box::pin(AsyncReadExt::read(&mut ours, &mut data));
                event_loop
                    .run_until_complete(async {
                        assert!(futures::poll!(&mut read).is_pending(), "there is nothing yet");
                        lost.send(mpsc::channel().0).unwrap();
                        assert_eq!(in_time(read).await.unwrap(), 1);
                    })
                    .unwrap();
                None
            })
        })
        .collect();
    let give = loser.recv().unwrap();
    theirs.write_all(b"123").unwrap();
    let mut shared = ours;
    let ours = loop {
        // The winner lets go of it when it is done.
        shared = match Arc::try_unwrap(shared) {
            Ok(ours) => break ours,
            Err(shared) => shared,
        };
        thread::yield_now();
    };
    give.send(ours).unwrap();
    loser.recv().unwrap();
    theirs.write_all(b"!").unwrap();
    let outcomes: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert_eq!(outcomes.iter().flatten().collect::<Vec<_>>(), [b"123"]);
}

//! Staying awake for a moment where a sleep would end at once.
//!
//! A sleep that another thread ends costs both some system calls, and the kernel the work of a core that idles and is
//! called back: five to thirty microseconds. Two loops that exchange a thousand things, or a loop and a thread, would
//! sleep after each handful. So who was woken by another thread looks out for what it sends before the next sleep, for
//! about as long as it would take to wake him.
//!
//! Whether that pays is learned. A vigil in vain is followed by sleeps without one, twice as many each time; and if
//! others turn out to need this core, who would have to wait behind them, by very many. Only sleeps that another thread
//! ends count: a loop that waits for sockets and timers alone keeps no vigil at all.

use std::cell::Cell;
use std::hint::spin_loop;
use std::thread::yield_now;
use std::time::Duration;

use super::clock::real_now;

/// How long a vigil lasts. Two who wake each other by turns need the time of one waking to come out of it: only then
/// does the second find the first awake.
const SPAN: Duration = Duration::from_micros(20);
/// Who was away for so long, for a vigil or for having let others go first, had better slept: then the system lets him
/// go first when he is woken.
const AWAY: Duration = Duration::from_micros(100);
/// Between two looks. Whoever looks more often takes more from the core that fills his box than he gains.
const PAUSES: u32 = 16;
/// Most sleeps between a vigil in vain and the next.
const LONGEST_REST: u32 = 32;
/// Sleeps between a vigil during which others had the core and the next, at first and at most.
const AWAY_RESTS: [u32; 2] = [1 << 10, 1 << 16];

/// See the module's description.
pub(crate) struct Spin {
    /// Sleeps that another thread has to end before the next vigil.
    left: Cell<u32>,
    /// As many follow the next vigil, if that is in vain.
    rest: Cell<u32>,
    /// As many follow the next vigil, if others have the core meanwhile.
    away_rest: Cell<u32>,
}

/// What came of a vigil.
#[derive(Clone, Copy)]
enum Outcome {
    Paid,
    InVain,
    Away,
}

impl Spin {
    pub(crate) const fn new() -> Self {
        Self { left: Cell::new(1), rest: Cell::new(1), away_rest: Cell::new(AWAY_RESTS[0]) }
    }

    /// Looks out for something before a sleep of this length (`None`: without an end), if that is likely to pay. The
    /// sleep is shorter by the time that it took. (The models of loom explore the sleeps.)
    #[inline]
    pub(crate) fn watch<R>(
        &self,
        sleep: &mut Option<Duration>,
        look: impl FnMut() -> Option<R>,
    ) -> Option<R> {
        if !cfg!(all(test, loom)) && self.left.get() == 0 && sleep.is_none_or(|sleep| sleep > SPAN) {
            self.keep_vigil(sleep, look)
        } else {
            None
        }
    }

    #[inline(never)]
    fn keep_vigil<R>(&self, sleep: &mut Option<Duration>, look: impl FnMut() -> Option<R>) -> Option<R> {
        let (seen, took) = look_out(look);
        self.learn(match seen {
            _ if took > AWAY => Outcome::Away,
            Some(_) => Outcome::Paid,
            None => Outcome::InVain,
        });
        *sleep = sleep.map(|sleep| sleep.saturating_sub(took));
        seen
    }

    fn learn(&self, outcome: Outcome) {
        let [shortest, longest] = AWAY_RESTS;
        match outcome {
            Outcome::Paid => {
                self.rest.set(1);
                self.away_rest.set(shortest);
            }
            Outcome::InVain => {
                self.left.set(self.rest.get());
                self.rest.set((self.rest.get() * 2).min(LONGEST_REST));
                self.away_rest.set(shortest);
            }
            Outcome::Away => {
                self.left.set(self.away_rest.get());
                self.away_rest.set((self.away_rest.get() * 2).min(longest));
            }
        }
    }

    /// A sleep has ended: by another thread, or otherwise.
    #[inline]
    pub(crate) fn slept(&self, woken: bool) {
        self.left.set(self.left.get().saturating_sub(u32::from(woken)));
    }
}

/// Looks until there is something to see, for as long as [`SPAN`]; says how long this took. Whoever shares this core has
/// a turn each time: it may be the one who sends.
fn look_out<R>(mut look: impl FnMut() -> Option<R>) -> (Option<R>, Duration) {
    let began = real_now();
    loop {
        yield_now();
        (0..PAUSES).for_each(|_| spin_loop());
        let (seen, took) = (look(), began.elapsed());
        if seen.is_some() || took > SPAN {
            return (seen, took);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// Whether a vigil is kept before a sleep without end.
    fn is_kept(spin: &Spin) -> bool {
        spin.watch(&mut None, || Some(())).is_some()
    }

    /// How many sleeps that another thread ends come before the next vigil.
    fn rest(spin: &Spin) -> u32 {
        let rest = (0..).find(|_| {
            let over = spin.left.get() == 0;
            spin.slept(!over);
            over
        });
        rest.unwrap()
    }

    #[test]
    fn who_is_not_woken_by_another_thread_keeps_no_vigil() {
        let spin = Spin::new();
        for _ in 0..100 {
            assert!(!is_kept(&spin));
            spin.slept(false);
        }
        spin.slept(true);
        assert!(is_kept(&spin));
    }

    #[test]
    fn vigils_in_vain_become_rare_until_one_pays() {
        let spin = Spin::new();
        let rests = || {
            let rests = (0..8).map(|_| {
                let rest = rest(&spin);
                spin.learn(Outcome::InVain);
                rest
            });
            rests.collect::<Vec<_>>()
        };
        assert_eq!(rests(), [1, 1, 2, 4, 8, 16, 32, 32]);
        assert_eq!(rest(&spin), 32);
        spin.learn(Outcome::Paid);
        // As long as they pay, one comes before each sleep.
        assert_eq!(rest(&spin), 0);
        assert_eq!(rests(), [0, 1, 2, 4, 8, 16, 32, 32]);
    }

    #[test]
    fn where_others_need_the_core_vigils_become_very_rare() {
        let spin = Spin::new();
        let rests = (0..8).map(|_| {
            spin.learn(Outcome::Away);
            rest(&spin)
        });
        assert_eq!(rests.collect::<Vec<_>>(), [10, 11, 12, 13, 14, 15, 16, 16].map(|n| 1 << n));
        spin.learn(Outcome::InVain);
        spin.learn(Outcome::Away);
        assert_eq!(rest(&spin), 1 << 10);
    }

    #[test]
    fn a_vigil_is_part_of_the_sleep() {
        let spin = Spin::new();
        spin.slept(true);
        let mut short = Some(SPAN);
        assert!(spin.watch(&mut short, || Some(())).is_none());
        assert_eq!(short, Some(SPAN));
        let mut long = Some(Duration::from_secs(1));
        let mut looks = 0;
        let seen = spin.watch(&mut long, || {
            looks += 1;
            None::<()>
        });
        assert!(seen.is_none() && looks > 0);
        assert!(long.unwrap() < Duration::from_secs(1) - SPAN);
    }
}

//! Staying awake for a moment where a sleep would end at once.
//!
//! A sleep that another thread ends costs both some system calls, and the kernel the work of a core that idles and is
//! called back: five to thirty microseconds. Two loops that exchange a thousand things, or a loop and a thread, would
//! sleep after each handful. So a loop that other threads have woken looks out for their mail before it sleeps again,
//! for about as long as it would take to wake it.
//!
//! Whether that pays is learned: a vigil in vain is followed by sleeps without one, twice as many each time. Only sleeps
//! that mail ends count, so that a loop which waits for sockets and timers alone keeps no vigil at all.

use std::cell::Cell;
use std::hint::spin_loop;
use std::thread::yield_now;
use std::time::Duration;

use super::clock::real_now;
use super::scheduler::inbox::Inbox;

/// How long a vigil lasts. Two who wake each other by turns need the time of one waking to come out of it: only then
/// does the second find the first awake.
const SPAN: Duration = Duration::from_micros(20);
/// After a vigil that lasted so long a sleep would have been better, even if mail came: others had the core meanwhile.
const FAR_TOO_LONG: Duration = Duration::from_micros(100);
/// Looks into the box between two looks at the clock.
const LOOKS: u32 = 16;
/// Most sleeps that mail ends between two vigils.
const LONGEST_REST: u32 = 32;

/// See the module's description.
pub(super) struct Spin {
    /// Sleeps that mail has to end before the next vigil.
    left: Cell<u32>,
    /// As many follow the next vigil, if that is in vain.
    rest: Cell<u32>,
}

impl Spin {
    pub(super) fn new() -> Self {
        Self { left: Cell::new(1), rest: Cell::new(1) }
    }

    /// Looks out for mail before a sleep of this length, if that is likely to pay. Says whether it has come; the sleep
    /// is shorter by the time that it took.
    #[inline]
    pub(super) fn watch<M>(&self, inbox: &Inbox<M>, sleep: &mut Option<Duration>) -> bool {
        self.left.get() == 0 && sleep.is_none_or(|sleep| sleep > SPAN) && self.keep_vigil(inbox, sleep)
    }

    #[inline(never)]
    fn keep_vigil<M>(&self, inbox: &Inbox<M>, sleep: &mut Option<Duration>) -> bool {
        let (mail, took) = look_out(inbox);
        self.learn(mail && took < FAR_TOO_LONG);
        *sleep = sleep.map(|sleep| sleep.saturating_sub(took));
        mail
    }

    fn learn(&self, paid: bool) {
        if paid {
            self.rest.set(1);
        } else {
            self.left.set(self.rest.get());
            self.rest.set((self.rest.get() * 2).min(LONGEST_REST));
        }
    }

    /// A sleep has ended: by mail, or otherwise.
    #[inline]
    pub(super) fn slept(&self, mail: bool) {
        self.left.set(self.left.get().saturating_sub(u32::from(mail)));
    }
}

/// Whether mail comes within [`SPAN`], and how long this took. Whoever shares this core has a turn each time: it may be
/// the one who sends.
fn look_out<M>(inbox: &Inbox<M>) -> (bool, Duration) {
    let began = real_now();
    loop {
        for _ in 0..LOOKS {
            if inbox.has_mail() {
                return (true, began.elapsed());
            }
            spin_loop();
        }
        yield_now();
        let took = began.elapsed();
        if took > SPAN {
            return (inbox.has_mail(), took);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// A sleep without end; says whether a vigil was kept before.
    fn is_kept(spin: &Spin) -> bool {
        let before = (spin.left.get(), spin.rest.get());
        assert!(!spin.watch(&Inbox::<()>::new(), &mut None));
        before != (spin.left.get(), spin.rest.get())
    }

    #[test]
    fn who_is_woken_by_others_alone_keeps_no_vigil() {
        let spin = Spin::new();
        for _ in 0..100 {
            assert!(!is_kept(&spin));
            spin.slept(false);
        }
    }

    #[test]
    fn vigils_in_vain_become_rare() {
        let spin = Spin::new();
        let rests = (0..9).map(|_| {
            let sleeps = (0..).find(|_| {
                let kept = is_kept(&spin);
                spin.slept(!kept);
                kept
            });
            sleeps.unwrap()
        });
        assert_eq!(rests.collect::<Vec<_>>(), [1, 1, 2, 4, 8, 16, 32, 32, 32]);
    }

    #[test]
    fn as_long_as_mail_comes_each_sleep_has_a_vigil() {
        let spin = Spin::new();
        for _ in 0..5 {
            spin.slept(true);
            spin.learn(false);
        }
        assert_eq!(spin.rest.get(), 32);
        (0..16).for_each(|_| spin.slept(true));
        for _ in 0..3 {
            assert!(is_kept(&spin));
            // One that pays makes up for all that did not.
            spin.left.set(0);
            spin.learn(true);
            assert_eq!((spin.left.get(), spin.rest.get()), (0, 1));
        }
    }

    #[test]
    fn mail_ends_a_vigil() {
        let spin = Spin::new();
        spin.slept(true);
        let inbox = Inbox::new();
        assert!(inbox.post(()).is_ok());
        assert!(spin.watch(&inbox, &mut None));
    }

    #[test]
    fn a_vigil_is_part_of_the_sleep() {
        let spin = Spin::new();
        spin.slept(true);
        let mut short = Some(SPAN);
        assert!(!spin.watch(&Inbox::<()>::new(), &mut short));
        assert_eq!(short, Some(SPAN));
        let mut long = Some(Duration::from_secs(1));
        assert!(!spin.watch(&Inbox::<()>::new(), &mut long));
        assert!(long.unwrap() < Duration::from_secs(1) - SPAN);
    }
}

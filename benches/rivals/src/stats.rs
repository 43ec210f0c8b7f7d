//! Medians, and ratios with their 95 % interval.
//!
//! A machine that drifts does it to all sides of a round, and hardly within one. So ratios are made within
//! rounds, and what counts is their median.

use std::fmt;

/// One figure for each round.
#[derive(Clone, Debug, Default)]
pub(crate) struct Series(Vec<f64>);

impl Series {
    pub(crate) fn push(&mut self, figure: f64) {
        self.0.push(figure);
    }

    pub(crate) fn median(&self) -> f64 {
        median(&sorted(self.0.iter().copied()))
    }

    /// How many times `base` this is.
    pub(crate) fn over(&self, base: &Series) -> Ratio {
        let ratios = sorted(self.0.iter().zip(&base.0).map(|(this, base)| this / base));
        let (low, high) = interval(&ratios);
        Ratio { median: median(&ratios), low, high }
    }
}

/// A median of ratios; with 95 % probability the true one lies within the bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ratio {
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { median, low, high } = self;
        // As many digits as mean something.
        let digits = if *high < 9.995 { 2 } else { 1 };
        write!(f, "{median:>6.digits$} [{low:>5.digits$}, {high:>5.digits$}]")
    }
}

fn sorted(figures: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_unstable_by(f64::total_cmp);
    figures
}

fn median(sorted: &[f64]) -> f64 {
    let n = sorted.len();
    assert!(n > 0, "no rounds, no median");
    (sorted[(n - 1) / 2] + sorted[n / 2]) / 2.0
}

/// The order statistics that bound the median with 95 % probability, by the normal approximation of the
/// binomial distribution.
fn interval(sorted: &[f64]) -> (f64, f64) {
    let n = sorted.len() as f64;
    let low = ((n - 1.96 * n.sqrt()) / 2.0).floor().max(0.0) as usize;
    (sorted[low], sorted[sorted.len() - 1 - low])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(figures: impl IntoIterator<Item = u32>) -> Series {
        Series(figures.into_iter().map(f64::from).collect())
    }

    #[test]
    fn a_median_is_in_the_middle() {
        assert_eq!(series([3, 1, 2]).median(), 2.0);
        assert_eq!(series([4, 1, 2, 3]).median(), 2.5);
    }

    #[test]
    fn ratios_are_made_within_rounds() {
        let ratio = series([10, 40, 90]).over(&series([10, 20, 30]));
        assert_eq!(ratio, Ratio { median: 2.0, low: 1.0, high: 3.0 });
    }

    #[test]
    fn many_rounds_leave_the_outermost_out_of_the_interval() {
        assert_eq!(interval(&sorted((0..41).map(f64::from))), (14.0, 26.0));
    }
}

//! The numbers that Go's `math/rand` draws for a seed, which recordings of Go guests hold.
//!
//! An additive lagged Fibonacci generator over 64 bits: s(n) = s(n-607) + s(n-273). Seeding mixes
//! the seed into a fixed state: what the same recurrence has reached 7.8e12 steps after a fixed
//! seed. Those steps are not taken one by one: x^7.8e12 modulo the recurrence's polynomial,
//! x^607 = x^334 + 1, says how the late terms follow from the first ones.

/// A source of numbers.
#[derive(Debug)]
pub struct Source {
    state: Vec<u64>,
    tap: usize,
    feed: usize,
}

impl Source {
    /// The source for a seed.
    pub fn new(seed: i64) -> Self {
        let seed = match i32::try_from(seed.rem_euclid(i64::from(MODULUS))) {
            Ok(seed) if seed != 0 => seed,
            Ok(_) | Err(_) => SEED_FOR_ZERO,
        };
        let mixed = terms(seed, 40, 20);
        let state = fixed_state().into_iter().zip(mixed).map(|(fixed, mixed)| fixed ^ mixed);
        Self { state: state.collect(), tap: 0, feed: LENGTH - TAP }
    }

    /// Draws 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.tap = before(self.tap);
        self.feed = before(self.feed);
        let tap = self.state.get(self.tap).copied().unwrap_or_default();
        match self.state.get_mut(self.feed) {
            Some(feed) => {
                *feed = feed.wrapping_add(tap);
                *feed
            }
            None => tap,
        }
    }
}

/// The state into which seeds are mixed.
fn fixed_state() -> Vec<u64> {
    let start = terms(1, 20, 10);
    // Positions are written backwards from 333; the k-th term stands where step k will write.
    let position = |step: usize| (LENGTH - TAP - 1 + LENGTH - step % LENGTH) % LENGTH;
    let mut first: Vec<u64> = Vec::with_capacity(2 * LENGTH);
    first.extend((0..LENGTH).filter_map(|step| start.get(position(step))));
    for step in 0..LENGTH {
        let next = first.get(step).zip(first.get(step + LENGTH - TAP));
        first.push(next.map_or(0, |(a, b)| a.wrapping_add(*b)));
    }
    let power = power(STEPS);
    let mut state = vec![0; LENGTH];
    for term in 0..LENGTH {
        let window = first.iter().skip(term);
        let value = power
            .iter()
            .zip(window)
            .fold(0_u64, |sum, (factor, first)| sum.wrapping_add(factor.wrapping_mul(*first)));
        // The term is the latest that its position holds.
        let step = (STEPS % LENGTH as u64) as usize + term;
        if let Some(place) = state.get_mut(position(step)) {
            *place = value;
        }
    }
    state
}

/// The coefficients of x^exponent modulo the polynomial.
fn power(exponent: u64) -> Vec<u64> {
    let mut power = vec![0_u64; LENGTH];
    if let Some(one) = power.first_mut() {
        *one = 1;
    }
    for bit in (0..u64::BITS - exponent.leading_zeros()).rev() {
        let mut square = vec![0_u64; 2 * LENGTH];
        for (i, a) in power.iter().enumerate() {
            for (place, b) in square.iter_mut().skip(i).zip(&power) {
                *place = place.wrapping_add(a.wrapping_mul(*b));
            }
        }
        if exponent >> bit & 1 == 1 {
            square.rotate_right(1);
        }
        power = reduce(square);
    }
    power
}

/// Replaces every x^607 by x^334 + 1.
fn reduce(mut polynomial: Vec<u64>) -> Vec<u64> {
    while polynomial.len() > LENGTH {
        let Some(top) = polynomial.pop() else { break };
        let degree = polynomial.len() - LENGTH;
        for lower in [degree, degree + LENGTH - TAP] {
            if let Some(place) = polynomial.get_mut(lower) {
                *place = place.wrapping_add(top);
            }
        }
    }
    polynomial
}

/// As many terms as the state has, from a linear congruential generator.
fn terms(seed: i32, high: u32, middle: u32) -> Vec<u64> {
    let mut x = seed;
    let mut draw = move || {
        x = step(x);
        u64::from(x.unsigned_abs())
    };
    for _ in 0..SKIPPED {
        draw();
    }
    let mut term = || draw() << high ^ draw() << middle ^ draw();
    (0..LENGTH).map(|_| term()).collect()
}

/// 48271 x modulo 2^31 - 1.
fn step(x: i32) -> i32 {
    let product = i64::from(x) * 48_271 % i64::from(MODULUS);
    i32::try_from(product).unwrap_or_default()
}

fn before(index: usize) -> usize {
    index.checked_sub(1).unwrap_or(LENGTH - 1)
}

const LENGTH: usize = 607;
const TAP: usize = 273;
const MODULUS: i32 = i32::MAX;
const SEED_FOR_ZERO: i32 = 89_482_311;
const SKIPPED: usize = 20;
const STEPS: u64 = 7_800_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_what_go_draws() {
        let mut source = Source::new(1);
        let drawn = [(); 3].map(|()| source.next_u64());
        assert_eq!(
            drawn,
            [5_577_006_791_947_779_410, 8_674_665_223_082_153_551, 15_352_856_648_520_921_629]
        );
    }
}

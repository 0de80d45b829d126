//! What TDH2 costs beside the multiplications on the curve that it needs:
//! `cargo bench -p crypto --bench tdh2`.
//!
//! | Column | Meaning |
//! |---|---|
//! | floor | the needed multiplications, by p256 alone, measured in turn with ours |
//! | ours | all of it: JSON, base64, points, proofs, hashes, interpolation, AES-GCM |
//! | ratio | ours divided by the floor; the goal is at most 1.2 |
#![expect(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a bench prints, and what goes wrong has to stop it"
)]

use std::{hint::black_box, time::Instant};

use crypto::{
    secret::Secret,
    tdh2::{Ciphertext, DecryptionShare, Label, Threshold, combine, deal, encrypt},
};
use p256::{ProjectivePoint, Scalar, elliptic_curve::Field as _};
use rand_core::OsRng;

fn main() {
    if !std::env::args().any(|argument| argument == "--bench") {
        // As part of `cargo test` there is nothing to measure.
        return;
    }
    let threshold = Threshold::new(T).expect("T is not zero");
    let vault = deal(threshold, N, &mut OsRng).expect("T of N can be dealt");
    let key = &vault.public_key;
    let made = encrypt(key, Label::NONE, b"hunter2", &mut OsRng).expect("a secret is short");
    let parse = || Ciphertext::parse(made.as_bytes(), key).expect("it was just made");
    let ciphertext = parse();
    let share = |party| DecryptionShare::create(party, &ciphertext, &mut OsRng).to_json();
    let shares: Vec<Secret> = vault.shares.iter().map(share).collect();

    println!("{:<42}{:>8}{:>12}{:>12}{:>8}", "", "mults", "floor us", "ours us", "ratio");
    row("read and verify a ciphertext", 4, || {
        black_box(parse());
    });
    // 4 for the proof of each share, 1 for each in the sum (tdh2 section 18).
    row("verify and combine, T = 5 of 10", 5 * T, || {
        let shares = shares.iter().map(Secret::expose);
        black_box(combine(key, &ciphertext, shares, threshold).expect("T shares are valid"));
    });
    row("make a decryption share", 3, || {
        black_box(vault.shares.first().map(share));
    });
}

/// Measures in turn and prints the least of each: what else the machine does can only add to it.
fn row(name: &str, multiplications: u32, ours_of: impl Fn()) {
    let point = ProjectivePoint::GENERATOR * Scalar::random(OsRng);
    let scalars: Vec<Scalar> = (0..multiplications).map(|_| Scalar::random(OsRng)).collect();
    let floor_of = || {
        for scalar in &scalars {
            black_box(black_box(&point) * black_box(scalar));
        }
    };
    let least =
        |(floor, ours): (f64, f64), _| (time(&floor_of).min(floor), time(&ours_of).min(ours));
    let (floor, ours) = (0..ROUNDS).fold((f64::MAX, f64::MAX), least);
    println!("{name:<42}{multiplications:>8}{floor:>12.1}{ours:>12.1}{:>8.3}", ours / floor);
}

/// In microseconds.
fn time(work: &impl Fn()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64() * 1e6
}

const T: u32 = 5;

const N: u32 = 10;

/// Of each kind.
const ROUNDS: usize = 300;

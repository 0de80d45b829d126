//! Faults in what a document binds: time, user data, nonce, registers.

use attestation::{Check, Pcr};

use super::{Forger, Forgery, NONCE, USER_DATA, milliseconds};

pub(super) const ALL: &[Forgery] = &[
    Forgery::new("document five minutes and a millisecond old", 20, Check::Freshness, |forger| {
        at_ms(milliseconds(forger.now()).saturating_sub(300_001), forger)
    }),
    Forgery::new("document a minute and a millisecond ahead", 20, Check::Freshness, |forger| {
        at_ms(milliseconds(forger.now()).saturating_add(60_001), forger)
    }),
    Forgery::new("document of a day ago", 22, Check::Freshness, |forger| {
        at_ms(milliseconds(forger.now()).saturating_sub(24 * 60 * 60 * 1000), forger)
    }),
    Forgery::new("other user data", 29, Check::UserData, |f| saying(Some(&[0x5b; 32]), f)),
    Forgery::new("no user data", 26, Check::UserData, |forger| saying(None, forger)),
    Forgery::new("empty user data", 26, Check::UserData, |forger| saying(Some(&[]), forger)),
    Forgery::new("user data cut short", 29, Check::UserData, |forger| {
        saying(Some(&USER_DATA[..31]), forger)
    }),
    Forgery::new("user data with more behind it", 29, Check::UserData, |forger| {
        saying(Some(&[&USER_DATA[..], b"\nmore"].concat()), forger)
    }),
    Forgery::new("other nonce", 20, Check::Nonce, |f| answering(Some(b"another"), f)),
    Forgery::new("no nonce", 20, Check::Nonce, |forger| answering(None, forger)),
    Forgery::new("nonce with more behind it", 20, Check::Nonce, |forger| {
        answering(Some(&[NONCE, b"\0"].concat()), forger)
    }),
    Forgery::new("debug mode", 1, Check::Measurements, |forger| {
        [0, 1, 2].into_iter().fold(Registers::of(forger), |r, i| r.set(i, Pcr::ZERO)).sign()
    }),
    Forgery::new("PCR0 absent", 2, Check::Measurements, |f| Registers::of(f).remove(0).sign()),
    Forgery::new("PCR1 absent", 2, Check::Measurements, |f| Registers::of(f).remove(1).sign()),
    Forgery::new("PCR2 absent", 2, Check::Measurements, |f| Registers::of(f).remove(2).sign()),
    Forgery::new("other PCR0", 18, Check::Measurements, |f| {
        Registers::of(f).set(0, other()).sign()
    }),
    Forgery::new("other PCR1", 18, Check::Measurements, |f| {
        Registers::of(f).set(1, other()).sign()
    }),
    Forgery::new("other PCR2", 18, Check::Measurements, |f| {
        Registers::of(f).set(2, other()).sign()
    }),
    Forgery::new("PCR1 and PCR2 exchanged", 18, Check::Measurements, |forger| {
        Registers::of(forger).exchange(1, 2).sign()
    }),
    Forgery::new("other role", 16, Check::Measurements, |f| {
        Registers::of(f).set(3, other()).sign()
    }),
    Forgery::new("other instance", 16, Check::Measurements, |forger| {
        Registers::of(forger).set(4, other()).sign()
    }),
    Forgery::new("role and instance exchanged", 16, Check::Measurements, |forger| {
        Registers::of(forger).exchange(3, 4).sign()
    }),
    Forgery::new("unsigned image", 17, Check::Measurements, |forger| {
        Registers::of(forger).set(8, Pcr::ZERO).sign()
    }),
    Forgery::new("PCR8 absent", 17, Check::Measurements, |f| Registers::of(f).remove(8).sign()),
    Forgery::new("image of another signer", 17, Check::Measurements, |forger| {
        Registers::of(forger).set(8, other()).sign()
    }),
];

fn at_ms(timestamp_ms: u64, forger: &Forger) -> Vec<u8> {
    forger.with_payload(|payload| payload.timestamp_ms = timestamp_ms)
}

fn saying(user_data: Option<&[u8]>, forger: &Forger) -> Vec<u8> {
    forger.with_payload(|payload| payload.user_data = user_data.map(<[u8]>::to_vec))
}

fn answering(nonce: Option<&[u8]>, forger: &Forger) -> Vec<u8> {
    forger.with_payload(|payload| payload.nonce = nonce.map(<[u8]>::to_vec))
}

/// The registers of a document to come.
struct Registers<'f> {
    forger: &'f Forger,
    pcrs: Vec<(u8, Pcr)>,
}

impl<'f> Registers<'f> {
    fn of(forger: &'f Forger) -> Self {
        Self { forger, pcrs: forger.payload().pcrs }
    }

    fn set(mut self, index: u8, value: Pcr) -> Self {
        self.pcrs.iter_mut().find(|pcr| pcr.0 == index).unwrap().1 = value;
        self
    }

    fn remove(mut self, index: u8) -> Self {
        self.pcrs.retain(|pcr| pcr.0 != index);
        self
    }

    fn exchange(self, one: u8, other: u8) -> Self {
        let value = |index| self.pcrs.iter().find(|pcr| pcr.0 == index).unwrap().1;
        let (first, second) = (value(one), value(other));
        self.set(one, second).set(other, first)
    }

    fn sign(self) -> Vec<u8> {
        self.forger.with_payload(|payload| payload.pcrs = self.pcrs)
    }
}

/// A value that no register of the image has.
fn other() -> Pcr {
    Pcr::from([0x77; 48])
}

//! Faults in what a document binds: time, user data, nonce, registers.

use std::time::Duration;

use attestation::{
    BindingError, FreshnessError, Mismatch, MismatchReason, Pcr, VerifyError, cbor::Writer,
};

use super::{Draft, Forger, Forgery, NONCE, USER_DATA, milliseconds};
use crate::nsm::Payload;

pub(super) const ALL: &[Forgery] = &[
    Forgery::new(
        "document five minutes and a millisecond old",
        20,
        VerifyError::Freshness(FreshnessError::Old { age: Duration::from_millis(300001) }),
        |forger| at_ms(milliseconds(forger.now()).saturating_sub(300_001), forger),
    ),
    Forgery::new(
        "document a minute and a millisecond ahead",
        20,
        VerifyError::Freshness(FreshnessError::Ahead { ahead: Duration::from_millis(60001) }),
        |forger| at_ms(milliseconds(forger.now()).saturating_add(60_001), forger),
    ),
    Forgery::new(
        "document of a day ago",
        22,
        VerifyError::Freshness(FreshnessError::Old { age: Duration::from_millis(86400000) }),
        |forger| at_ms(milliseconds(forger.now()).saturating_sub(24 * 60 * 60 * 1000), forger),
    ),
    Forgery::new("other user data", 29, VerifyError::UserData(BindingError::Differs), |f| {
        saying(Some(&[0x5b; 32]), f)
    }),
    Forgery::new("no user data", 26, VerifyError::UserData(BindingError::Absent), |forger| {
        saying(None, forger)
    }),
    Forgery::new("empty user data", 26, VerifyError::UserData(BindingError::Differs), |forger| {
        saying(Some(&[]), forger)
    }),
    Forgery::new(
        "user data cut short",
        29,
        VerifyError::UserData(BindingError::Differs),
        |forger| saying(Some(&USER_DATA[..31]), forger),
    ),
    Forgery::new(
        "user data with more behind it",
        29,
        VerifyError::UserData(BindingError::Differs),
        |forger| saying(Some(&[&USER_DATA[..], b"\nmore"].concat()), forger),
    ),
    Forgery::new("other nonce", 20, VerifyError::Nonce(BindingError::Differs), |f| {
        answering(Some(b"another"), f)
    }),
    Forgery::new("no nonce", 20, VerifyError::Nonce(BindingError::Absent), |forger| {
        answering(None, forger)
    }),
    Forgery::new(
        "nonce with more behind it",
        20,
        VerifyError::Nonce(BindingError::Differs),
        |forger| answering(Some(&[NONCE, b"\0"].concat()), forger),
    ),
    Forgery::new(
        "answer made for another caller",
        31,
        VerifyError::UserData(BindingError::Differs),
        |forger| {
            forger.with_payload(|payload| {
                payload.user_data = Some([0x31; 32].to_vec());
                payload.nonce = Some(b"another caller's challenge".to_vec());
            })
        },
    ),
    Forgery::new(
        "our answer to another caller's challenge",
        31,
        VerifyError::Nonce(BindingError::Differs),
        |forger| answering(Some(b"another caller's challenge"), forger),
    ),
    Forgery::new(
        "image that says of itself that it is ours",
        19,
        mismatch(MismatchReason::Differs { index: 0 }),
        |forger| {
            let pcrs = Registers::of(forger).set(0, other()).set(1, other()).set(2, other()).pcrs;
            let said = forger.image().to_nitro_cli_json();
            let draft = forger.draft();
            let mut fields = forger.draft_of(&Payload { pcrs, ..forger.payload() }).fields;
            fields.push(("Measurements".to_owned(), Writer::new().text(&said).finish()));
            let good = draft.fields.iter().find(|field| field.0 == "pcrs").unwrap().1.clone();
            fields.push(("measured".to_owned(), good));
            Draft { fields, signer: draft.signer }.sign()
        },
    ),
    Forgery::new(
        "image with the name of ours",
        19,
        mismatch(MismatchReason::Differs { index: 2 }),
        |forger| {
            let pcrs = Registers::of(forger).set(2, other()).pcrs;
            forger.with_payload(|payload| {
                payload.pcrs = pcrs;
                payload.module_id = "forged".to_owned();
            })
        },
    ),
    Forgery::new(
        "debug mode before a caller that knows no image",
        33,
        mismatch(MismatchReason::DebugMode),
        |f| {
            f.with_payload(|payload| {
                payload.pcrs = (0..16).map(|index| (index, Pcr::ZERO)).collect()
            })
        },
    ),
    Forgery::new(
        "one bit of a register changed after signing",
        34,
        mismatch(MismatchReason::Differs { index: 0 }),
        |forger| {
            let mut document = forger.good();
            let pcr = forger.image().pcrs().next().unwrap().1;
            let at = document.windows(48).position(|bytes| bytes == pcr.as_bytes()).unwrap();
            document[at] ^= 1;
            document
        },
    ),
    Forgery::new("debug mode", 1, mismatch(MismatchReason::DebugMode), |forger| {
        [0, 1, 2].into_iter().fold(Registers::of(forger), |r, i| r.set(i, Pcr::ZERO)).sign()
    }),
    Forgery::new("PCR0 absent", 2, mismatch(MismatchReason::Absent { index: 0 }), |f| {
        Registers::of(f).remove(0).sign()
    }),
    Forgery::new("PCR1 absent", 2, mismatch(MismatchReason::Absent { index: 1 }), |f| {
        Registers::of(f).remove(1).sign()
    }),
    Forgery::new("PCR2 absent", 2, mismatch(MismatchReason::Absent { index: 2 }), |f| {
        Registers::of(f).remove(2).sign()
    }),
    Forgery::new("other PCR0", 18, mismatch(MismatchReason::Differs { index: 0 }), |f| {
        Registers::of(f).set(0, other()).sign()
    }),
    Forgery::new("other PCR1", 18, mismatch(MismatchReason::Differs { index: 1 }), |f| {
        Registers::of(f).set(1, other()).sign()
    }),
    Forgery::new("other PCR2", 18, mismatch(MismatchReason::Differs { index: 2 }), |f| {
        Registers::of(f).set(2, other()).sign()
    }),
    Forgery::new(
        "PCR1 and PCR2 exchanged",
        18,
        mismatch(MismatchReason::Differs { index: 1 }),
        |forger| Registers::of(forger).exchange(1, 2).sign(),
    ),
    Forgery::new("other role", 16, mismatch(MismatchReason::Differs { index: 3 }), |f| {
        Registers::of(f).set(3, other()).sign()
    }),
    Forgery::new("other instance", 16, mismatch(MismatchReason::Differs { index: 4 }), |forger| {
        Registers::of(forger).set(4, other()).sign()
    }),
    Forgery::new(
        "role and instance exchanged",
        16,
        mismatch(MismatchReason::Differs { index: 3 }),
        |forger| Registers::of(forger).exchange(3, 4).sign(),
    ),
    Forgery::new("unsigned image", 17, mismatch(MismatchReason::Differs { index: 8 }), |forger| {
        Registers::of(forger).set(8, Pcr::ZERO).sign()
    }),
    Forgery::new("PCR8 absent", 17, mismatch(MismatchReason::Absent { index: 8 }), |f| {
        Registers::of(f).remove(8).sign()
    }),
    Forgery::new(
        "image of another signer",
        17,
        mismatch(MismatchReason::Differs { index: 8 }),
        |forger| Registers::of(forger).set(8, other()).sign(),
    ),
];

const fn mismatch(reason: MismatchReason) -> VerifyError {
    VerifyError::Measurements(Mismatch { set: 0, reason })
}

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

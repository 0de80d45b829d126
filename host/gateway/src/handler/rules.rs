//! When a request is over (relay-protocol 10.6).

use protocol::ids::FaultBound;

/// How far a request has come. Numbers only: no answer's content is ever part of an error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Answers that hold a signed result.
    pub signed: usize,
    /// Answers that hold an error, or nothing.
    pub errors: usize,
    /// Answers whose result has not the form of the method's.
    pub undecodable: usize,
    /// All members, answered or not.
    pub nodes: usize,
    /// F + 1.
    pub quorum: usize,
}

/// What ends a waiting, besides an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    /// An answer came; more may come.
    Answered,
    /// The grace period is over: what is there is sent.
    Grace,
    /// The request is too old.
    Expired,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Send what was collected.
    Forward,
    /// The time is up without a quorum.
    Expire,
    /// No quorum can be reached any more.
    GiveUp,
    /// A quorum stands: from now on only the grace period is waited.
    Arm,
    /// Wait for more.
    Wait,
}

impl Counts {
    /// Members that answered in any way.
    #[must_use]
    pub fn collected(&self) -> usize {
        self.signed.saturating_add(self.errors).saturating_add(self.undecodable)
    }

    /// Members that did not; one to which the request could not be sent is among them.
    #[must_use]
    pub fn unanswered(&self) -> usize {
        self.nodes.saturating_sub(self.collected())
    }

    /// Signed answers if all others came and were signed.
    #[must_use]
    pub fn possible(&self) -> usize {
        self.signed.saturating_add(self.unanswered())
    }

    /// The table of relay-protocol 10.6, row by row.
    pub(super) fn decide(&self, faults: FaultBound, until: Until) -> Decision {
        let remaining = match until {
            Until::Answered => self.unanswered(),
            Until::Grace | Until::Expired => 0,
        };
        let enough = self.signed >= self.quorum;
        let possible = self.signed.saturating_add(remaining);
        if self.signed >= faults.bft() || (remaining == 0 && enough) {
            Decision::Forward
        } else if possible < self.quorum {
            match until {
                Until::Expired => Decision::Expire,
                Until::Answered | Until::Grace => Decision::GiveUp,
            }
        } else if enough {
            Decision::Arm
        } else {
            Decision::Wait
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(f: u32, nodes: usize, signed: usize, errors: usize, until: Until) -> Decision {
        let faults = FaultBound::new(f);
        let counts = Counts { signed, errors, undecodable: 0, nodes, quorum: faults.quorum() };
        counts.decide(faults, until)
    }

    #[test]
    fn each_row_of_the_table() {
        use Decision::{Arm, Expire, Forward, GiveUp, Wait};
        use Until::{Answered, Expired, Grace};
        for (signed, errors, until, want) in [
            (3, 0, Answered, Forward),
            (2, 2, Answered, Forward),
            (2, 0, Expired, Forward),
            (2, 0, Grace, Forward),
            (1, 0, Expired, Expire),
            (0, 0, Expired, Expire),
            (1, 3, Answered, GiveUp),
            (0, 3, Answered, GiveUp),
            (2, 0, Answered, Arm),
            (2, 1, Answered, Arm),
            (1, 2, Answered, Wait),
            (0, 2, Answered, Wait),
        ] {
            assert_eq!(decide(1, 4, signed, errors, until), want, "{signed} {errors} {until:?}");
        }
    }

    #[test]
    fn a_committee_smaller_than_its_quorum_gives_up_at_once() {
        assert_eq!(decide(1, 1, 1, 0, Until::Answered), Decision::GiveUp);
        assert_eq!(decide(u32::MAX, 4, 1, 0, Until::Answered), Decision::GiveUp);
    }

    #[test]
    fn without_faulty_members_the_first_answer_is_enough() {
        assert_eq!(decide(0, 3, 1, 0, Until::Answered), Decision::Forward);
        assert_eq!(decide(0, 3, 0, 2, Until::Answered), Decision::Wait);
        assert_eq!(decide(0, 3, 0, 3, Until::Answered), Decision::GiveUp);
    }

    #[test]
    fn members_are_counted_once_and_never_below_zero() {
        let counts = Counts { signed: 2, errors: 1, undecodable: 1, nodes: 3, quorum: 2 };
        assert_eq!((counts.collected(), counts.unanswered(), counts.possible()), (4, 0, 2));
    }
}

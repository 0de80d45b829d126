//! Finds the paths that names lead along, with bounded effort.
//!
//! A bundle can be written so that its names allow more paths than anyone could try: a document
//! is checked for its names before its signatures, so everybody may send one. Hence the limits.

use super::Encoded;
use crate::root::TrustRoot;

/// A leaf, the CAs above it in order, and the root that issued the last of them.
#[derive(Clone)]
pub(super) struct Path<'d> {
    pub(super) leaf: &'d Encoded<'d>,
    pub(super) issuers: Vec<&'d Encoded<'d>>,
    pub(super) root: &'d TrustRoot,
}

impl<'d> Path<'d> {
    /// The leaf, then the issuers. The root is not among them.
    pub(super) fn certificates(&self) -> impl Iterator<Item = &'d Encoded<'d>> {
        std::iter::once(self.leaf).chain(self.issuers.iter().copied())
    }
}

/// Finds at most [`MAX_PATHS`] paths of at most [`MAX_ISSUERS`] CAs, in the order of the bundle.
///
/// No subject is in a path twice, and a certificate that names itself as issuer is in none.
pub(super) fn find<'d>(
    leaf: &'d Encoded<'d>,
    bundle: &'d [Encoded<'d>],
    roots: &'d [TrustRoot],
) -> Vec<Path<'d>> {
    let mut search =
        Search { leaf, bundle, roots, issuers: Vec::new(), steps: 0, found: Vec::new() };
    search.step(leaf);
    search.found
}

struct Search<'d> {
    leaf: &'d Encoded<'d>,
    bundle: &'d [Encoded<'d>],
    roots: &'d [TrustRoot],
    issuers: Vec<&'d Encoded<'d>>,
    steps: usize,
    found: Vec<Path<'d>>,
}

impl<'d> Search<'d> {
    fn step(&mut self, top: &'d Encoded<'d>) {
        let issuer = top.certificate.issuer();
        for root in self.roots {
            if root.certificate().subject == issuer && self.found.len() < MAX_PATHS {
                self.found.push(Path { leaf: self.leaf, issuers: self.issuers.clone(), root });
            }
        }
        for candidate in self.bundle {
            let is_full = self.found.len() >= MAX_PATHS || self.steps >= MAX_STEPS;
            if is_full || self.issuers.len() >= MAX_ISSUERS {
                return;
            }
            if candidate.certificate.subject == issuer && self.is_new(candidate) {
                self.steps = self.steps.saturating_add(1);
                self.issuers.push(candidate);
                self.step(candidate);
                self.issuers.pop();
            }
        }
    }

    fn is_new(&self, candidate: &Encoded<'_>) -> bool {
        let certificate = &candidate.certificate;
        let is_known = |other: &&Encoded<'_>| other.certificate.subject == certificate.subject;
        !certificate.is_self_issued() && !self.issuers.iter().any(is_known)
    }
}

/// CAs between leaf and root: AWS has three, and webpki follows no more than this.
const MAX_ISSUERS: usize = 6;

/// Paths that are handed on. There is one unless two CAs have the same name.
const MAX_PATHS: usize = 8;

/// CAs that are tried in all while looking.
const MAX_STEPS: usize = 256;

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::certificate::{Certificate, CertificateId, Validity};

    /// A certificate of `subject` by `issuer`; only its names matter here.
    fn named(subject: &[u8], issuer: &[u8]) -> Encoded<'static> {
        let certificate = Certificate {
            id: CertificateId::named(issuer),
            subject: subject.to_vec(),
            validity: Validity { from: UNIX_EPOCH, until: UNIX_EPOCH },
            key: None,
            is_signed_with_es384: true,
            is_ca: true,
            path_length: None,
            may_sign_certificates: true,
            may_sign_documents: true,
        };
        Encoded { der: &[], certificate }
    }

    fn aws() -> Vec<u8> {
        TrustRoot::aws().certificate().subject.clone()
    }

    fn find(leaf: &Encoded<'_>, bundle: &[Encoded<'_>]) -> Vec<Vec<Vec<u8>>> {
        let roots = [TrustRoot::aws()];
        let names = |path: &Path<'_>| {
            path.issuers.iter().map(|issuer| issuer.certificate.subject.clone()).collect()
        };
        super::find(leaf, bundle, &roots).iter().map(names).collect()
    }

    #[test]
    fn the_path_is_found_in_any_order() {
        let leaf = named(b"leaf", b"c");
        let mut bundle = vec![named(b"a", &aws()), named(b"b", b"a"), named(b"c", b"b")];
        let want = vec![vec![b"c".to_vec(), b"b".to_vec(), b"a".to_vec()]];
        assert_eq!(find(&leaf, &bundle), want);
        bundle.reverse();
        assert_eq!(find(&leaf, &bundle), want);
        bundle.push(named(&aws(), &aws()));
        bundle.push(named(b"stranger", b"another"));
        assert_eq!(find(&leaf, &bundle), want);
    }

    #[test]
    fn a_leaf_right_below_the_root_needs_no_issuer() {
        assert_eq!(find(&named(b"leaf", &aws()), &[]), [Vec::<Vec<u8>>::new()]);
    }

    #[test]
    fn names_that_lead_in_a_circle_lead_nowhere() {
        let bundle = [named(b"a", b"b"), named(b"b", b"a"), named(b"c", b"c")];
        assert_eq!(find(&named(b"leaf", b"a"), &bundle), Vec::<Vec<Vec<u8>>>::new());
        assert_eq!(find(&named(b"leaf", b"c"), &bundle), Vec::<Vec<Vec<u8>>>::new());
    }

    #[test]
    fn namesakes_give_several_paths_up_to_a_limit() {
        let leaf = named(b"leaf", b"a");
        let two = [named(b"a", &aws()), named(b"a", &aws())];
        assert_eq!(find(&leaf, &two).len(), 2);
        let many: Vec<_> = (0..40).map(|_| named(b"a", &aws())).collect();
        assert_eq!(find(&leaf, &many).len(), MAX_PATHS);
    }

    #[test]
    fn namesakes_among_the_roots_give_no_more_paths_than_the_limit() {
        let roots: Vec<_> = (0..=MAX_PATHS).map(|_| TrustRoot::aws()).collect();
        let leaf = named(b"leaf", &aws());
        assert_eq!(super::find(&leaf, &[], &roots[..3]).len(), 3);
        assert_eq!(super::find(&leaf, &[], &roots).len(), MAX_PATHS);
    }

    #[test]
    fn a_maze_of_namesakes_is_left_after_a_fixed_number_of_steps() {
        let layers = [b"a", b"b", b"c", b"d", b"e", b"f", b"g"];
        let mut bundle = Vec::new();
        for pair in layers.windows(2) {
            bundle.extend((0..7).map(|_| named(pair[0], pair[1])));
        }
        let (leaf, roots) = (named(b"leaf", b"a"), [TrustRoot::aws()]);
        let mut search = Search {
            leaf: &leaf,
            bundle: &bundle,
            roots: &roots,
            issuers: Vec::new(),
            steps: 0,
            found: Vec::new(),
        };
        search.step(&leaf);
        assert_eq!((search.steps, search.found.len()), (MAX_STEPS, 0));
    }

    #[test]
    fn more_issuers_than_the_limit_are_not_followed() {
        let chain = |length: u8| {
            let middle = (1..length).map(|at| named(&[at], &[at.saturating_add(1)]));
            middle.chain([named(&[length], &aws())]).collect::<Vec<_>>()
        };
        assert_eq!(find(&named(b"leaf", &[1]), &chain(6)).len(), 1);
        assert_eq!(find(&named(b"leaf", &[1]), &chain(7)).len(), 0);
    }
}

//! Secrets in the order in which they were asked for (relay-protocol 7.6).

use std::collections::BTreeMap;

use super::{SecretEntry, SecretIdentifier};

/// An answer that does not fit what was asked for. Names of secrets are the workflow's own; the
/// texts are the protocol's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReconcileError {
    /// A secret that nobody asked for.
    #[error("unexpected secret {namespace}/{key} not in request")]
    Unexpected {
        /// Its namespace.
        namespace: String,
        /// Its name.
        key: String,
    },
    /// A secret that comes twice.
    #[error("duplicate secret {namespace}/{key} in response")]
    Duplicate {
        /// Its namespace.
        namespace: String,
        /// Its name.
        key: String,
    },
}

/// An answer in the order of its request.
#[derive(Clone, Debug)]
pub struct Reconciled<'a> {
    distinct: Vec<(&'a SecretIdentifier, Option<&'a SecretEntry>)>,
    by_request: Vec<usize>,
}

impl<'a> Reconciled<'a> {
    /// Each distinct secret once, in the order of its first request, with its entry if there is one.
    pub fn distinct(
        &self,
    ) -> impl ExactSizeIterator<Item = (&'a SecretIdentifier, Option<&'a SecretEntry>)> + '_ {
        self.distinct.iter().copied()
    }

    /// For each entry of the request, repeated ones too, the position of its secret among the
    /// distinct ones: so there is one output for one input (W-21), and each secret is opened once.
    pub fn by_request(&self) -> impl ExactSizeIterator<Item = usize> + '_ {
        self.by_request.iter().copied()
    }
}

/// Matches the entries of an answer with the identifiers of a request.
///
/// # Errors
///
/// [`ReconcileError`] for the first entry that was not asked for or that repeats another.
pub fn reconcile<'a>(
    requested: &'a [SecretIdentifier],
    entries: &'a [SecretEntry],
) -> Result<Reconciled<'a>, ReconcileError> {
    let name = |id: &'a SecretIdentifier| (id.namespace.as_str(), id.key.as_str());
    let mut positions = BTreeMap::new();
    let (mut distinct, mut by_request) = (Vec::new(), Vec::new());
    for id in requested {
        let position = *positions.entry(name(id)).or_insert_with(|| {
            distinct.push((id, None));
            distinct.len().saturating_sub(1)
        });
        by_request.push(position);
    }
    for entry in entries {
        let (namespace, key) = (entry.id.namespace.clone(), entry.id.key.clone());
        let place =
            positions.get(&name(&entry.id)).and_then(|position| distinct.get_mut(*position));
        match place {
            None => return Err(ReconcileError::Unexpected { namespace, key }),
            Some((_id, Some(_earlier))) => {
                return Err(ReconcileError::Duplicate { namespace, key });
            }
            Some((_id, place)) => *place = Some(entry),
        }
    }
    Ok(Reconciled { distinct, by_request })
}

//! What a handler requires of the place it runs in (7.5).

use std::collections::BTreeMap;

use protocol::messages::{
    decode,
    sdk::{Requirements, Tee, TeeItem},
};

use crate::wire::fields;

/// Something that can say whether it satisfies a requirement for an enclave.
pub trait TeeProvider: Send + Sync {
    /// Whether this is such an enclave; an absent requirement is satisfied by any.
    fn provides(&self, tee: Option<&Tee>) -> bool;
}

/// The encoded requirements are no `sdk.v1alpha.Requirements`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed requirements")]
pub struct RequirementsError;

/// The enclaves on offer: types with the regions they are in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TeeOffer {
    regions_by_type: BTreeMap<i32, Vec<String>>,
}

/// An enclave that knows its own type. Its region is for the DON to check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EnclaveTee {
    /// A number of `sdk.v1alpha.TeeType`.
    pub tee_type: i32,
}

/// Whether encoded requirements are satisfied. Absent ones are.
///
/// A requirement that is not known here is not satisfied, so unknown fields decide; they do not
/// survive decoding, which is why this takes bytes.
///
/// # Errors
///
/// [`RequirementsError`] if the bytes are no requirements.
pub fn satisfies(
    requirements: Option<&[u8]>,
    tee: Option<&dyn TeeProvider>,
) -> Result<bool, RequirementsError> {
    let Some(encoded) = requirements else { return Ok(true) };
    let requirements: Requirements = decode(encoded).map_err(|_error| RequirementsError)?;
    let mut fields = fields(encoded);
    if fields.any(|field| field.is_ok_and(|field| field.number != TEE)) {
        return Ok(false);
    }
    match (&requirements.tee, tee) {
        (None, _) => Ok(true),
        (Some(_), None) => Ok(false),
        (Some(wanted), Some(tee)) => Ok(tee.provides(Some(wanted))),
    }
}

impl TeeOffer {
    /// Merges offers of one type.
    #[must_use]
    pub fn new(offers: impl IntoIterator<Item = (i32, Vec<String>)>) -> Self {
        let mut regions_by_type = BTreeMap::<_, Vec<_>>::new();
        for (tee_type, regions) in offers {
            regions_by_type.entry(tee_type).or_default().extend(regions);
        }
        Self { regions_by_type }
    }

    fn has_region(&self, tee_type: i32, wanted: &[String]) -> bool {
        let Some(offered) = self.regions_by_type.get(&tee_type) else { return false };
        wanted.is_empty() || wanted.iter().any(|region| offered.contains(region))
    }
}

impl TeeProvider for TeeOffer {
    /// Of several entries of one type the first decides, as in the reference.
    fn provides(&self, tee: Option<&Tee>) -> bool {
        let Some(tee) = tee else { return true };
        match &tee.item {
            None => false,
            Some(TeeItem::AnyRegions(any)) => {
                let mut types = self.regions_by_type.keys();
                types.any(|tee_type| self.has_region(*tee_type, &any.regions))
            }
            Some(TeeItem::TypesAndRegions(typed)) => {
                let entries = &typed.tee_type_and_regions;
                self.regions_by_type.keys().any(|tee_type| {
                    let first = entries.iter().find(|entry| entry.r#type == *tee_type);
                    first.is_some_and(|entry| self.has_region(*tee_type, &entry.regions))
                })
            }
        }
    }
}

impl TeeProvider for EnclaveTee {
    fn provides(&self, tee: Option<&Tee>) -> bool {
        let Some(tee) = tee else { return true };
        match &tee.item {
            None => false,
            Some(TeeItem::AnyRegions(_)) => true,
            Some(TeeItem::TypesAndRegions(typed)) => {
                typed.tee_type_and_regions.iter().any(|entry| entry.r#type == self.tee_type)
            }
        }
    }
}

const TEE: u32 = 1;

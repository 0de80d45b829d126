//! The signed part of a document, as the device writes it.

use attestation::{Pcr, cbor::Writer};

/// What a document says; certificates are added when it is encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// Name of the device.
    pub module_id: String,
    /// Milliseconds since 1970.
    pub timestamp_ms: u64,
    /// Registers by index.
    pub pcrs: Vec<(u8, Pcr)>,
    /// What the enclave says.
    pub user_data: Option<Vec<u8>>,
    /// What the asker said.
    pub nonce: Option<Vec<u8>>,
    /// A key of the enclave's choice.
    pub public_key: Option<Vec<u8>>,
}

impl Payload {
    /// Encodes the payload with the leaf certificate and its bundle.
    #[must_use]
    pub fn encode(&self, leaf: &[u8], bundle: &[Vec<u8>]) -> Vec<u8> {
        encode_fields(&self.fields(leaf, bundle))
    }

    /// The fields in the device's order, each with its encoded value.
    #[must_use]
    pub fn fields(&self, leaf: &[u8], bundle: &[Vec<u8>]) -> Vec<(&'static str, Vec<u8>)> {
        let pcrs = self.pcrs.iter().fold(Writer::new().map(count(self.pcrs.len())), |map, pcr| {
            map.unsigned(pcr.0.into()).bytes(pcr.1.as_bytes())
        });
        let cabundle = Writer::new().array(count(bundle.len()));
        let cabundle = bundle.iter().fold(cabundle, |list, der| list.bytes(der));
        let fields = [
            ("module_id", Writer::new().text(&self.module_id)),
            ("digest", Writer::new().text("SHA384")),
            ("timestamp", Writer::new().unsigned(self.timestamp_ms)),
            ("pcrs", pcrs),
            ("certificate", Writer::new().bytes(leaf)),
            ("cabundle", cabundle),
            ("public_key", optional(self.public_key.as_deref())),
            ("user_data", optional(self.user_data.as_deref())),
            ("nonce", optional(self.nonce.as_deref())),
        ];
        fields.map(|(name, value)| (name, value.finish())).into()
    }
}

/// Encodes fields whose values are encoded already.
pub(crate) fn encode_fields(fields: &[(impl AsRef<str>, Vec<u8>)]) -> Vec<u8> {
    let map = Writer::new().map(count(fields.len()));
    let add = |map: Writer, (name, value): &(_, Vec<u8>)| map.text(AsRef::as_ref(name)).raw(value);
    fields.iter().fold(map, add).finish()
}

fn optional(field: Option<&[u8]>) -> Writer {
    field.map_or_else(|| Writer::new().null(), |bytes| Writer::new().bytes(bytes))
}

fn count(items: usize) -> u64 {
    u64::try_from(items).unwrap_or(u64::MAX)
}

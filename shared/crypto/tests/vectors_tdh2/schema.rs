//! The form of `tdh2.json` (tdh2 section 20). A member or a kind that is not known is a failure.

use serde::Deserialize;
use serde_json::Value;

/// The whole file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    #[serde(rename = "meta")]
    _meta: Value,
    pub(crate) keysets: Vec<KeySet>,
    pub(crate) redeal: Redeal,
    pub(crate) ciphertexts: Vec<Encrypted>,
    pub(crate) decryption_shares: Vec<Share>,
    pub(crate) aggregate: Vec<Aggregate>,
    pub(crate) combiner: Vec<Combiner>,
    pub(crate) unmarshal_verify: Vec<UnmarshalVerify>,
    pub(crate) verify_share: Vec<VerifyShare>,
    pub(crate) unmarshal: Vec<Unmarshal>,
    pub(crate) keygen: Vec<Keygen>,
    pub(crate) sealed_box: Vec<SealedBox>,
    pub(crate) owner_labels: Vec<OwnerLabel>,
    pub(crate) production_g_bar: Vec<GBar>,
    pub(crate) vault_flow: VaultFlow,
    pub(crate) sizes: Sizes,
}

/// What a case ends in.
#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    Ok,
    Error,
    Panic,
}

/// The stricter outcome, where it differs; it is the one for us.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Hardened {
    pub(crate) expect: Outcome,
    pub(crate) error_code: Option<String>,
    pub(crate) plaintext_hex: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeySet {
    pub(crate) id: String,
    pub(crate) k: u32,
    pub(crate) n: u32,
    pub(crate) coefficients_hex: Vec<String>,
    pub(crate) g_bar_dlog_hex: String,
    pub(crate) master_secret: String,
    pub(crate) public_key: String,
    pub(crate) private_shares: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Redeal {
    pub(crate) from: String,
    pub(crate) k: u32,
    pub(crate) n: u32,
    pub(crate) public_key: String,
    pub(crate) private_shares: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Encrypted {
    pub(crate) id: String,
    pub(crate) keyset: String,
    pub(crate) origin: Origin,
    pub(crate) ciphertext: String,
    pub(crate) label_hex: String,
    pub(crate) plaintext_hex: String,
    pub(crate) inner_ciphertext: Option<String>,
    pub(crate) sym_key_hex: Option<String>,
    pub(crate) nonce_hex: Option<String>,
    pub(crate) r_hex: Option<String>,
    pub(crate) s_hex: Option<String>,
    pub(crate) intermediate: Option<Intermediate>,
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Origin {
    GoReference,
    JsReference,
}

/// What encryption computes on the way. The values that stay inside are compared beside the code.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Intermediate {
    #[serde(rename = "C_hex")]
    pub(crate) c: String,
    #[serde(rename = "U_hex")]
    pub(crate) u: String,
    #[serde(rename = "U_bar_hex")]
    pub(crate) u_bar: String,
    #[serde(rename = "e_hex")]
    pub(crate) e: String,
    #[serde(rename = "f_hex")]
    pub(crate) f: String,
    #[serde(rename = "W_hex")]
    _w: String,
    #[serde(rename = "W_bar_hex")]
    _w_bar: String,
    #[serde(rename = "hash1_mask_hex")]
    _mask: String,
    #[serde(rename = "rH_hex")]
    _r_h: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Share {
    pub(crate) ciphertext: String,
    pub(crate) index: usize,
    pub(crate) s_i_hex: String,
    pub(crate) share: String,
    #[serde(rename = "u_hat_hex")]
    _u_hat: String,
    #[serde(rename = "h_hat_hex")]
    _h_hat: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Aggregate {
    pub(crate) name: String,
    pub(crate) ciphertext: String,
    #[serde(rename = "n")]
    _n: i64,
    pub(crate) share_indices: Vec<usize>,
    pub(crate) plaintext_hex: Option<String>,
    pub(crate) expect: Outcome,
    pub(crate) error_code: Option<String>,
    pub(crate) hardened: Option<Hardened>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Combiner {
    pub(crate) name: String,
    pub(crate) public_key_b64: String,
    pub(crate) ciphertext_b64: String,
    pub(crate) shares_b64: Vec<String>,
    pub(crate) threshold: i64,
    pub(crate) plaintext_hex: Option<String>,
    pub(crate) expect: Outcome,
    pub(crate) error_code: Option<String>,
    pub(crate) hardened: Option<Hardened>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UnmarshalVerify {
    pub(crate) name: String,
    pub(crate) public_key: String,
    pub(crate) ciphertext_b64: String,
    pub(crate) label_hex: Option<String>,
    pub(crate) expect: Outcome,
    pub(crate) error_code: Option<String>,
    pub(crate) hardened: Option<Hardened>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct VerifyShare {
    pub(crate) name: String,
    pub(crate) public_key: String,
    pub(crate) ciphertext: String,
    pub(crate) share_b64: String,
    #[serde(rename = "stage")]
    _stage: Option<Stage>,
    pub(crate) expect: Outcome,
    pub(crate) error_code: Option<String>,
    pub(crate) hardened: Option<Hardened>,
}

/// Where the reference refuses; we may do so earlier.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Stage {
    Unmarshal,
    Verify,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Unmarshal {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) input_b64: String,
    pub(crate) reencoded: Option<String>,
    pub(crate) expect: Outcome,
    pub(crate) error_code: Option<String>,
    pub(crate) hardened: Option<Hardened>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    PublicKey,
    PrivateShare,
    MasterSecret,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Keygen {
    pub(crate) k: i64,
    pub(crate) n: i64,
    pub(crate) expect: Outcome,
    pub(crate) error_code: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SealedBox {
    pub(crate) name: String,
    pub(crate) recipient_secret_hex: String,
    pub(crate) recipient_public_hex: String,
    pub(crate) sealed_hex: String,
    pub(crate) message_hex: Option<String>,
    pub(crate) ephemeral_secret_hex: Option<String>,
    pub(crate) ephemeral_public_hex: Option<String>,
    pub(crate) nonce_hex: Option<String>,
    #[serde(rename = "beforenm_key_hex")]
    _shared_key: Option<String>,
    pub(crate) expect: Outcome,
    pub(crate) error_code: Option<String>,
    pub(crate) libsodium_expect: Option<Outcome>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OwnerLabel {
    pub(crate) owner: String,
    pub(crate) checksummed: String,
    pub(crate) label_hex: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GBar {
    pub(crate) instance_id: String,
    pub(crate) g_bar_hex: String,
    pub(crate) g_bar_compressed_hex: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct VaultFlow {
    pub(crate) keyset: String,
    pub(crate) ciphertext: String,
    pub(crate) threshold: u32,
    pub(crate) owner_address: String,
    pub(crate) label_hex: String,
    pub(crate) plaintext_hex: String,
    pub(crate) master_public_key_hex: String,
    pub(crate) encrypted_value_hex: String,
    pub(crate) enclave_secret_key_hex: String,
    pub(crate) enclave_public_key_hex: String,
    pub(crate) vault_shares_hex: Vec<String>,
    pub(crate) relay_ciphertext_b64: String,
    pub(crate) relay_shares_b64: Vec<String>,
    pub(crate) compute_request_fragment: String,
}

/// The members of a compute request that carry the same bytes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fragment {
    pub(crate) ciphertexts: Vec<String>,
    #[serde(rename = "CiphertextNames")]
    pub(crate) names: Vec<String>,
    #[serde(rename = "encryptedDecryptionKeyShares")]
    pub(crate) shares: Vec<Vec<String>>,
    #[serde(rename = "enclaveEphemeralPublicKey")]
    pub(crate) enclave_public_key: String,
    #[serde(rename = "masterPublicKey")]
    pub(crate) master_public_key: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sizes {
    pub(crate) decryption_share_bytes_index0: usize,
    pub(crate) hybrid_ciphertext_bytes_for_5_byte_plaintext: usize,
    pub(crate) hybrid_ciphertext_bytes_for_empty_plaintext: usize,
    pub(crate) inner_ciphertext_bytes: usize,
    pub(crate) private_share_bytes: usize,
    pub(crate) public_key_bytes_n5: usize,
}

//! Package `vault`: requests to the vault DON and its answers.

message! {
    /// The name of one secret and its owner.
    SecretIdentifier = "vault.SecretIdentifier" {
        1 key: (string) String,
        2 namespace: (string) String,
        3 owner: (string) String,
    }
}

message! {
    /// One secret and the keys its shares are to be sealed to.
    SecretRequest = "vault.SecretRequest" {
        1 id: (message, optional) Option<SecretIdentifier>,
        2 encryption_keys: (string, repeated) Vec<String>,
    }
}

message! {
    /// A request for secrets.
    GetSecretsRequest = "vault.GetSecretsRequest" {
        1 requests: (message, repeated) Vec<SecretRequest>,
        2 org_id: (string) String,
        3 workflow_owner: (string) String,
    }
}

message! {
    /// The shares sealed to one key.
    EncryptedShares = "vault.EncryptedShares" {
        1 shares: (string, repeated) Vec<String>,
        2 encryption_key: (string) String,
        3 binary_shares: (bytes, repeated) Vec<Vec<u8>>,
    }
}

message! {
    /// One secret's ciphertext with the shares that open it.
    SecretData = "vault.SecretData" {
        2 encrypted_value: (string) String,
        3 encrypted_decryption_key_shares: (message, repeated) Vec<EncryptedShares>,
    }
}

message! {
    /// The answer for one secret.
    SecretResponse = "vault.SecretResponse" {
        1 id: (message, optional) Option<SecretIdentifier>,
        /// The answer for one secret.
        oneof result: SecretResult {
            2 data: Data(message) SecretData,
            3 error: Error(string) String,
        }
    }
}

message! {
    /// The answers to a request for secrets.
    GetSecretsResponse = "vault.GetSecretsResponse" {
        1 responses: (message, repeated) Vec<SecretResponse>,
    }
}

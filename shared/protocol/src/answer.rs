//! What an enclave answers, and what its attestation documents bind (enclave-and-host 2, 3).

use crate::{
    compute::is_legacy,
    config::EnclaveConfig,
    hash::Canonical,
    ids::{EnclavesListHash, RequestHash, RequestId, UserDataHash},
    json::{Bytes, Details},
    time::Rfc3339,
};

wire! {
    /// The answer to an executed request.
    ExecuteResponse {
        /// The request.
        request_id: RequestId = "requestID";
        /// The caller's name for the request.
        application_request_id: String = "applicationRequestID";
        /// The request's hash.
        request_hash: RequestHash = "requestHash";
        /// What the application answered.
        output: Bytes = "output";
        /// The configuration under which it ran.
        config: EnclaveConfig = "config";
        /// A document over [`ExecuteResponse::user_data`].
        attestation: Bytes = "attestation";
        /// The last details of each kind of event; the attestation does not cover them.
        metrics: Option<Details> = "metrics", omit;
        /// All events in order; the attestation does not cover them.
        metric_events: Option<Vec<MetricEvent>> = "metricEvents", omit;
    }
}

wire! {
    /// Something that happened while a request was executed.
    MetricEvent {
        /// The kind of event.
        event: String = "event";
        /// What is to be known about it.
        details: Option<Details> = "details";
    }
}

wire! {
    /// Why a request was not executed.
    EnclaveErrorResponse {
        /// The reason.
        error: String = "error";
        /// The last details of each kind of event.
        metrics: Option<Details> = "metrics", omit;
        /// All events in order.
        metric_events: Option<Vec<MetricEvent>> = "metricEvents", omit;
    }
}

wire! {
    /// The same with what programs act on behind it: v1 ignores these members and does not write them.
    EnclaveRefusal, flat reason: EnclaveErrorResponse {
        /// A word for the reason; none from an enclave of v1.
        code: String = "code";
        /// Whether the same request may succeed later.
        retryable: bool = "retryable";
    }
}

wire! {
    /// The keys to which shares may be sealed; members of one key have the same index.
    PublicKeyResponse {
        /// X25519 keys of 32 bytes.
        public_keys: Option<Vec<Bytes>> = "publicKey";
        /// When each was made.
        creation_times: Option<Vec<Rfc3339>> = "creationTimes";
        /// How long each lives in all, in nanoseconds.
        ttls: Option<Vec<i64>> = "ttls";
        /// The enclave's configuration.
        config: EnclaveConfig = "config";
        /// A document over [`PublicKeyResponse::user_data`].
        attestation: Bytes = "attestation";
    }
}

wire! {
    /// The first configuration of an enclave.
    ConfigRequest {
        /// The JSON of an [`EnclaveConfig`].
        config: Bytes = "config";
    }
}

wire! {
    /// The answer to a first configuration.
    SetConfigResponse {
        /// What was set.
        config: EnclaveConfig = "config";
        /// A document over [`crate::config::set_config_user_data`].
        attestation: Bytes = "attestation";
    }
}

wire! {
    /// One signer's vote for a new configuration.
    UpdateConfigRequest {
        /// The JSON of an [`EnclaveConfig`].
        config: Bytes = "config";
        /// An ed25519 signature over the configuration's hash: 64 bytes.
        signature: Bytes = "signature";
    }
}

wire! {
    /// The answer to a vote.
    UpdateConfigResponse {
        /// Whether the configuration is in force.
        applied: bool = "applied";
        /// The configuration voted for.
        config: EnclaveConfig = "config";
        /// Distinct signers so far.
        signers_collected: i64 = "signersCollected";
        /// F + 1 of the configuration in force.
        signers_required: i64 = "signersRequired";
        /// A document over [`crate::config::set_config_user_data`], once applied.
        attestation: Bytes = "attestation", omit;
    }
}

wire! {
    /// How much memory an enclave uses, in MiB.
    MemoryEstimateResponse {
        /// Mapped by the program.
        used_mib: u64 = "usedMB";
        /// Resident.
        rss_mib: u64 = "rssMB";
    }
}

impl ExecuteResponse {
    /// What the answer's attestation binds, for the version of its request: request, output and
    /// configuration (relay-protocol 5.6). The request id stands before the separator.
    #[must_use]
    pub fn user_data(&self, request_version: &str) -> UserDataHash {
        let hash = Canonical::bare()
            .fixed(self.request_id.as_bytes())
            .named("ExecuteResponse")
            .field(&self.output)
            .fixed(self.config.hash().as_bytes())
            .fixed(self.request_hash.as_bytes());
        let hash = if is_legacy(request_version) {
            hash
        } else {
            hash.field(&self.application_request_id)
        };
        hash.finish().into()
    }
}

impl PublicKeyResponse {
    /// What the attestation of keys binds: keys, their times, and the configuration.
    #[must_use]
    pub fn user_data(&self) -> UserDataHash {
        let times = self.creation_times.as_deref().unwrap_or_default();
        Canonical::of("PublicKeyResponse")
            .fields(self.public_keys.as_deref().unwrap_or_default().iter())
            .i64s(times.iter().map(|time| time.unix_nanos()))
            .i64s(self.ttls.as_deref().unwrap_or_default().iter().copied())
            .fixed(self.config.hash().as_bytes())
            .finish()
            .into()
    }
}

wire! {
    /// An enclave as the registry lists it.
    ListedEnclave {
        /// Its identifier.
        enclave_id: [u8; 32] = "enclaveId";
        /// Where its host listens.
        enclave_url: String = "enclaveURL";
        /// Measurements to be trusted, each a JSON text.
        trusted_values: Option<Vec<Bytes>> = "trustedValues";
        /// The kind of enclave.
        enclave_type: String = "enclaveType";
        /// A header for requests to its host.
        enclave_auth_header: String = "enclaveAuthHeader";
        /// Data that the kind of enclave defines.
        enclave_extra_data: Bytes = "enclaveExtraData";
        /// Where it runs.
        region: String = "region";
    }
}

/// The hash by which nodes see that the list of enclaves changed (relay-protocol 5.6).
#[must_use]
pub fn enclaves_list_hash(enclaves: &[ListedEnclave]) -> EnclavesListHash {
    let hash = Canonical::of("EnclavesList").count(enclaves.len());
    let add = |hash: Canonical, enclave: &ListedEnclave| {
        hash.fixed(&enclave.enclave_id)
            .field(&enclave.enclave_url)
            .fields(enclave.trusted_values.as_deref().unwrap_or_default().iter())
            .field(&enclave.enclave_type)
            .field(&enclave.enclave_auth_header)
            .field(&enclave.enclave_extra_data)
            .field(&enclave.region)
    };
    enclaves.iter().fold(hash, add).finish().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    #[test]
    fn a_refusal_begins_with_the_bytes_of_v1() {
        let reason = EnclaveErrorResponse { error: "no".to_owned(), ..Default::default() };
        let v1 = String::from_utf8(json::to_vec(&reason)).unwrap();
        let refusal = EnclaveRefusal { reason, code: "busy".to_owned(), retryable: true };
        let v2 = String::from_utf8(json::to_vec(&refusal)).unwrap();
        assert_eq!(v2, v1.replace('}', r#","code":"busy","retryable":true}"#));
        assert_eq!(json::from_slice(v2.as_bytes()), Ok(refusal.clone()));
        assert_eq!(json::from_slice(v2.as_bytes()), Ok(refusal.reason));
        let old: EnclaveRefusal = json::from_slice(v1.as_bytes()).unwrap();
        assert_eq!(
            (old.reason.error.as_str(), old.code.as_str(), old.retryable),
            ("no", "", false)
        );
    }
}

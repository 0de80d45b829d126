//! Package `node.v1`: the service that says where a workflow's artifacts are.

use super::well_known::Timestamp;

message! {
    /// Which artifact is wanted.
    DownloadArtifactRequest = "node.v1.DownloadArtifactRequest" {
        1 id: (string) String,
        2 r#type: (enumeration(ArtifactType)) i32,
    }
}

message! {
    /// Where the artifact is; not printed, because the URL is a credential.
    opaque DownloadArtifactResponse = "node.v1.DownloadArtifactResponse" {
        1 url: (string) String,
        2 expiry: (message, optional) Option<Timestamp>,
    }
}

enumeration! {
    /// A type of artifact.
    ArtifactType {
        0 Unspecified,
        1 Binary,
        2 Config,
    }
}

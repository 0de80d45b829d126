//! Faults a relay node can be told to have, for tests of the others and for people who want to see
//! them. Nothing of this is reachable from a configuration file.

use std::{fmt, str::FromStr};

use protocol::{
    base64,
    json::{self, RawJson},
    relay::{
        CapabilityRequestParams, CapabilityResult, Params, SecretsRequestParams, SignedResult,
    },
    rpc,
};

use crate::{connector::text, handler::Handler, vault::Conduct};

/// How a relay node misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Signs other results than it got, and seals random bytes instead of its share.
    Lie,
    /// Sends results and contributions that are none.
    Garbage,
    /// Takes every request and never answers.
    Stall,
    /// Never dials the gateway.
    Down,
    /// Sends everything twice.
    Duplicate,
}

/// There is no such fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a fault is one of lie, garbage, stall, down, duplicate")]
pub struct ParseFaultError;

impl Fault {
    /// How the node behaves towards the vault.
    pub(crate) fn conduct(self) -> Conduct {
        match self {
            Self::Lie => Conduct::Lies,
            Self::Garbage => Conduct::Babbles,
            Self::Stall | Self::Down => Conduct::Stalls,
            Self::Duplicate => Conduct::Repeats,
        }
    }

    /// What is sent instead of the one true answer.
    pub(crate) fn answers(
        self,
        handler: &Handler,
        request: &rpc::Request,
        response: rpc::Response,
    ) -> Vec<String> {
        match self {
            Self::Lie => vec![text(&lie(handler, request, response))],
            Self::Garbage => vec![text(&rpc::Response::result(
                &request.id,
                &request.method,
                &"no signed result".to_owned(),
            ))],
            Self::Stall | Self::Down => Vec::new(),
            Self::Duplicate => vec![text(&response); 2],
        }
    }
}

/// A well-signed result that nobody computed; an error stays what it is. Liars do not conspire: each
/// tells a lie of its own.
fn lie(handler: &Handler, request: &rpc::Request, response: rpc::Response) -> rpc::Response {
    let liar = handler.key().public();
    let forged = match request.method.as_str() {
        SecretsRequestParams::METHOD => {
            forge::<SecretsRequestParams>(handler, request, &response, |result| {
                for secret in result.secrets.iter_mut().flatten() {
                    secret
                        .encrypted_shares
                        .iter_mut()
                        .flatten()
                        .for_each(|share| *share = base64::encode(liar.as_bytes()));
                }
            })
        }
        _ => forge::<CapabilityRequestParams>(handler, request, &response, |result| {
            *result =
                CapabilityResult { payload: String::new(), error: format!("a lie of {liar}") };
        }),
    };
    forged.unwrap_or(response)
}

fn forge<P: Params>(
    handler: &Handler,
    request: &rpc::Request,
    response: &rpc::Response,
    change: impl FnOnce(&mut P::Result),
) -> Option<rpc::Response> {
    let params: P = read(request.params.as_ref()?)?;
    let mut signed: SignedResult<P::Result> = read(response.result.as_ref()?)?;
    change(&mut signed.result);
    let signed = SignedResult::sign(&params, signed.result, handler.key()).ok()?;
    Some(rpc::Response::result(&request.id, &request.method, &signed))
}

fn read<T: json::Wire>(raw: &RawJson) -> Option<T> {
    json::from_slice(raw.as_str().as_bytes()).ok()
}

impl FromStr for Fault {
    type Err = ParseFaultError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let all = [Self::Lie, Self::Garbage, Self::Stall, Self::Down, Self::Duplicate];
        all.into_iter().find(|fault| fault.to_string() == text).ok_or(ParseFaultError)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lie => "lie",
            Self::Garbage => "garbage",
            Self::Stall => "stall",
            Self::Down => "down",
            Self::Duplicate => "duplicate",
        })
    }
}

#[cfg(test)]
mod tests {
    use crypto::sign::{Domain, Signature};
    use protocol::relay::SecretsResult;

    use super::*;
    use crate::world::{self, World, request};

    async fn answers<P: Params>(world: &World, fault: Fault, params: P) -> (P, Vec<rpc::Response>) {
        let params = world.attest(params);
        let (handler, request) = (world.handler(), request(&params));
        let response = handler.answer(&request).await;
        let texts = fault.answers(&handler, &request, response);
        (params, texts.iter().map(|text| json::from_slice(text.as_bytes()).unwrap()).collect())
    }

    #[tokio::test]
    async fn a_lie_is_well_signed_and_wrong() {
        let world = World::new();
        let (params, lies) = answers(&world, Fault::Lie, world.bare_secrets()).await;
        let signed: SignedResult<SecretsResult> = world::read(lies[0].result.as_ref().unwrap());
        let hash = params.hash_result(&signed.result).unwrap();
        let signature = Signature::from_slice(signed.signature.signature.as_slice()).unwrap();
        let key = world.nodes[0].public();
        key.verify(Domain::RelayResponse, hash.as_bytes(), &signature).unwrap();
        let shares = signed.result.secrets.unwrap()[0].encrypted_shares.clone().unwrap();
        assert_eq!(shares, [base64::encode(key.as_bytes())]);
        let (_, lies) = answers(&world, Fault::Lie, world.bare_capability()).await;
        let signed: SignedResult<CapabilityResult> = world::read(lies[0].result.as_ref().unwrap());
        assert_eq!(signed.result.error, format!("a lie of {key}"));
    }

    #[tokio::test]
    async fn garbage_is_no_signed_result() {
        let world = World::new();
        let (_, answers) = answers(&world, Fault::Garbage, world.bare_capability()).await;
        let result = answers[0].result.as_ref().unwrap();
        assert!(read::<SignedResult<CapabilityResult>>(result).is_none());
    }

    #[tokio::test]
    async fn a_stalling_node_says_nothing_and_a_duplicating_one_everything_twice() {
        let world = World::new();
        for (fault, count) in [(Fault::Stall, 0), (Fault::Down, 0), (Fault::Duplicate, 2)] {
            let (_, answers) = answers(&world, fault, world.bare_capability()).await;
            assert_eq!(answers.len(), count, "{fault}");
            assert!(answers.windows(2).all(|pair| pair[0] == pair[1]));
        }
    }

    #[test]
    fn faults_are_named_by_one_word() {
        for word in ["lie", "garbage", "stall", "down", "duplicate"] {
            assert_eq!(word.parse::<Fault>().unwrap().to_string(), word);
        }
        for word in ["", "Lie", "crash"] {
            assert_eq!(word.parse::<Fault>(), Err(ParseFaultError));
        }
    }
}

//! Capabilities for development: a price feed and an echo, the same on every node.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use futures_util::future::BoxFuture;
use protocol::{
    messages::{
        self, Message,
        devnet::{echo, price_feed},
        sdk::{CapabilityOutcome, CapabilityRequest, CapabilityResponse},
        well_known::Any,
    },
    quote::quote,
};

use super::{Call, Capabilities, Failure};

/// The devnet's capabilities. What is not there is an unknown capability.
#[derive(Clone, Debug, Default)]
pub struct Devnet {
    prices: Option<Prices>,
    has_echo: bool,
}

type Prices = BTreeMap<String, Price>;

#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Price {
    /// A decimal number, as text, so that nobody rounds it.
    price: String,
    timestamp_ms: u64,
}

/// Why there are no prices.
#[derive(Debug, thiserror::Error)]
pub enum PricesError {
    /// The file cannot be read.
    #[error("the price feed's file cannot be read")]
    Read(#[source] io::Error),
    /// The file is longer than it may be.
    #[error("the price feed's file is longer than {limit} bytes")]
    TooLong {
        /// The limit in bytes.
        limit: u64,
    },
    /// The file is not in its form.
    #[error(
        "the price feed's file is not {{SYMBOL: {{\"price\": \"1.5\", \"timestamp_ms\": 0}}}}: {0}"
    )]
    Form(#[from] serde_json::Error),
}

/// Why a call fails, as the workflow reads it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
enum DevnetError {
    #[error("no compatible capability found for id {0}")]
    Capability(String),
    #[error("capability {id} has no method {method}")]
    Method { id: &'static str, method: String },
    #[error("the request is not a {want}")]
    Request { want: &'static str },
    #[error("price-feed has no price of {}", quote(.0.as_bytes()))]
    Symbol(String),
}

impl Devnet {
    /// Neither of the two.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// With the echo.
    #[must_use]
    pub fn with_echo(mut self) -> Self {
        self.has_echo = true;
        self
    }

    /// With prices from a file, which is read once, so that all calls see the same.
    ///
    /// # Errors
    ///
    /// [`PricesError`].
    pub fn with_prices(self, path: &Path) -> Result<Self, PricesError> {
        let file = File::open(path).map_err(PricesError::Read)?;
        let (mut text, limit) = (Vec::new(), LONGEST_FILE_BYTES);
        let read = file.take(limit.saturating_add(1)).read_to_end(&mut text);
        if read.map_err(PricesError::Read)? as u64 > limit {
            return Err(PricesError::TooLong { limit });
        }
        self.with_prices_of(&text)
    }

    /// With the prices of a text in the file's form.
    ///
    /// # Errors
    ///
    /// [`PricesError::Form`].
    pub fn with_prices_of(mut self, text: &[u8]) -> Result<Self, PricesError> {
        self.prices = Some(serde_json::from_slice(text)?);
        Ok(self)
    }

    /// Whether there is a capability with this id.
    #[must_use]
    pub fn serves(&self, id: &str) -> bool {
        match id {
            price_feed::CAPABILITY => self.prices.is_some(),
            echo::CAPABILITY => self.has_echo,
            _ => false,
        }
    }

    /// Answers a call, as on every relay node of a devnet.
    ///
    /// # Errors
    ///
    /// [`Failure`] in the words that the workflow will read.
    pub fn answer_to(&self, request: &CapabilityRequest) -> Result<Any, Failure> {
        self.answer(request).map_err(|error| Failure::new(error.to_string()))
    }

    fn answer(&self, request: &CapabilityRequest) -> Result<Any, DevnetError> {
        match (request.id.as_str(), &self.prices) {
            (price_feed::CAPABILITY, Some(prices)) => {
                method(request, price_feed::CAPABILITY, price_feed::LATEST)?;
                latest(prices, unpack(request)?)
            }
            (echo::CAPABILITY, _) if self.has_echo => {
                method(request, echo::CAPABILITY, echo::ECHO)?;
                let echo::EchoRequest { payload } = unpack(request)?;
                Ok(messages::pack(&echo::EchoResponse { payload }))
            }
            (id, _) => Err(DevnetError::Capability(id.to_owned())),
        }
    }
}

impl Capabilities for Devnet {
    fn call(&self, call: Call) -> BoxFuture<'_, Result<Vec<u8>, Failure>> {
        let answer = self.answer_to(&call.request).map(|payload| {
            let response = Some(CapabilityOutcome::Payload(payload));
            messages::encode(&CapabilityResponse { response })
        });
        Box::pin(std::future::ready(answer))
    }
}

fn latest(prices: &Prices, request: price_feed::LatestRequest) -> Result<Any, DevnetError> {
    let price_feed::LatestRequest { symbol } = request;
    let Some(Price { price, timestamp_ms }) = prices.get(&symbol).cloned() else {
        return Err(DevnetError::Symbol(symbol));
    };
    Ok(messages::pack(&price_feed::LatestResponse { symbol, price, timestamp_ms }))
}

fn method(request: &CapabilityRequest, id: &'static str, want: &str) -> Result<(), DevnetError> {
    if request.method == want {
        return Ok(());
    }
    Err(DevnetError::Method { id, method: request.method.clone() })
}

fn unpack<M: Message>(request: &CapabilityRequest) -> Result<M, DevnetError> {
    let message = request.payload.as_ref().and_then(|any| messages::unpack(any).ok());
    message.ok_or(DevnetError::Request { want: M::NAME })
}

/// Thousands of symbols.
const LONGEST_FILE_BYTES: u64 = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::super::Tenant;
    use super::*;

    fn devnet() -> Devnet {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("prices.json");
        std::fs::write(&path, r#"{"ETH-USD":{"price":"3000.10","timestamp_ms":1700000000000}}"#)
            .unwrap();
        Devnet::none().with_prices(&path).unwrap().with_echo()
    }

    async fn call(
        devnet: &Devnet,
        id: &str,
        method: &str,
        payload: Option<Any>,
    ) -> Result<Any, String> {
        let request =
            CapabilityRequest { id: id.into(), method: method.into(), payload, callback_id: 1 };
        let encoded = messages::encode(&request);
        let call = Call { tenant: Tenant::default(), request, encoded };
        let answer = devnet.call(call).await.map_err(Failure::into_text)?;
        match messages::decode::<CapabilityResponse>(&answer).unwrap().response.unwrap() {
            CapabilityOutcome::Payload(any) => Ok(any),
            CapabilityOutcome::Error(text) => panic!("{text}"),
        }
    }

    #[tokio::test]
    async fn the_price_feed_answers_from_its_file() {
        let request = price_feed::LatestRequest { symbol: "ETH-USD".into() };
        let any =
            call(&devnet(), "price-feed@1.0.0", "Latest", Some(messages::pack(&request))).await;
        let response: price_feed::LatestResponse = messages::unpack(&any.unwrap()).unwrap();
        assert_eq!(
            (response.price.as_str(), response.timestamp_ms),
            ("3000.10", 1_700_000_000_000)
        );
    }

    #[tokio::test]
    async fn the_echo_gives_back_what_it_got() {
        let request = echo::EchoRequest { payload: vec![1, 2, 3] };
        let any = call(&devnet(), "echo@1.0.0", "Echo", Some(messages::pack(&request))).await;
        let response: echo::EchoResponse = messages::unpack(&any.unwrap()).unwrap();
        assert_eq!(response.payload, [1, 2, 3]);
    }

    #[tokio::test]
    async fn what_is_not_there_is_said_in_words_for_the_workflow() {
        let unknown = price_feed::LatestRequest { symbol: "X\n".into() };
        let unknown = Some(messages::pack(&unknown));
        for (id, method, payload, text) in [
            ("other@1.0.0", "M", None, "no compatible capability found for id other@1.0.0"),
            ("echo@1.0.0", "M", None, "capability echo@1.0.0 has no method M"),
            ("echo@1.0.0", "Echo", None, "the request is not a devnet.echo.v1.EchoRequest"),
            ("price-feed@1.0.0", "Latest", unknown, r#"price-feed has no price of "X\n""#),
        ] {
            assert_eq!(call(&devnet(), id, method, payload).await.unwrap_err(), text);
        }
        let none = call(&Devnet::none(), "echo@1.0.0", "Echo", None).await;
        assert_eq!(none.unwrap_err(), "no compatible capability found for id echo@1.0.0");
    }

    #[test]
    fn a_file_in_another_form_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("prices.json");
        assert!(matches!(Devnet::none().with_prices(&path), Err(PricesError::Read(_))));
        for text in [
            "",
            "[]",
            r#"{"a":{"price":1,"timestamp_ms":0}}"#,
            r#"{"a":{"price":"1","timestamp_ms":0,"x":0}}"#,
        ] {
            std::fs::write(&path, text).unwrap();
            assert!(
                matches!(Devnet::none().with_prices(&path), Err(PricesError::Form(_))),
                "{text}"
            );
        }
    }
}

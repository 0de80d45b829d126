//! The node's side of the links to gateways: dial out, prove the key, answer, come back.

use std::{sync::Arc, time::Duration};

use crypto::sign::SigningKey;
use protocol::clock::Clock;
use rand_core::RngCore;
use tokio::{
    net::lookup_host,
    sync::{Semaphore, watch},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use transport::{BoxStream, Dial, DialError, TcpDialer};

use crate::{
    config::{Gateway, GatewayUrl},
    fault::Fault,
    handler::Handler,
};

mod backoff;
mod link;
mod session;

use backoff::Backoff;
use session::Shared;

pub(crate) use session::text;

/// Keeps a link to one gateway.
pub(crate) struct Connector {
    pub(crate) road: Road,
    pub(crate) gateway: Gateway,
    pub(crate) key: SigningKey,
    pub(crate) handler: Arc<Handler>,
    pub(crate) fault: Option<Fault>,
    pub(crate) max_in_flight: usize,
    pub(crate) clock: Arc<dyn Clock>,
    /// True while there is a link.
    pub(crate) linked: watch::Sender<bool>,
}

/// How connections to the gateway are made.
pub(crate) enum Road {
    /// By its address, which is looked up each time.
    Url(GatewayUrl),
    /// By whatever dials.
    #[cfg(test)]
    Dialer(Box<dyn Dial>),
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
enum RoadError {
    #[error("the gateway's name cannot be looked up")]
    Lookup(#[source] std::io::Error),
    #[error("the gateway's name has no address")]
    NoAddress,
    #[error("the gateway's name was not looked up in time")]
    TimedOut,
    #[error(transparent)]
    Dial(#[from] DialError),
}

impl Connector {
    /// Serves the gateway's requests until `shutdown`; a lost link is made again.
    pub(crate) async fn run(self, rng: &mut (impl RngCore + Send), shutdown: CancellationToken) {
        let shared = Shared {
            handler: self.handler.clone(),
            fault: self.fault,
            permits: Arc::new(Semaphore::new(self.max_in_flight)),
            silence: self.gateway.silence,
            gateway_id: self.gateway.id.as_str().into(),
        };
        let mut backoff = Backoff::default();
        while !shutdown.is_cancelled() {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                link = self.link() => if let Some(link) = link {
                    backoff.reset();
                    self.serve(link, shared.clone(), &shutdown).await;
                },
            }
            let pause = backoff.pause(rng);
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = sleep(pause) => {}
            }
        }
    }

    /// Makes a link, or says why there is none.
    async fn link(&self) -> Option<link::Link> {
        let (url, now) = (&self.gateway.url, self.clock.now());
        let stream = self.road.open().await.inspect_err(|error| {
            tracing::warn!(%url, error = error as &dyn std::error::Error, "no connection");
        });
        let linked = link::open(stream.ok()?, &self.gateway, &self.key, now).await;
        linked
            .inspect_err(|error| {
                tracing::warn!(%url, error = error as &dyn std::error::Error, "no link");
            })
            .ok()
    }

    async fn serve(&self, link: link::Link, shared: Shared, shutdown: &CancellationToken) {
        tracing::info!(url = %self.gateway.url, "linked to the gateway");
        self.linked.send_replace(true);
        let ended = session::run(link, shared, shutdown).await;
        self.linked.send_replace(false);
        if let Err(error) = ended {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(url = %self.gateway.url, error, "link lost");
        }
    }
}

impl Road {
    async fn open(&self) -> Result<BoxStream, RoadError> {
        let url = match self {
            Self::Url(url) => url,
            #[cfg(test)]
            Self::Dialer(dialer) => return Ok(dialer.dial().await?),
        };
        let found = timeout(CONNECT_TIMEOUT, lookup_host((url.host(), url.port()))).await;
        let found = found.map_err(|_elapsed| RoadError::TimedOut)?.map_err(RoadError::Lookup)?;
        let mut last = RoadError::NoAddress;
        for address in found {
            match TcpDialer::new(address, CONNECT_TIMEOUT).dial().await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error.into(),
            }
        }
        Err(last)
    }
}

/// For each address of the gateway.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests;

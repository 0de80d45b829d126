//! The host's bridge and whatever lies behind it, by script.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use transport::{
    BoxStream, Listen as _,
    memory::{self, MemoryDialer},
    socks5::{self, Profile, Reply},
};

/// What answers one tunnel.
pub(crate) enum Behind {
    /// The bridge refuses.
    Refuse(Reply),
    /// Nobody answers, ever.
    Hang,
    /// The tunnel stands and closes.
    Close,
    /// The tunnel stands, and these bytes answer whatever is asked.
    Raw(&'static [u8]),
    /// An HTTP server.
    Serve(Handler),
}

/// Answers one HTTP request.
pub(crate) type Handler = Arc<dyn Fn(Request<Bytes>) -> Response<Bytes> + Send + Sync>;

/// Wraps what is inside a tunnel, for instance in TLS.
pub(crate) type Wrap = Arc<
    dyn Fn(BoxStream) -> std::pin::Pin<Box<dyn Future<Output = Option<BoxStream>> + Send>>
        + Send
        + Sync,
>;

/// A tunnel that was asked for: profile and target.
pub(crate) type Asked = (Profile, String);

/// A bridge in memory.
#[derive(Clone)]
pub(crate) struct Bridge {
    pub(crate) dialer: MemoryDialer,
    asked: Arc<Mutex<Vec<Asked>>>,
    script: Arc<Mutex<Script>>,
}

struct Script {
    next: VecDeque<Behind>,
    /// What answers once the script is over.
    then: Option<Handler>,
    wrap: Option<Wrap>,
}

impl Bridge {
    /// A bridge that answers the first tunnels by `script`, in order, and refuses the rest.
    pub(crate) fn new(script: impl IntoIterator<Item = Behind>) -> Self {
        Self::start(Script { next: script.into_iter().collect(), then: None, wrap: None })
    }

    /// A bridge behind which one HTTP server answers everything.
    pub(crate) fn serving(
        handler: impl Fn(Request<Bytes>) -> Response<Bytes> + Send + Sync + 'static,
    ) -> Self {
        Self::start(Script { next: VecDeque::new(), then: Some(Arc::new(handler)), wrap: None })
    }

    /// The same with something between tunnel and HTTP.
    pub(crate) fn wrapped(self, wrap: Wrap) -> Self {
        self.script.lock().unwrap().wrap = Some(wrap);
        self
    }

    /// The tunnels asked for so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    fn start(script: Script) -> Self {
        let (dialer, mut listener) = memory::pair();
        let bridge = Self { dialer, asked: Arc::default(), script: Arc::new(Mutex::new(script)) };
        let (asked, script) = (Arc::clone(&bridge.asked), Arc::clone(&bridge.script));
        tokio::spawn(async move {
            while let Ok(accepted) = listener.accept().await {
                tokio::spawn(tunnel(accepted.stream, Arc::clone(&asked), Arc::clone(&script)));
            }
        });
        bridge
    }
}

/// A host that never answers, whatever the script says.
pub(crate) const SILENT: &str = "silent.test";

async fn tunnel(mut stream: BoxStream, asked: Arc<Mutex<Vec<Asked>>>, script: Arc<Mutex<Script>>) {
    let Ok(request) = socks5::accept(&mut stream, Duration::from_secs(5)).await else { return };
    asked.lock().unwrap().push((request.profile, request.target.to_string()));
    let is_silent = request.target.to_string().starts_with(SILENT);
    let (behind, wrap) = {
        let mut script = script.lock().unwrap();
        if is_silent {
            script.next.push_front(Behind::Hang);
        }
        let behind = script.next.pop_front().or_else(|| script.then.clone().map(Behind::Serve));
        (behind.unwrap_or(Behind::Refuse(Reply::GeneralFailure)), script.wrap.clone())
    };
    if let Behind::Refuse(reply) = behind {
        let _gone = socks5::reply(&mut stream, reply, None).await;
        return;
    }
    if socks5::reply(&mut stream, Reply::Succeeded, None).await.is_err() {
        return;
    }
    let stream = match wrap {
        None => Some(stream),
        Some(wrap) => wrap(stream).await,
    };
    let Some(mut stream) = stream else { return };
    match behind {
        Behind::Refuse(_) | Behind::Close => {}
        Behind::Hang => std::future::pending().await,
        Behind::Raw(bytes) => {
            let _request = stream.read(&mut [0; 4096]).await;
            let _gone = stream.write_all(bytes).await;
            let _gone = stream.flush().await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Behind::Serve(handler) => serve(stream, handler).await,
    }
}

async fn serve(stream: BoxStream, handler: Handler) {
    let service = service_fn(move |request: Request<Incoming>| {
        let handler = Arc::clone(&handler);
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            let response = handler(Request::from_parts(head, body));
            Ok::<_, hyper::Error>(response.map(Full::new))
        }
    });
    let _broken = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

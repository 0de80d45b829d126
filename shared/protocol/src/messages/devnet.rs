//! Packages `devnet.*`: the capabilities that the devnet's relay nodes serve.

/// Package `devnet.pricefeed.v1`: prices by symbol.
pub mod price_feed {
    /// The capability.
    pub const CAPABILITY: &str = "price-feed@1.0.0";

    /// Its only method: [`LatestRequest`] to [`LatestResponse`].
    pub const LATEST: &str = "Latest";

    message! {
        /// Asks for the latest price of a symbol.
        LatestRequest = "devnet.pricefeed.v1.LatestRequest" {
            1 symbol: (string) String,
        }
    }

    message! {
        /// The latest price of a symbol, as a decimal number, and when it was seen.
        LatestResponse = "devnet.pricefeed.v1.LatestResponse" {
            1 symbol: (string) String,
            2 price: (string) String,
            3 timestamp_ms: (uint64) u64,
        }
    }
}

/// Package `devnet.echo.v1`: bytes that come back.
pub mod echo {
    /// The capability.
    pub const CAPABILITY: &str = "echo@1.0.0";

    /// Its only method: [`EchoRequest`] to [`EchoResponse`].
    pub const ECHO: &str = "Echo";

    message! {
        /// Any bytes.
        EchoRequest = "devnet.echo.v1.EchoRequest" {
            1 payload: (bytes) Vec<u8>,
        }
    }

    message! {
        /// The same bytes.
        EchoResponse = "devnet.echo.v1.EchoResponse" {
            1 payload: (bytes) Vec<u8>,
        }
    }
}

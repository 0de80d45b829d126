//! What reading takes is measured: never more than is counted before, whatever was written for it.
#![expect(clippy::arithmetic_side_effects, reason = "a test that stops has failed")]

use peak_alloc::PeakAlloc;
use protocol::{
    answer::ExecuteResponse,
    json::{self, Wire},
    messages::{
        self, Message,
        consensus::SimpleConsensusInputs,
        sdk::{
            AwaitCapabilitiesRequest, AwaitCapabilitiesResponse, Regions,
            TriggerSubscriptionRequest,
        },
        values,
    },
    proto,
    relay::{Bundle, CapabilityResult, SecretEntry},
};

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// The most that was held at once while `read` ran, what it returns included.
fn measured<T>(read: impl FnOnce() -> T) -> (T, usize) {
    HEAP.reset_peak_usage();
    let before = HEAP.current_usage();
    let value = read();
    (value, HEAP.peak_usage().saturating_sub(before))
}

/// Lists and maps as allowed, texts of eight bytes for three, and one value outside of lists.
fn allowed_bytes(input_bytes: usize, times: usize, if_long: usize) -> usize {
    (times * input_bytes).min(if_long * input_bytes + 8 * MIB) + 3 * input_bytes + 20 * 1024
}

fn hold_message<M: Message + 'static>(element: &[u8]) {
    for count in COUNTS {
        let bytes = element.repeat(count);
        let (read, got) = measured(|| messages::decode::<M>(&bytes).map_err(|_refused| ()));
        let most = allowed_bytes(bytes.len(), proto::EXPANSION, 4);
        let verdict = if read.is_ok() { "read" } else { "refused" };
        let name = M::NAME;
        assert!(got <= most, "{name}, {count} x {element:02x?}, {verdict}: {got} of {most} bytes");
        drop(read);
    }
}

fn hold_json<T: Wire>(head: &str, element: &str, tail: &str) {
    for count in COUNTS {
        let text = [head, &vec![element; count].join(","), tail].concat();
        let (read, got) =
            measured(|| json::from_slice::<T>(text.as_bytes()).map_err(|_refused| ()));
        let most = allowed_bytes(text.len(), json::EXPANSION, 8);
        let verdict = if read.is_ok() { "read" } else { "refused" };
        assert!(got <= most, "{count} x {element}, {verdict}: {got} of {most} bytes");
        drop(read);
    }
}

/// One test, because what another holds would be measured too.
#[test]
fn nothing_takes_more_than_is_counted() {
    // Lists of nulls, of empty maps, of maps with one empty entry and with one number.
    hold_message::<values::List>(&[0x12, 0]);
    hold_message::<values::List>(&[0x12, 2, 0x22, 0]);
    hold_message::<values::List>(&[0x12, 4, 0x22, 2, 0x0a, 0]);
    hold_message::<values::List>(&[0x12, 11, 0x22, 9, 0x0a, 7, 0x0a, 1, b'a', 0x12, 2, 0x30, 1]);
    hold_message::<Regions>(&[0x0a, 1, b'a']);
    hold_message::<SimpleConsensusInputs>(&[0x0a, 0]);
    hold_message::<TriggerSubscriptionRequest>(&[0x0a, 0]);
    hold_message::<AwaitCapabilitiesRequest>(&[0x08, 1]);
    hold_message::<AwaitCapabilitiesRequest>(&[0x0a, 3, 1, 2, 3]);
    hold_message::<AwaitCapabilitiesResponse>(&[0x0a, 4, 0x08, 1, 0x12, 0]);

    type Results = Bundle<CapabilityResult>;
    hold_json::<Results>(r#"{"responses":["#, "{}", "]}");
    hold_json::<Results>(r#"{"responses":["#, r#"{"a":0}"#, "]}");
    hold_json::<SecretEntry>(r#"{"encrypted_shares":["#, r#""""#, "]}");
    hold_json::<SecretEntry>(r#"{"encrypted_shares":["#, r#""a""#, "]}");
    for element in ["[]", "[0]", "{}", r#"{"":0}"#, r#"{"":[0],"a":{"":0}}"#] {
        hold_json::<ExecuteResponse>(r#"{"metrics":{"a":["#, element, "]}}");
        let event = format!(r#"{{"details":{{"":{element}}}}}"#);
        hold_json::<ExecuteResponse>(r#"{"metricEvents":["#, &event, "]}");
    }
}

/// Few and many, some of them one more than a list has room for that doubles.
const COUNTS: [usize; 6] = [1, 3, 50, 8_193, 131_073, 200_000];

const MIB: usize = 1024 * 1024;

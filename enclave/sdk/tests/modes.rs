//! Workflows against the double: DON mode and node mode, and what nodes agree on.
#![cfg(test)]

mod support;

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use enclave_sdk::{
    Consensus, NodeRuntime, WorkflowError,
    consensus::{Aggregation, Frequency},
    http,
    messages::{
        self,
        consensus::{AggregationType, Descriptor, SIMPLE, SimpleConsensusInputs},
        devnet::echo,
        values::{Kind, Value},
    },
    secure_random,
    testing::{Double, Run, http_response},
};
use support::{echoing, fire};

/// The inputs of the only consensus of a run.
fn inputs(run: &Run) -> SimpleConsensusInputs {
    let simple: Vec<_> = run.calls.iter().filter(|call| call.method == SIMPLE).collect();
    let [call] = simple.as_slice() else { panic!("{simple:?}") };
    messages::unpack(call.payload.as_ref().unwrap()).unwrap()
}

#[test]
fn a_node_section_switches_modes_and_counts_down() {
    let double = Double::new().http(|request| http_response(200, request.body));
    let run = fire(&double, |runtime| {
        let agreed = runtime.in_node_mode(Consensus::identical(), |node| {
            let response = node.http(http::Request::post("https://a.test", "42")).wait()?;
            response.text()?.parse::<i64>().map_err(WorkflowError::new)
        });
        agreed.wait()
    });
    assert_eq!(run.value::<i64>().unwrap(), 42);
    assert_eq!(run.modes, [2, 1]);
    assert_eq!(run.calls.iter().map(|call| call.callback_id).collect::<Vec<_>>(), [-1, 0]);
}

#[test]
fn a_nodes_calls_run_side_by_side() {
    let run = fire(&echoing(), |runtime| {
        let agreed = runtime.in_node_mode(Consensus::identical(), |node| {
            let echo = |text: &str| {
                let request = echo::EchoRequest { payload: text.into() };
                node.call::<echo::EchoResponse>(echo::CAPABILITY, echo::ECHO, &request)
            };
            let calls = ["a", "b", "c"].map(echo);
            calls
                .into_iter()
                .rev()
                .map(|call| Ok(call.wait()?.payload))
                .collect::<Result<Vec<_>, _>>()
        });
        agreed.wait()
    });
    assert_eq!(run.value::<Vec<Vec<u8>>>().unwrap(), [b"c", b"b", b"a"]);
    assert_eq!(run.calls.iter().map(|call| call.callback_id).collect::<Vec<_>>(), [-1, -2, -3, 0]);
}

#[test]
fn a_failed_observation_takes_the_default_or_fails() {
    let run = fire(&Double::new(), |runtime| {
        let consensus = Consensus::median().or(7_i64)?;
        runtime.in_node_mode(consensus, |_node| Err::<i64, _>("down".into())).wait()
    });
    assert_eq!(run.value::<i64>().unwrap(), 7);
    let run = fire(&Double::new(), |runtime| {
        runtime.in_node_mode::<i64, _>(Consensus::median(), |_node| Err("down".into())).wait()
    });
    assert_eq!(run.error(), Some("consensus.Simple: observation error: down"));
}

#[test]
fn without_a_default_none_is_sent() {
    let run = fire(&Double::new(), |runtime| {
        runtime.in_node_mode(Consensus::identical(), |_node| Ok(1_i64)).wait()
    });
    assert_eq!(inputs(&run).default, None);
}

#[test]
fn every_aggregation_is_sent_under_its_number() {
    type Make = fn() -> Consensus<Vec<u8>>;
    let sent = |consensus: Make| {
        let run = fire(&Double::new(), move |runtime| {
            runtime.in_node_mode(consensus(), |_node| Ok(vec![1_u8])).wait()
        });
        inputs(&run).descriptors.unwrap().descriptor.unwrap()
    };
    let simple: [(Make, AggregationType); 4] = [
        (Consensus::median, AggregationType::Median),
        (Consensus::identical, AggregationType::Identical),
        (Consensus::common_prefix, AggregationType::CommonPrefix),
        (Consensus::common_suffix, AggregationType::CommonSuffix),
    ];
    for (consensus, want) in simple {
        assert_eq!(sent(consensus), Descriptor::Aggregation(want.into()));
    }
    let Descriptor::FieldsMap(map) = sent(|| {
        let inner = BTreeMap::from([("deep".to_owned(), Aggregation::FrequencyList)]);
        Consensus::fields([("a", Aggregation::Median), ("b", Aggregation::Fields(inner))])
    }) else {
        panic!("no map")
    };
    let a = map.fields["a"].descriptor.clone().unwrap();
    assert_eq!(a, Descriptor::Aggregation(AggregationType::Median.into()));
    let Some(Descriptor::FieldsMap(inner)) = &map.fields["b"].descriptor else { panic!("{map:?}") };
    let deep = inner.fields["deep"].descriptor.clone().unwrap();
    assert_eq!(deep, Descriptor::Aggregation(AggregationType::FrequencyList.into()));
}

/// A host whose committee observed 5 twice and 6 once.
fn frequencies(list: Result<Vec<Frequency<i64>>, &'static str>) -> Double {
    use enclave_sdk::{ToValue as _, messages::consensus::CAPABILITY};
    Double::new().capability(CAPABILITY, SIMPLE, move |_: SimpleConsensusInputs| match &list {
        Ok(list) => list.clone().to_value(),
        Err(text) => text.to_value(),
    })
}

#[test]
fn a_frequency_list_counts_what_nodes_observed() {
    let list = vec![Frequency { value: 5, count: 2 }, Frequency { value: 6, count: 1 }];
    let count = |double: &Double| {
        fire(double, |runtime| {
            let list =
                runtime.in_node_mode(Consensus::frequency_list(), |_node| Ok(5_i64)).wait()?;
            Ok(list
                .iter()
                .map(|entry| format!("{}x{}", entry.value, entry.count))
                .collect::<String>())
        })
    };
    let run = count(&frequencies(Ok(list)));
    assert_eq!(run.value::<String>().unwrap(), "5x26x1");
    assert_eq!(count(&frequencies(Err("?"))).error(), Some("value is not a list"));
}

#[test]
fn a_map_is_agreed_on_member_by_member() {
    let run = fire(&Double::new(), |runtime| {
        let consensus = Consensus::fields([("price", Aggregation::Median)]);
        let agreed = runtime.in_node_mode::<Value, Value>(consensus, |_node| {
            enclave_sdk::value::to_value(&serde_json::json!({"price": 1.5}))
        });
        agreed.wait()
    });
    let Some(Kind::Map(map)) = run.value::<Value>().unwrap().kind else { panic!("{run:?}") };
    assert_eq!(map.fields["price"].kind, Some(Kind::Float64(1.5)));
}

#[test]
fn the_runtime_rests_while_a_node_section_runs() {
    let run = fire(&echoing().secret("main", "A", "x"), |runtime| {
        let seen = runtime.in_node_mode(Consensus::identical(), |_node| {
            let request = echo::EchoRequest::default();
            let call = runtime.call::<echo::EchoResponse>(echo::CAPABILITY, echo::ECHO, &request);
            let errors = [
                runtime.secret("A").unwrap_err(),
                runtime.now().unwrap_err(),
                runtime.random().unwrap_err(),
                call.wait().unwrap_err(),
                runtime.in_node_mode(Consensus::identical(), |_node| Ok(1_i64)).wait().unwrap_err(),
            ];
            Ok(errors.map(|error| error.to_string()).to_vec())
        });
        seen.wait()
    });
    let errors = run.value::<Vec<String>>().unwrap();
    assert_eq!(errors, vec!["cannot use Runtime inside RunInNodeMode"; 5]);
    assert_eq!(run.modes, [2, 1]);
}

#[test]
fn a_node_runtime_rests_after_its_section() {
    let run = fire(&echoing(), |runtime| {
        let mut kept: Option<NodeRuntime<'_>> = None;
        let agreed = runtime.in_node_mode(Consensus::identical(), |node| {
            kept = Some(*node);
            Ok(1_i64)
        });
        agreed.wait()?;
        let node = kept.ok_or("not kept")?;
        let request = echo::EchoRequest::default();
        let call = node.call::<echo::EchoResponse>(echo::CAPABILITY, echo::ECHO, &request);
        let errors = [
            node.now().unwrap_err(),
            node.random().unwrap_err(),
            call.wait().unwrap_err(),
            node.http(http::Request::get("https://a.test")).wait().unwrap_err(),
        ];
        Ok(errors.map(|error| error.to_string()).to_vec())
    });
    let errors = run.value::<Vec<String>>().unwrap();
    assert_eq!(errors, vec!["cannot use NodeRuntime outside RunInNodeMode"; 4]);
    assert_eq!(run.calls.len(), 1, "the consensus alone");
}

#[test]
fn time_is_the_hosts() {
    let time = UNIX_EPOCH + Duration::from_millis(1_577_934_245_000);
    let run = fire(&Double::new().time(time), |runtime| runtime.now());
    assert_eq!(run.value::<SystemTime>().unwrap(), time);
}

#[test]
fn seeds_are_those_of_the_interface() {
    let seeds = |id: &str| {
        let run = fire(&Double::new().execution_id(id).node_seed(9), |runtime| {
            let before = runtime.random_seed()?;
            let node =
                runtime.in_node_mode(Consensus::identical(), |node| node.random_seed()).wait()?;
            Ok(vec![before, node, runtime.random_seed()?])
        });
        run.value::<Vec<u64>>().unwrap()
    };
    assert_eq!(seeds("id"), [628_021_283_683_842_752, 9, 628_021_283_683_842_752]);
    assert_eq!(seeds("differentId")[0], 2_573_344_420_331_293_391);
}

#[test]
fn random_numbers_of_all_nodes_do_not_depend_on_what_one_draws() {
    let drawn = |node_seed: u64, draws: usize| {
        let run = fire(&Double::new().node_seed(node_seed), move |runtime| {
            let mut random = runtime.random()?;
            let first = random.next_u64();
            let own = runtime.in_node_mode(Consensus::identical(), |node| {
                let mut own = node.random()?;
                Ok((0..draws).fold(0, |_last, _| own.next_u64()))
            });
            own.wait()?;
            Ok(vec![first, random.next_u64()])
        });
        run.value::<Vec<u64>>().unwrap()
    };
    assert_eq!(drawn(1, 0), drawn(5, 3));
}

#[test]
fn randomness_for_keys_does_not_follow_from_the_seeds() {
    let run = fire(&Double::new(), |_runtime| {
        let mut key = [0; 4];
        secure_random(&mut key)?;
        Ok(key.to_vec())
    });
    assert_eq!(run.value::<Vec<u8>>().unwrap(), [0, 1, 2, 3]);
    assert!(secure_random(&mut [0; 4]).is_err(), "without a host");
}

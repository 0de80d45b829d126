//! Workflows against the double: what authors rely on.

use std::time::{Duration, UNIX_EPOCH};

use enclave_sdk::{
    Consensus, SecretId, Setup, WorkflowError, http,
    messages::{
        self,
        consensus::{self, Observation, SimpleConsensusInputs},
        devnet::{echo, price_feed},
        http as wire,
        sdk::{CapabilityRestrictions, Outcome, Restrictions, TeeItem},
        values::{Kind, Value},
    },
    testing::Double,
    trigger,
};

/// One handler on a cron trigger.
fn cron<V: enclave_sdk::ToValue>(
    handler: impl Fn(&enclave_sdk::Runtime<'_>) -> Result<V, WorkflowError> + 'static,
) -> impl FnOnce(&mut Setup<'_>) -> Result<(), WorkflowError> {
    |setup| {
        setup.on(trigger::cron("0 * * * * *"), move |runtime, _event| handler(runtime));
        Ok(())
    }
}

fn fire<V: enclave_sdk::ToValue>(
    double: &Double,
    handler: impl Fn(&enclave_sdk::Runtime<'_>) -> Result<V, WorkflowError> + 'static,
) -> enclave_sdk::testing::Run {
    double.trigger(cron(handler), 0, &trigger::Cron::default())
}

fn echoing() -> Double {
    Double::new().capability(echo::CAPABILITY, echo::ECHO, |request: echo::EchoRequest| {
        Ok(echo::EchoResponse { payload: request.payload })
    })
}

/// Answers consensus as an enclave does: with the observation, or the default, or its error.
fn agreeing() -> Double {
    Double::new().capability(
        consensus::CAPABILITY,
        consensus::SIMPLE,
        |inputs: SimpleConsensusInputs| match (inputs.observation, inputs.default) {
            (Some(Observation::Value(value)), _) => Ok(value),
            (Some(Observation::Error(_)), Some(default)) => Ok(default),
            (Some(Observation::Error(text)), None) => Err(WorkflowError::Failed(text)),
            (None, _) => Err("missing observation".into()),
        },
    )
}

#[test]
fn subscriptions_come_in_the_order_of_the_handlers() {
    let init = |setup: &mut Setup<'_>| {
        setup.on(trigger::cron("0 * * * * *"), |_runtime, _event| Ok(())).in_nitro(["eu-west-1"]);
        setup
            .on(trigger::http(["0xabc"]), |_runtime, event: trigger::Http| Ok(event.input))
            .prehook(|_runtime, _event| Ok(Restrictions::default()));
        Ok(())
    };
    let all = Double::new().subscriptions(init).unwrap();
    let ids: Vec<_> = all.iter().map(|one| (one.id.as_str(), one.method.as_str())).collect();
    assert_eq!(ids, [("cron-trigger@1.0.0", "Trigger"), ("http-trigger@1.0.0-alpha", "Trigger")]);
    assert_eq!([all[0].pre_hook, all[1].pre_hook], [false, true]);
    let tee = all[0].requirements.clone().unwrap().tee.unwrap().item;
    let Some(TeeItem::TypesAndRegions(typed)) = tee else { panic!("{tee:?}") };
    assert_eq!(typed.tee_type_and_regions[0].regions, ["eu-west-1"]);
    assert_eq!(all[1].requirements, None);
}

#[test]
fn an_event_reaches_its_handler_with_its_payload() {
    let init = |setup: &mut Setup<'_>| {
        setup.on(trigger::cron("0 * * * * *"), |_runtime, _event| Ok("cron"));
        setup.on(trigger::http(["0xabc"]), |_runtime, event: trigger::Http| Ok(event.input));
        Ok(())
    };
    let event = trigger::Http { input: b"{}".to_vec(), ..Default::default() };
    assert_eq!(Double::new().trigger(init, 1, &event).value::<Vec<u8>>().unwrap(), b"{}");
}

#[test]
fn an_event_of_another_type_is_refused() {
    let run = Double::new().trigger(cron(|_runtime| Ok(())), 0, &trigger::Http::default());
    assert_eq!(run.error(), Some("payload is not a capabilities.scheduler.cron.v1.Payload"));
}

#[test]
fn a_trigger_without_handler_is_an_error() {
    let run = Double::new().trigger(cron(|_runtime| Ok(())), 7, &trigger::Cron::default());
    assert_eq!(run.error(), Some("no handler for trigger 7: the workflow has 1"));
}

#[test]
fn a_failing_setup_ends_every_phase() {
    let init = |_setup: &mut Setup<'_>| Err("no schedule".into());
    assert_eq!(Double::new().subscriptions(init).unwrap_err().to_string(), "no schedule");
    let run = Double::new().trigger(init, 0, &trigger::Cron::default());
    assert_eq!(run.error(), Some("no schedule"));
}

#[test]
fn configuration_is_bytes_or_json() {
    let double = Double::new().config(r#"{"n": 3}"#);
    let run = fire(&double, |runtime| {
        let config: serde_json::Value = runtime.config_json()?;
        Ok(config["n"].as_u64().ok_or("no n")?)
    });
    assert_eq!(run.value::<u64>().unwrap(), 3);
    let run = fire(&Double::new().config("{"), |runtime| runtime.config_json::<u64>());
    assert!(run.error().unwrap().starts_with("configuration: "));
}

#[test]
fn calls_made_side_by_side_are_awaited_in_any_order() {
    let run = fire(&echoing(), |runtime| {
        let echo = |text: &str| {
            let request = echo::EchoRequest { payload: text.into() };
            runtime.call::<echo::EchoResponse>(echo::CAPABILITY, echo::ECHO, &request)
        };
        let (first, second) = (echo("first"), echo("second"));
        let second = second.wait()?.payload;
        Ok([first.wait()?.payload, second].concat())
    });
    assert_eq!(run.value::<Vec<u8>>().unwrap(), b"firstsecond");
    assert_eq!(run.calls.iter().map(|call| call.callback_id).collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn a_capabilitys_error_has_its_code() {
    let double = Double::new().capability(
        price_feed::CAPABILITY,
        price_feed::LATEST,
        |_request: price_feed::LatestRequest| -> Result<price_feed::LatestResponse, WorkflowError> {
            Err("Public:User:NotFound:no such symbol".into())
        },
    );
    let run = fire(&double, |runtime| -> Result<(), WorkflowError> {
        let request = price_feed::LatestRequest { symbol: "X".into() };
        let answer = runtime.call::<price_feed::LatestResponse>(
            price_feed::CAPABILITY,
            price_feed::LATEST,
            &request,
        );
        Err(answer.wait().unwrap_err())
    });
    assert_eq!(run.error(), Some("[5]NotFound: no such symbol"));
}

#[test]
fn an_unknown_capability_is_named() {
    let run = fire(&Double::new(), |runtime| {
        let request = echo::EchoRequest::default();
        runtime.call::<echo::EchoResponse>("nope@1.0.0", "M", &request).wait().map(|_| ())
    });
    assert_eq!(run.error(), Some("cannot call nope@1.0.0: no such capability"));
}

#[test]
fn an_answer_beyond_the_buffer_is_an_error() {
    let run = fire(&echoing().max_response_size(100), |runtime| {
        let request = echo::EchoRequest { payload: vec![7; 200] };
        let answer = runtime.call::<echo::EchoResponse>(echo::CAPABILITY, echo::ECHO, &request);
        Ok(answer.wait()?.payload)
    });
    assert_eq!(run.error(), Some("awaitCapabilities: response buffer too small"));
}

#[test]
fn secrets_come_in_the_order_of_their_names() {
    let double = Double::new().secret("main", "A", "one").secret("other", "B", "two");
    let run = fire(&double, |runtime| {
        let names = ["A".into(), SecretId::new("B").in_namespace("other"), "C".into()];
        let secrets = runtime.secrets(names).wait()?;
        let texts = secrets.iter().map(|secret| match secret {
            Ok(secret) => secret.expose().to_owned(),
            Err(error) => error.to_string(),
        });
        Ok(texts.collect::<Vec<_>>())
    });
    assert_eq!(run.value::<Vec<String>>().unwrap(), ["one", "two", "C: no such secret"]);
}

#[test]
fn a_secret_is_not_printed() {
    let run = fire(&Double::new().secret("main", "A", "hunter2"), |runtime| {
        Ok(format!("{:?}", runtime.secret("A")?))
    });
    assert_eq!(run.value::<String>().unwrap(), "Secret");
}

#[test]
fn a_node_section_switches_modes_and_counts_down() {
    let double =
        agreeing().capability(wire::ACTIONS, wire::SEND_REQUEST, |request: wire::Request| {
            Ok(wire::Response { status_code: 200, body: request.body, ..Default::default() })
        });
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
fn a_failed_observation_takes_the_default_or_fails() {
    let run = fire(&agreeing(), |runtime| {
        let consensus = Consensus::median().or(7_i64)?;
        runtime.in_node_mode(consensus, |_node| Err("down".into())).wait()
    });
    assert_eq!(run.value::<i64>().unwrap(), 7);
    let run = fire(&agreeing(), |runtime| {
        runtime.in_node_mode::<i64>(Consensus::median(), |_node| Err("down".into())).wait()
    });
    assert_eq!(run.error(), Some("down"));
}

#[test]
fn without_a_default_none_is_sent() {
    let run = fire(&agreeing(), |runtime| {
        runtime.in_node_mode(Consensus::identical(), |_node| Ok(1_i64)).wait()
    });
    let payload = run.calls[0].payload.as_ref().unwrap();
    let inputs: SimpleConsensusInputs = messages::unpack(payload).unwrap();
    assert_eq!(inputs.default, None);
}

#[test]
fn a_map_is_agreed_on_member_by_member() {
    let run = fire(&agreeing(), |runtime| {
        let consensus = Consensus::fields([("price", Consensus::median())]);
        let agreed = runtime.in_node_mode::<Value>(consensus, |_node| {
            enclave_sdk::value::to_value(&serde_json::json!({"price": 1.5}))
        });
        agreed.wait()
    });
    let Some(Outcome::Value(Value { kind: Some(Kind::Map(map)) })) = run.result.result else {
        panic!("{:?}", run.result)
    };
    assert_eq!(map.fields["price"].kind, Some(Kind::Float64(1.5)));
}

#[test]
fn the_runtime_rests_while_a_node_section_runs() {
    let run = fire(&agreeing().secret("main", "A", "x"), |runtime| {
        let seen = runtime.in_node_mode(Consensus::identical(), |_node| {
            let errors = [
                runtime.secret("A").unwrap_err(),
                runtime.now().unwrap_err(),
                runtime.random().unwrap_err(),
                runtime.http(http::Request::get("https://a.test")).wait().unwrap_err(),
                runtime.in_node_mode(Consensus::identical(), |_node| Ok(1_i64)).wait().unwrap_err(),
            ];
            Ok(errors.map(|error| error.to_string()).to_vec())
        });
        seen.wait()
    });
    let errors = run.value::<Vec<String>>().unwrap();
    assert_eq!(errors, vec!["cannot use Runtime inside RunInNodeMode"; 5]);
}

#[test]
fn time_is_the_hosts() {
    let time = UNIX_EPOCH + Duration::from_millis(1_577_934_245_000);
    let run = fire(&Double::new().time(time), |runtime| runtime.now());
    assert_eq!(run.value::<std::time::SystemTime>().unwrap(), time);
}

#[test]
fn a_pre_hook_restricts_the_run_it_precedes() {
    let init = |setup: &mut Setup<'_>| {
        setup.on(trigger::cron("0 * * * * *"), |_runtime, _event| Ok(())).prehook(
            |_runtime, _event| {
                let capabilities =
                    CapabilityRestrictions { max_total_calls: 3, ..Default::default() };
                Ok(Restrictions { capabilities: Some(capabilities), secrets: None })
            },
        );
        Ok(())
    };
    let restrictions = Double::new().prehook(init, 0, &trigger::Cron::default()).unwrap();
    assert_eq!(restrictions.capabilities.unwrap().max_total_calls, 3);
    let none = Double::new().prehook(cron(|_runtime| Ok(())), 0, &trigger::Cron::default());
    assert_eq!(none.unwrap_err().to_string(), "the handler has no pre-hook");
}

#[test]
#[should_panic(expected = "build it for wasm32-wasip1")]
fn a_workflow_does_not_run_without_a_host() {
    enclave_sdk::run(|_setup| Ok(()));
}

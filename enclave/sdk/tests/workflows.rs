//! Workflows against the double: triggers, calls, secrets and what a host hears of a run.

mod support;

use enclave_sdk::{
    Enclave, Metric, Runtime, SecretId, Setup, WorkflowError, http,
    log::Level,
    messages::{
        consensus,
        devnet::{echo, price_feed},
        http as wire,
        sdk::{ReportRequest, ReportResponse, TeeItem, TeeType},
    },
    metric::MetricError,
    report,
    restrictions::{Calls, Restrictions, Secrets},
    testing::{Double, http_response},
    trigger,
};
use support::{cron, echoing, fire};

#[test]
fn subscriptions_come_in_the_order_of_the_handlers() {
    let init = |setup: &mut Setup<'_>| {
        let nitro = Enclave::nitro().in_regions(["eu-west-1"]);
        setup.on_in(nitro, trigger::cron("0 * * * * *"), |_runtime, _event| Ok(()));
        setup
            .on(trigger::http(["0xabc"]), |_runtime, event: trigger::Http| Ok(event.input))
            .prehook(|_runtime, _event| Ok(Restrictions::new()));
        Ok(())
    };
    let all = Double::new().subscriptions(init).unwrap();
    let ids: Vec<_> = all.iter().map(|one| (one.id.as_str(), one.method.as_str())).collect();
    assert_eq!(ids, [("cron-trigger@1.0.0", "Trigger"), ("http-trigger@1.0.0-alpha", "Trigger")]);
    assert_eq!([all[0].pre_hook, all[1].pre_hook], [false, true]);
    assert_eq!(all[1].requirements, None);
}

#[test]
fn an_enclave_is_named_by_type_and_region() {
    let item = |enclave: Enclave| {
        let init = |setup: &mut Setup<'_>| {
            setup.on_in(enclave, trigger::cron("0 * * * * *"), |_runtime, _event| Ok(()));
            Ok(())
        };
        let all = Double::new().subscriptions(init).unwrap();
        all[0].requirements.clone().unwrap().tee.unwrap().item.unwrap()
    };
    let regions = ["eu-west-1", "us-west-2"];
    for (any, want) in
        [(Enclave::any(), vec![]), (Enclave::any().in_regions(regions), regions.to_vec())]
    {
        let TeeItem::AnyRegions(got) = item(any) else { panic!("typed") };
        assert_eq!(got.regions, want);
    }
    let nitro = [Enclave::nitro(), Enclave::nitro().in_regions(regions)];
    for (nitro, want) in nitro.into_iter().zip([vec![], regions.to_vec()]) {
        let TeeItem::TypesAndRegions(got) = item(nitro) else { panic!("any type") };
        let [typed] = got.tee_type_and_regions.as_slice() else { panic!("{got:?}") };
        assert_eq!(typed.r#type(), TeeType::AwsNitro);
        assert_eq!(typed.regions, want);
    }
}

#[test]
fn an_enclave_sends_requests_without_a_node_section() {
    let double = Double::new().http(|request| http_response(200, request.url));
    let init = |setup: &mut Setup<'_>| {
        setup.on_in(Enclave::any(), trigger::cron("0 * * * * *"), |runtime, _event| {
            let response = runtime.http(http::Request::get("https://a.test/")).wait()?;
            response.text().map(str::to_owned)
        });
        Ok(())
    };
    let run = double.trigger(init, 0, &trigger::Cron::default());
    assert_eq!(run.value::<String>().unwrap(), "https://a.test/");
    assert_eq!((run.calls[0].id.as_str(), run.calls[0].callback_id), (wire::ACTIONS, 0));
    assert!(run.modes.is_empty());
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
fn an_input_of_another_form_is_refused_without_its_words() {
    let init = |setup: &mut Setup<'_>| {
        setup.on(trigger::http(["0xabc"]), |_runtime, event| trigger::input::<u64>(&event));
        Ok(())
    };
    let event = trigger::Http { input: br#""hunter2""#.to_vec(), ..Default::default() };
    let run = Double::new().trigger(init, 0, &event);
    assert_eq!(run.error(), Some("the input is not the expected JSON"));
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
fn no_configuration_is_the_default_and_a_wrong_one_is_refused() {
    let read = |config: &str| {
        fire(&Double::new().config(config), |runtime| runtime.config_json_or_default::<u64>())
    };
    assert_eq!(read("").value::<u64>().unwrap(), 0);
    assert_eq!(read("5").value::<u64>().unwrap(), 5);
    assert!(read("x").error().unwrap().starts_with("configuration: "));
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
fn all_secrets_that_are_missing_are_named() {
    let double = Double::new().secret("main", "A", "one");
    let run = fire(&double, |runtime| {
        runtime.all_secrets(["A", "B", "C"]).wait().map(|[a, ..]| a.expose().to_owned())
    });
    assert_eq!(run.error(), Some("B: no such secret; C: no such secret"));
}

#[test]
fn a_secret_is_not_printed() {
    let run = fire(&Double::new().secret("main", "A", "hunter2"), |runtime| {
        Ok(format!("{:?}", runtime.secret("A")?))
    });
    assert_eq!(run.value::<String>().unwrap(), "Secret");
}

#[test]
fn a_pre_hook_restricts_the_run_it_precedes() {
    let init = |setup: &mut Setup<'_>| {
        // A pre-hook sees no configuration.
        let calls: u32 = setup.runtime().config_json_or_default()?;
        setup
            .on(trigger::cron("0 * * * * *"), |runtime, _event| {
                let secrets = runtime.secrets(["A", "B"]).wait()?;
                echo(runtime)?;
                let second = echo(runtime).unwrap_err().to_string();
                let texts = secrets.iter().map(|secret| match secret {
                    Ok(secret) => secret.expose().to_owned(),
                    Err(error) => error.to_string(),
                });
                Ok(texts.chain([second]).collect::<Vec<_>>())
            })
            .prehook(move |_runtime, _event| {
                let calls = Calls::any(calls.saturating_add(1));
                Ok(Restrictions::new().calls(calls).secrets(Secrets::listed(5).exact("A")))
            });
        Ok(())
    };
    let double = echoing().config("7").secret("main", "A", "a").secret("main", "B", "b");
    let event = trigger::Cron::default();
    let restrictions = double.prehook(init, 0, &event).unwrap();
    let run = double.restricted(restrictions).trigger(init, 0, &event);
    assert_eq!(
        run.value::<Vec<String>>().unwrap(),
        [
            "a",
            "B: secret \"B\" in namespace \"main\" denied by user pre-hook restrictions",
            "[101]LimitExceeded: call denied by user pre-hook restrictions: echo@1.0.0 Echo"
        ]
    );
    let none = Double::new().prehook(cron(|_runtime| Ok(())), 0, &event);
    assert_eq!(none.unwrap_err().to_string(), "the handler has no pre-hook");
}

fn echo(runtime: &Runtime<'_>) -> Result<echo::EchoResponse, WorkflowError> {
    runtime.call(echo::CAPABILITY, echo::ECHO, &echo::EchoRequest::default()).wait()
}

#[test]
fn restrictions_admit_what_they_list() {
    let restricted = |restrictions: Restrictions| {
        let double = echoing().secret("db", "KEY_1", "1").secret("db", "KEY_2", "2");
        let run = fire(&double.restricted(restrictions), |runtime| {
            let calls = [(); 3].map(|()| echo(runtime).is_ok());
            let names = ["KEY_1", "KEY_2"].map(|name| SecretId::new(name).in_namespace("db"));
            let secrets = runtime.secrets(names).wait()?;
            Ok(calls.into_iter().chain(secrets.iter().map(Result::is_ok)).collect::<Vec<_>>())
        });
        run.value::<Vec<bool>>().unwrap()
    };
    let listed = |most| Calls::listed(9).method(echo::CAPABILITY, echo::ECHO, most);
    let db = |name: &str| SecretId::new(name).in_namespace("db");
    let none = Restrictions::new;
    assert_eq!(restricted(none()), [true; 5]);
    assert_eq!(restricted(none().calls(Calls::none())), [false, false, false, true, true]);
    assert_eq!(restricted(none().calls(Calls::any(2))), [true, true, false, true, true]);
    assert_eq!(restricted(none().calls(Calls::listed(9))), [false, false, false, true, true]);
    assert_eq!(restricted(none().calls(listed(1))), [true, false, false, true, true]);
    let secrets = |secrets: Secrets| restricted(none().secrets(secrets))[3..].to_vec();
    assert_eq!(secrets(Secrets::none()), [false, false]);
    assert_eq!(secrets(Secrets::listed(9)), [false, false]);
    assert_eq!(secrets(Secrets::listed(9).exact(db("KEY_2"))), [false, true]);
    assert_eq!(secrets(Secrets::listed(9).exact("KEY_2")), [false, false]);
    assert_eq!(secrets(Secrets::listed(9).prefix(db("KEY_"), 1)), [true, false]);
    assert_eq!(secrets(Secrets::listed(1).prefix(db("KEY_"), 9)), [true, false]);
}

#[test]
fn lines_below_the_level_are_not_written() {
    let init = |setup: &mut Setup<'_>| {
        setup.log_from(Level::Warn);
        setup.on(trigger::cron("0 * * * * *"), |runtime, _event| {
            runtime.debug("a", &[]);
            runtime.info("b", &[]);
            runtime.warn("c", &[("n", &1)]);
            runtime.error("d", &[]);
            runtime.log("e");
            Ok(())
        });
        Ok(())
    };
    let run = Double::new().trigger(init, 0, &trigger::Cron::default());
    assert_eq!(run.logs, ["level=WARN msg=c n=1", "level=ERROR msg=d", "e"]);
}

#[test]
fn a_metric_that_is_not_taken_says_why() {
    let long = |bytes: usize| "x".repeat(bytes);
    let labels = |count: usize| {
        (0..count).fold(Metric::counter("n", 1.0), |metric, n| metric.label(n.to_string(), ""))
    };
    let refused = [
        (Metric::counter("", 1.0), MetricError::NoName),
        (Metric::gauge("n", f64::NAN), MetricError::NotANumber),
        (Metric::gauge(long(129), 1.0), MetricError::Name { got: 129, limit: 128 }),
        (labels(11), MetricError::Labels { got: 11, limit: 10 }),
        (
            Metric::gauge("n", 1.0).label("l", long(257)),
            MetricError::Label { got: 257, limit: 256 },
        ),
        (
            Metric::gauge("n", 1.0).label(long(4096), ""),
            MetricError::Size { got: 4118, limit: 4096 },
        ),
    ];
    for (metric, want) in refused {
        let run = fire(&Double::new(), move |runtime| {
            assert_eq!(runtime.metric(metric.clone()), Err(want));
            Ok(())
        });
        assert_eq!((run.error(), run.metrics.len()), (None, 0));
    }
    let run = fire(&Double::new(), move |runtime| Ok(runtime.metric(labels(10))?));
    assert_eq!((run.error(), run.metrics.len()), (None, 1));
    let closed = Double::new().without_metrics();
    let run = fire(&closed, |runtime| Ok(runtime.metric(Metric::counter("n", 1.0))?));
    assert_eq!(run.error(), Some("the host does not take the metric"));
}

#[test]
fn a_report_that_is_too_short_is_refused() {
    let double = Double::new().capability(
        consensus::CAPABILITY,
        consensus::REPORT,
        |request: ReportRequest| {
            assert_eq!(request.encoder_name, "evm");
            assert_eq!(
                (request.signing_algo, request.hashing_algo),
                ("ecdsa".into(), "keccak256".into())
            );
            Ok(ReportResponse { raw_report: request.encoded_payload, ..Default::default() })
        },
    );
    let run = fire(&double, |runtime| {
        runtime.report(report::Request::evm([1; 108])).wait().map(|_report| ())
    });
    assert_eq!(run.error(), Some("report of 108 bytes is shorter than its header of 109"));
}

#[test]
#[should_panic(expected = "build it for wasm32-wasip1")]
fn a_workflow_does_not_run_without_a_host() {
    enclave_sdk::run(|_setup| Ok(()));
}

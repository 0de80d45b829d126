//! What capabilities answer that an enclave leaves to relay nodes: from a file, else as in a devnet.

use std::{
    collections::HashMap,
    path::Path,
    sync::{Mutex, PoisonError},
};

use enclave_workflow::GuestText;
use host_relay::capabilities::Devnet;
use protocol::messages::{
    self,
    sdk::{CapabilityOutcome, CapabilityRequest, CapabilityResponse},
    values::{Kind, List, Map, Value},
    well_known::Any,
};
use serde::Deserialize;
use serde_json::Value as Json;

use crate::{
    devnet::PRICES,
    exit::{Exit, Failure, OrFail as _},
    files,
};

/// Answers by capability and method.
pub(super) struct Answers {
    given: HashMap<(String, String), Vec<CapabilityOutcome>>,
    /// How often each was asked for.
    asked: Mutex<HashMap<(String, String), usize>>,
    devnet: Devnet,
}

/// The file as an author writes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    answer: Vec<Written>,
}

/// One answer: bytes of a message, a value, or an error.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    id: String,
    method: String,
    r#type: Option<String>,
    hex: Option<String>,
    value: Option<Json>,
    error: Option<String>,
}

/// Why a file holds no answers.
#[derive(Debug, thiserror::Error)]
enum AnswersError {
    #[error("not JSON of the form that `simulate --help` shows: {0}")]
    Json(#[from] serde_json::Error),
    #[error("not TOML of the form that `simulate --help` shows: {0}")]
    Toml(#[from] toml::de::Error),
    #[error("answer {0} has to hold one of `type` with `hex`, `value`, `error`")]
    Member(usize),
    #[error("answer {0}: `hex` holds no bytes in hexadecimal")]
    Hex(usize),
    #[error("answer {0}: a number is neither an integer of 64 bits nor finite")]
    Number(usize),
}

impl Answers {
    /// The answers of a file, if one is named, and those of a devnet.
    ///
    /// # Errors
    ///
    /// [`Exit::Input`].
    pub(super) fn load(file: Option<&Path>) -> Result<Self, Failure> {
        let given = match file {
            Some(file) => {
                let text = files::read_text(file, LONGEST_FILE_BYTES)?;
                parse(&text).or_fail(Exit::Input, || file.display().to_string())?
            }
            None => HashMap::new(),
        };
        let devnet = Devnet::none().with_echo().with_prices_of(PRICES.as_bytes());
        let devnet = devnet.or_fail(Exit::Internal, || "the devnet's prices")?;
        Ok(Self { given, asked: Mutex::default(), devnet })
    }

    /// No answers at all.
    pub(super) fn none() -> Self {
        Self { given: HashMap::new(), asked: Mutex::default(), devnet: Devnet::none() }
    }

    /// Answers a call, the first time with the first answer given for it.
    ///
    /// # Errors
    ///
    /// A text for the workflow if there is none.
    pub(super) fn answer(
        &self,
        request: &CapabilityRequest,
    ) -> Result<CapabilityResponse, GuestText> {
        let key = (request.id.clone(), request.method.clone());
        let Some(answers) = self.given.get(&key) else { return self.of_devnet(request) };
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = asked.entry(key).or_default();
        let answer = answers.get(*turn).or(answers.last()).cloned();
        *turn = turn.saturating_add(1);
        Ok(CapabilityResponse { response: answer })
    }

    fn of_devnet(&self, request: &CapabilityRequest) -> Result<CapabilityResponse, GuestText> {
        if !self.devnet.serves(&request.id) {
            let (id, method) = (&request.id, &request.method);
            return Err(GuestText::new(format!(
                "simulate has no answer for {id} {method}; give one with --capabilities FILE"
            )));
        }
        match self.devnet.answer_to(request) {
            Ok(payload) => {
                let response = Some(CapabilityOutcome::Payload(payload));
                Ok(CapabilityResponse { response })
            }
            Err(failure) => Err(GuestText::new(failure.into_text())),
        }
    }
}

fn parse(text: &str) -> Result<HashMap<(String, String), Vec<CapabilityOutcome>>, AnswersError> {
    let file: File = if text.trim_start().starts_with('{') {
        serde_json::from_str(text)?
    } else {
        toml::from_str(text)?
    };
    let mut given: HashMap<_, Vec<_>> = HashMap::new();
    for (index, written) in file.answer.into_iter().enumerate() {
        let key = (written.id.clone(), written.method.clone());
        given.entry(key).or_default().push(outcome(index, written)?);
    }
    Ok(given)
}

fn outcome(index: usize, written: Written) -> Result<CapabilityOutcome, AnswersError> {
    match written {
        Written { r#type: Some(name), hex: Some(text), value: None, error: None, .. } => {
            let bytes = hex::decode(text).map_err(|_error| AnswersError::Hex(index))?;
            let type_url = messages::type_url(&name);
            Ok(CapabilityOutcome::Payload(Any { type_url, value: bytes }))
        }
        Written { r#type: None, hex: None, value: Some(json), error: None, .. } => {
            let value = value(json).ok_or(AnswersError::Number(index))?;
            Ok(CapabilityOutcome::Payload(messages::pack(&value)))
        }
        Written { r#type: None, hex: None, value: None, error: Some(text), .. } => {
            Ok(CapabilityOutcome::Error(text))
        }
        Written { .. } => Err(AnswersError::Member(index)),
    }
}

/// The value of a JSON text: what `simulate` prints of such a value.
fn value(json: Json) -> Option<Value> {
    let kind = match json {
        Json::Null => return Some(Value::default()),
        Json::Bool(flag) => Kind::Bool(flag),
        Json::String(text) => Kind::String(text),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Kind::Int64(number),
            (None, Some(number)) => Kind::Uint64(number),
            (None, None) => Kind::Float64(number.as_f64()?),
        },
        Json::Array(items) => {
            let fields = items.into_iter().map(value).collect::<Option<_>>()?;
            Kind::List(List { fields })
        }
        Json::Object(members) => {
            let members = members.into_iter().map(|(name, json)| Some((name, value(json)?)));
            Kind::Map(Map { fields: members.collect::<Option<_>>()? })
        }
    };
    Some(Value { kind: Some(kind) })
}

/// Answers of some megabytes in hexadecimal.
const LONGEST_FILE_BYTES: u64 = 16 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use protocol::messages::devnet::price_feed;
    use serde_json::json;

    use super::*;
    use crate::run::value as shown;

    fn of(text: &str) -> Answers {
        Answers { given: parse(text).unwrap(), ..Answers::load(None).unwrap() }
    }

    fn ask(answers: &Answers, id: &str, method: &str, payload: Option<Any>) -> Result<Any, String> {
        let request =
            CapabilityRequest { id: id.into(), method: method.into(), payload, callback_id: 1 };
        let answered = answers.answer(&request).map_err(GuestText::into_string)?;
        match answered.response.unwrap() {
            CapabilityOutcome::Payload(any) => Ok(any),
            CapabilityOutcome::Error(text) => Err(text),
        }
    }

    #[test]
    fn an_answer_is_the_bytes_of_a_message_a_value_or_an_error() {
        let toml = "[[answer]]\nid = \"a\"\nmethod = \"M\"\ntype = \"x.Y\"\nhex = \"0aFF\"\n\
                    [[answer]]\nid = \"a\"\nmethod = \"V\"\nvalue = { p = [1, 1.5, \"x\", true] }\n\
                    [[answer]]\nid = \"a\"\nmethod = \"E\"\nerror = \"no\"\n";
        let json = r#"{"answer":[{"id":"a","method":"M","type":"x.Y","hex":"0aff"},
            {"id":"a","method":"V","value":{"p":[1,1.5,"x",true]}},{"id":"a","method":"E","error":"no"}]}"#;
        for text in [toml, json] {
            let answers = of(text);
            let message = ask(&answers, "a", "M", None).unwrap();
            assert_eq!(message.type_url, "type.googleapis.com/x.Y");
            assert_eq!(message.value, [0x0a, 0xff]);
            let value: Value = messages::unpack(&ask(&answers, "a", "V", None).unwrap()).unwrap();
            assert_eq!(shown::json(&value), json!({ "p": [1, 1.5, "x", true] }));
            assert_eq!(ask(&answers, "a", "E", None).unwrap_err(), "no");
        }
    }

    #[test]
    fn answers_for_one_method_are_given_in_turn_and_the_last_one_again() {
        let answers = of(r#"{"answer":[{"id":"a","method":"M","error":"1"},
            {"id":"a","method":"N","error":"other"},{"id":"a","method":"M","error":"2"}]}"#);
        let said: Vec<_> = (0..4).map(|_| ask(&answers, "a", "M", None).unwrap_err()).collect();
        assert_eq!(said, ["1", "2", "2", "2"]);
    }

    #[test]
    fn without_an_answer_it_is_said_how_to_give_one() {
        let said = ask(&of("{}"), "a@1", "M", None).unwrap_err();
        assert_eq!(said, "simulate has no answer for a@1 M; give one with --capabilities FILE");
    }

    #[test]
    fn the_devnets_capabilities_are_there_unless_the_file_has_them() {
        let request = price_feed::LatestRequest { symbol: "ETH-USD".to_owned() };
        let payload = Some(messages::pack(&request));
        let (id, method) = (price_feed::CAPABILITY, price_feed::LATEST);
        let any = ask(&of("{}"), id, method, payload.clone()).unwrap();
        let latest: price_feed::LatestResponse = messages::unpack(&any).unwrap();
        assert_eq!(latest.price, "3456.78");
        let other =
            of(r#"{"answer":[{"id":"price-feed@1.0.0","method":"Latest","error":"down"}]}"#);
        assert_eq!(ask(&other, id, method, payload).unwrap_err(), "down");
        let unknown = ask(&of("{}"), id, "Other", None).unwrap_err();
        assert_eq!(unknown, "capability price-feed@1.0.0 has no method Other");
    }

    #[test]
    fn a_file_in_another_form_is_refused() {
        for text in [
            r#"{"answers":[]}"#,
            r#"{"answer":[{"id":"a","method":"M"}]}"#,
            r#"{"answer":[{"id":"a","method":"M","type":"x.Y"}]}"#,
            r#"{"answer":[{"id":"a","method":"M","value":1,"error":"e"}]}"#,
            r#"{"answer":[{"id":"a","method":"M","type":"x.Y","hex":"0"}]}"#,
            r#"{"answer":[{"id":"a","error":"e"}]}"#,
            "[[answer]]\nid = 1",
            "no = [",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}

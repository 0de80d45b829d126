//! Our errors in the classes of tdh2 section 14, and what agreeing with a case means.

use crypto::{
    seal::OpenError,
    tdh2::{
        CiphertextError, CombineError, DealError, ParseError, PointError, ScalarError, ShareError,
        ThresholdError,
    },
};
use serde_json::Value;
use vectors::{Answer, Case, Deviations, Refusal, Text, variant_of};

use crate::schema::{Hardened, Outcome};

/// One of our errors.
#[derive(Debug)]
pub(crate) struct Refused {
    class: String,
    variant: String,
}

impl Refused {
    fn new(class: impl Into<String>, error: &impl std::fmt::Debug) -> Self {
        Self { class: class.into(), variant: variant_of(error) }
    }

    /// The same inside one of the combiner's inputs.
    pub(crate) fn within(mut self, part: &str) -> Self {
        self.class = format!("{part}:{}", self.class);
        self
    }
}

impl From<ParseError> for Refused {
    fn from(error: ParseError) -> Self {
        let class = match error {
            ParseError::TooLong { .. } => "TOO_LONG",
            ParseError::Json => "JSON",
            ParseError::Type { .. } => "JSON_TYPE",
            ParseError::Missing { .. } => "JSON_MISSING",
            ParseError::Duplicate { .. } => "JSON_DUPLICATE",
            ParseError::Folded { .. } => "JSON_FOLDED",
            ParseError::Base64 { .. } => "BASE64",
            ParseError::Group => "GROUP",
            ParseError::Index => "INDEX_NEGATIVE",
            ParseError::Scalar { error: ScalarError::Length, .. } => "SCALAR_LENGTH",
            ParseError::Scalar { error: ScalarError::Range | ScalarError::Zero, .. } => {
                "SCALAR_RANGE"
            }
            ParseError::Point { error: PointError::Length, .. } => "POINT_LENGTH",
            ParseError::Point { error: PointError::Invalid, .. } => "POINT_INVALID",
            ParseError::Point { error: PointError::Identity, .. } => "POINT_IDENTITY",
        };
        Self::new(class, &error)
    }
}

impl From<CiphertextError> for Refused {
    fn from(error: CiphertextError) -> Self {
        match error {
            CiphertextError::Parse(error) => error.into(),
            // To a reader of JSON alone these bytes are no JSON.
            CiphertextError::Fields => Self::new("JSON", &error),
            CiphertextError::InputSize { .. } => Self::new("INPUT_SIZE", &error),
            CiphertextError::SymmetricSize => Self::new("SYM_LENGTH", &error),
            CiphertextError::Proof => Self::new("PROOF", &error),
        }
    }
}

impl From<ShareError> for Refused {
    fn from(error: ShareError) -> Self {
        match error {
            // The reference does not ask for which key a ciphertext was verified.
            ShareError::OtherKey | ShareError::Proof => Self::new("SHARE_PROOF", &error),
            ShareError::Index => Self::new("SHARE_INDEX", &error),
        }
    }
}

impl From<ThresholdError> for Refused {
    fn from(error: ThresholdError) -> Self {
        Self::new("THRESHOLD", &error)
    }
}

impl From<CombineError> for Refused {
    fn from(error: CombineError) -> Self {
        let class = match &error {
            CombineError::OtherKey => "CT:PROOF".to_owned(),
            CombineError::Decrypt => "GCM".to_owned(),
            CombineError::NotEnough { got, want, invalid } => {
                let positions: Vec<String> = invalid.iter().map(usize::to_string).collect();
                let positions = positions.join(",");
                let positions = if positions.is_empty() { "none" } else { &positions };
                format!("NOT_ENOUGH:{got}/{want}:{positions}")
            }
        };
        Self::new(class, &error)
    }
}

impl From<DealError> for Refused {
    fn from(error: DealError) -> Self {
        match error {
            DealError::TooFewParties { .. } => Self::new("K_GT_N", &error),
            DealError::TooManyParties { .. } => Self::new("TOO_LONG", &error),
            DealError::OtherKey => Self::new("OTHER_KEY", &error),
        }
    }
}

impl From<OpenError> for Refused {
    fn from(error: OpenError) -> Self {
        Self::new("BOX", &error)
    }
}

/// What the reference says, and what we are held to: the same, or the stricter outcome where the case
/// has it.
pub(crate) struct Expected<'c> {
    theirs: (Outcome, Option<&'c str>),
    outcome: Outcome,
    code: Option<&'c str>,
    is_hardened: bool,
}

impl<'c> Expected<'c> {
    pub(crate) fn of(
        outcome: Outcome,
        code: Option<&'c String>,
        hardened: Option<&'c Hardened>,
    ) -> Self {
        let code = code.map(String::as_str);
        let theirs = (outcome, code);
        match hardened {
            Some(stricter) => Self {
                theirs,
                outcome: stricter.expect,
                code: stricter.error_code.as_deref(),
                is_hardened: true,
            },
            None => Self { theirs, outcome, code, is_hardened: false },
        }
    }

    /// Whether our answer is the expected one; `Err` says how it differs.
    pub(crate) fn agrees<T>(&self, ours: Result<T, Refused>) -> Result<(), String> {
        let answer = match &ours {
            Ok(_) => Answer::Value(Value::Null),
            Err(Refused { class, variant }) => {
                Answer::Refused(Refusal { variant: variant.clone(), text: class.clone() })
            }
        };
        Deviations::read().compare("tdh2.json", &self.case(), &answer, Text::Any)?;
        match (self.outcome, ours) {
            (Outcome::Ok | Outcome::Panic, Ok(_)) | (Outcome::Panic, Err(_)) => Ok(()),
            (Outcome::Ok, Err(refused)) => {
                if self.is_hardened {
                    Err(format!("ours {refused:?}"))
                } else {
                    Ok(())
                }
            }
            (Outcome::Error, Ok(_)) => Err(format!("theirs {:?}, ours ok", self.code)),
            (Outcome::Error, Err(refused)) => {
                let code = self.code.ok_or("an error without a code")?;
                let same = code == refused.class || self.may_be_found_first(code, &refused.class);
                if same { Ok(()) } else { Err(format!("theirs {code}, ours {refused:?}")) }
            }
        }
    }

    /// The reference's own outcome, for the rules. Answers are compared by those who ask.
    fn case(&self) -> Case {
        let (outcome, code) = self.theirs;
        let (output, error) = match outcome {
            Outcome::Ok => (Some(Value::Null), None),
            Outcome::Error => (None, code.map(str::to_owned)),
            Outcome::Panic => (None, Some("panic".to_owned())),
        };
        let op = "all".to_owned();
        Case { name: String::new(), op, input: Value::Null, output, error, note: None }
    }

    /// Whether a stricter reader meets `ours` before `theirs`.
    fn may_be_found_first(&self, theirs: &str, ours: &str) -> bool {
        let part = |class: &'static [&str]| move |code: &str| class.contains(&code);
        let bare = |code: &str| {
            let inner = code.strip_prefix("PK:").or_else(|| code.strip_prefix("CT:"));
            inner.unwrap_or(code).to_owned()
        };
        let (theirs, ours) = (bare(theirs), bare(ours));
        if self.is_hardened {
            // A folded name is not just missing for us.
            return theirs == "JSON_MISSING" && ours == "JSON_FOLDED";
        }
        let is_read_as_empty =
            part(&["GROUP", "INPUT_SIZE", "JSON", "POINT_LENGTH", "SCALAR_LENGTH"]);
        part(STRICTER)(&ours)
            // The reference reads null as an empty value, which then is refused for its length.
            || (ours == "JSON_TYPE" && is_read_as_empty(&theirs))
            // It counts a party twice and fails; we count it once and have too few.
            || (theirs == "DUPLICATE_OR_BAD_INDEX" && ours.starts_with("NOT_ENOUGH:"))
            // No threshold has a type of its own.
            || (theirs == "K_NOT_POSITIVE" && ours == "THRESHOLD")
    }
}

/// The classes that only the stricter profile has.
const STRICTER: &[&str] = &[
    "INDEX_NEGATIVE",
    "JSON_DUPLICATE",
    "JSON_FOLDED",
    "JSON_MISSING",
    "POINT_IDENTITY",
    "SYM_LENGTH",
    "THRESHOLD",
    "TOO_LONG",
];

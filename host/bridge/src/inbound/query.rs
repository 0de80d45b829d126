//! The part of a query that the enclave is asked with.

/// `requestID` and `nonce` of a query, as they were written, and nothing else (section 10.3).
pub(super) fn forwarded(query: Option<&str>) -> String {
    let mut forwarded = String::new();
    for name in FORWARDED {
        let mut pairs = query.unwrap_or_default().split('&').map(|pair| pair.split_once('='));
        let value = pairs.find_map(|pair| pair.filter(|(key, _)| *key == name));
        if let Some((_, value)) = value.filter(|(_, value)| !value.is_empty()) {
            forwarded.push(if forwarded.is_empty() { '?' } else { '&' });
            forwarded.push_str(name);
            forwarded.push('=');
            forwarded.push_str(value);
        }
    }
    forwarded
}

/// The request whose key is asked for, and the caller's challenge.
const FORWARDED: [&str; 2] = ["requestID", "nonce"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_parameters_are_forwarded_as_they_stand() {
        for (query, expected) in [
            (None, ""),
            (Some(""), ""),
            (Some("requestID="), ""),
            (Some("requestID=zz"), "?requestID=zz"),
            (Some("a=b&requestID=a%2Bb&c"), "?requestID=a%2Bb"),
            (Some("nonce=00&requestID=zz&requestID=yy"), "?requestID=zz&nonce=00"),
            (Some("requestid=zz&config=x"), ""),
        ] {
            assert_eq!(forwarded(query), expected, "{query:?}");
        }
    }
}

//! The little JSON that headers need: the members of one object as slices of the text, and one member replaced.
//! Everything that is not asked for stays as it was written (EN-4), so no tree is ever built.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde_core::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Visits the members of the object that `text` is: the decoded key, the value as written, and where it is.
///
/// Nesting is bounded by what serde_json skips without recursion; memory is not used beyond a decoded key.
pub(crate) fn members<'a>(
    text: &'a str,
    mut visit: impl FnMut(&str, &'a str, Range<usize>),
) -> Result<(), serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let start = text.as_ptr().addr();
    reader.deserialize_map(Members(|key: &str, value: &'a str| {
        let at = value.as_ptr().addr() - start;
        visit(key, value, at..at + value.len());
    }))?;
    reader.end()
}

struct Members<F>(F);

impl<'de, F: FnMut(&str, &'de str)> Visitor<'de> for Members<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<Text<'de>>()? {
            let value: &RawValue = map.next_value()?;
            (self.0)(&key.0, value.get());
        }
        Ok(())
    }
}

/// A string, borrowed where it has no escapes.
pub(crate) struct Text<'a>(pub(crate) Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        reader.deserialize_str(Reader)
    }
}

/// The string that the JSON value `raw` is, if it is one.
pub(crate) fn string(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
        return Some(Cow::Borrowed(inner));
    }
    serde_json::from_str::<Text<'_>>(raw).ok().map(|text| text.0)
}

/// The integer that the JSON value `raw` is. `5.0`, `5e0` and `"5"` are none (decision 23).
pub(crate) fn integer(raw: &str) -> Option<u64> {
    (!raw.is_empty() && raw.bytes().all(|digit| digit.is_ascii_digit())).then(|| raw.parse().ok())?
}

/// `text` as a JSON string, quotes included.
pub(crate) fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The object `text` with the member `key` set to the JSON value `value`: in place of the one at `present`, else
/// as the last one. Every other byte stays as it is.
pub(crate) fn with_member(text: &str, present: Option<Range<usize>>, key: &str, value: &str) -> String {
    let mut result = String::with_capacity(text.len() + key.len() + value.len() + 4);
    if let Some(at) = present {
        result.push_str(&text[..at.start]);
        result.push_str(value);
        result.push_str(&text[at.end..]);
        return result;
    }
    let body = text.trim_end().strip_suffix('}').unwrap_or(text);
    result.push_str(body);
    if !body.trim_end().ends_with('{') {
        result.push(',');
    }
    result.push_str(&quote(key));
    result.push(':');
    result.push_str(value);
    result.push('}');
    result
}

/// Where the last member `key` of the object `text` has its value.
pub(crate) fn find(text: &str, key: &str) -> Option<Range<usize>> {
    let mut found = None;
    let walk = members(text, |name, _, at| {
        if name == key {
            found = Some(at);
        }
    });
    walk.ok().and(found)
}

/// A value of which only one top-level member matters, read from a payload of any size without building it.
///
/// `seed` reads the value of every member that is named `key`; the last one wins. `None` if there is no such
/// member, if the payload is no object or not JSON.
pub(crate) fn pick<'de, S>(payload: &'de [u8], key: &str, seed: S) -> Option<S::Value>
where
    S: DeserializeSeed<'de> + Clone,
{
    struct Pick<'k, S: Clone>(&'k str, S);
    impl<'de, S: DeserializeSeed<'de> + Clone> Visitor<'de> for Pick<'_, S> {
        type Value = Option<S::Value>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a JSON object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut found = None;
            while let Some(key) = map.next_key::<Text<'de>>()? {
                if key.0 == self.0 {
                    found = Some(map.next_value_seed(self.1.clone())?);
                } else {
                    map.next_value::<IgnoredAny>()?;
                }
            }
            Ok(found)
        }
    }
    let mut reader = serde_json::Deserializer::from_slice(payload);
    reader.deserialize_map(Pick(key, seed)).ok()?
}

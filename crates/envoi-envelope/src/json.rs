//! The little JSON that headers and counts need: the members of one object and the elements of one array as slices of
//! the text, and one member replaced. What is not asked for stays as it was written (EN-4); no tree is ever built.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde_core::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
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
    // Most texts, the names of attributes among them, need no escape; to find out is ten times cheaper than `Display`.
    if text.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
        return ["\"", text, "\""].concat();
    }
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

/// Whether `text` is one JSON value, so that it cannot bring members of its own into an object.
pub(crate) fn is_value(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
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

/// Visits the elements of the array that `text` is, each as it is written.
pub(crate) fn elements<'a>(text: &'a str, visit: impl FnMut(&'a str)) -> Result<(), serde_json::Error> {
    struct Elements<F>(F);
    impl<'de, F: FnMut(&'de str)> Visitor<'de> for Elements<F> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a JSON array")
        }

        fn visit_seq<A: SeqAccess<'de>>(mut self, mut elements: A) -> Result<(), A::Error> {
            while let Some(element) = elements.next_element::<&RawValue>()? {
                (self.0)(element.get());
            }
            Ok(())
        }
    }
    let mut reader = serde_json::Deserializer::from_str(text);
    reader.deserialize_seq(Elements(visit))?;
    reader.end()
}

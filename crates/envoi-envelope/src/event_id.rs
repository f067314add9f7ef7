use std::fmt;
use std::str::FromStr;

/// The id of an event: 128 bits. Read with or without dashes, written without (EN-5).
///
/// ```
/// use envoi_envelope::EventId;
/// let id: EventId = "0f785fe9-fb1b-4bb5-9956-b6294a2cf864".parse()?;
/// assert_eq!(id.to_string(), "0f785fe9fb1b4bb59956b6294a2cf864");
/// # Ok::<(), envoi_envelope::EventIdError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId([u8; 16]);

/// Not an event id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventIdError;

impl fmt::Display for EventIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event id is 32 hexadecimal digits, or 36 characters with dashes")
    }
}

impl std::error::Error for EventIdError {}

impl EventId {
    /// The id with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes of the id.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// A random id, of UUID version 4.
    #[must_use]
    pub fn random() -> Self {
        let mut bytes = fastrand::u128(..).to_be_bytes();
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        Self(bytes)
    }
}

impl FromStr for EventId {
    type Err = EventIdError;

    fn from_str(text: &str) -> Result<Self, EventIdError> {
        let text = text.as_bytes();
        let dashes: &[usize] = match text.len() {
            32 => &[],
            36 => &[8, 13, 18, 23],
            _ => return Err(EventIdError),
        };
        let mut bytes = [0; 16];
        let mut digits = 0;
        for (position, &character) in text.iter().enumerate() {
            if dashes.contains(&position) {
                if character != b'-' {
                    return Err(EventIdError);
                }
                continue;
            }
            let value = match character {
                b'0'..=b'9' => character - b'0',
                b'a'..=b'f' => character - b'a' + 10,
                b'A'..=b'F' => character - b'A' + 10,
                _ => return Err(EventIdError),
            };
            bytes[digits / 2] = bytes[digits / 2] << 4 | value;
            digits += 1;
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// EN-5: ids are read with and without dashes, in either case, and written without.
    #[test]
    fn both_forms_are_read_and_nothing_else() {
        let expected = "0f785fe9fb1b4bb59956b6294a2cf864";
        for text in [
            expected,
            "0F785FE9FB1B4BB59956B6294A2CF864",
            "0f785fe9-fb1b-4bb5-9956-b6294a2cf864",
            "0F785FE9-FB1B-4bb5-9956-b6294a2cf864",
        ] {
            assert_eq!(text.parse::<EventId>().unwrap().to_string(), expected);
        }
        for text in [
            "",
            "0f785fe9fb1b4bb59956b6294a2cf86",
            "0f785fe9fb1b4bb59956b6294a2cf86g",
            "0f785fe9fb1b4bb59956b6294a2cf8640",
            "0f785fe9f-b1b-4bb5-9956-b6294a2cf864",
            "0f785fe9-fb1b-4bb5-9956-b6294a2cf86-",
            "{0f785fe9fb1b4bb59956b6294a2cf864}",
            "éééééééééééééééé",
        ] {
            assert_eq!(text.parse::<EventId>(), Err(EventIdError), "{text}");
        }
    }

    /// EN-5: random ids are UUIDs of version 4 and differ.
    #[test]
    fn random_ids_are_uuids() {
        let (one, other) = (EventId::random(), EventId::random());
        assert_ne!(one, other);
        assert_eq!(one.as_bytes()[6] >> 4, 4);
        assert_eq!(one.as_bytes()[8] >> 6, 2);
        assert_eq!(EventId::from_bytes(*one.as_bytes()), one);
    }
}

use std::borrow::Cow;

use bytes::Bytes;

use super::error::{HeaderFault, ParseErrorKind};
use super::header::Span;
use crate::{ItemType, json};

/// An item header: its bytes as they came, and where the known attributes stand in them.
#[derive(Clone)]
pub(super) struct ItemHeader {
    raw: Bytes,
    ty: ItemType,
    length: Option<u64>,
    item_count: Option<u64>,
    content_type: Span,
    filename: Span,
    attachment_type: Span,
    platform: Span,
}

impl ItemHeader {
    /// Reads `text`, of which `raw` are the bytes.
    pub(super) fn parse(raw: Bytes, text: &str) -> Result<Self, HeaderFault> {
        let mut ty = None;
        let mut length = None;
        let mut item_count = None;
        let mut content_type = Span::default();
        let mut filename = Span::default();
        let mut attachment_type = Span::default();
        let mut platform = Span::default();
        let mut fault = None;
        json::members(text, |key, value, at| {
            let mut report = |kind, detail: &'static str| {
                fault.get_or_insert_with(|| HeaderFault::new(kind, at.start, detail));
            };
            let slot = match key {
                "type" => {
                    match json::string(value) {
                        _ if ty.is_some() => report(ParseErrorKind::DuplicateAttribute, "\"type\""),
                        Some(name) => ty = Some(ItemType::from(&*name)),
                        None => report(ParseErrorKind::InvalidAttribute, "\"type\" is a string"),
                    }
                    return;
                }
                "length" => {
                    match json::integer(value) {
                        _ if length.is_some() => report(ParseErrorKind::DuplicateAttribute, "\"length\""),
                        None => report(ParseErrorKind::InvalidLength, "it counts the bytes of the payload"),
                        number => length = number,
                    }
                    return;
                }
                "item_count" => {
                    match json::integer(value) {
                        _ if item_count.is_some() => {
                            report(ParseErrorKind::DuplicateAttribute, "\"item_count\"");
                        }
                        None => report(
                            ParseErrorKind::InvalidAttribute,
                            "\"item_count\" is an integer of at least 0",
                        ),
                        number => item_count = number,
                    }
                    return;
                }
                "content_type" => &mut content_type,
                "filename" => &mut filename,
                "attachment_type" => &mut attachment_type,
                "platform" => &mut platform,
                _ => return,
            };
            if slot.is_present() {
                report(ParseErrorKind::DuplicateAttribute, attribute_help(key));
            } else if json::string(value).is_none() {
                report(ParseErrorKind::InvalidAttribute, attribute_help(key));
            } else {
                *slot = Span::new(&at);
            }
        })
        .map_err(|error| HeaderFault::from_json(&error, text))?;
        if let Some(fault) = fault {
            return Err(fault);
        }
        let Some(ty) = ty else {
            return Err(HeaderFault { kind: ParseErrorKind::MissingType, offset: 0, detail: None });
        };
        Ok(Self { raw, ty, length, item_count, content_type, filename, attachment_type, platform })
    }

    /// A header for a payload of `length` bytes.
    pub(super) fn build(ty: ItemType, length: usize) -> Self {
        let raw = format!("{{\"type\":{},\"length\":{length}}}", json::quote(ty.as_str()));
        Self {
            raw: raw.into(),
            ty,
            length: Some(length as u64),
            item_count: None,
            content_type: Span::default(),
            filename: Span::default(),
            attachment_type: Span::default(),
            platform: Span::default(),
        }
    }

    pub(super) const fn raw(&self) -> &Bytes {
        &self.raw
    }

    pub(super) fn text(&self) -> &str {
        // Checked when it was read or built.
        std::str::from_utf8(&self.raw).unwrap_or("{}")
    }

    pub(super) const fn ty(&self) -> &ItemType {
        &self.ty
    }

    pub(super) const fn length(&self) -> Option<u64> {
        self.length
    }

    pub(super) const fn item_count(&self) -> Option<u64> {
        self.item_count
    }

    fn string(&self, span: Span) -> Option<Cow<'_, str>> {
        json::string(self.text().get(span.range()?)?)
    }

    pub(super) fn content_type(&self) -> Option<Cow<'_, str>> {
        self.string(self.content_type)
    }

    pub(super) fn filename(&self) -> Option<Cow<'_, str>> {
        self.string(self.filename)
    }

    pub(super) fn attachment_type(&self) -> Option<Cow<'_, str>> {
        self.string(self.attachment_type)
    }

    pub(super) fn platform(&self) -> Option<Cow<'_, str>> {
        self.string(self.platform)
    }

    pub(super) fn attribute(&self, key: &str) -> Option<&str> {
        self.text().get(json::find(self.text(), key)?)
    }

    /// The header with `key` set to the JSON value `value`; `None` if it would not be valid. It may get too large,
    /// which is checked when the item goes into an envelope.
    pub(super) fn with(&self, key: &str, value: &str) -> Option<Self> {
        let text = json::with_member(self.text(), json::find(self.text(), key), key, value);
        let raw = Bytes::from(text);
        let text = std::str::from_utf8(&raw).ok()?;
        Self::parse(raw.clone(), text).ok()
    }
}

fn attribute_help(key: &str) -> &'static str {
    match key {
        "content_type" => "\"content_type\" is a string, once",
        "filename" => "\"filename\" is a string, once",
        "attachment_type" => "\"attachment_type\" is a string, once",
        _ => "\"platform\" is a string, once",
    }
}

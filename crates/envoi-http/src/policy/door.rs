//! What a web server in front says before anybody has looked at the request.
//!
//! nginx (and what is made of it) finishes a TLS handshake in which it was shown no client certificate, or a bad one,
//! and answers the request with 400 instead of an alert. That is the handshake that failed, not the payload: the one
//! who keeps the goods should not be told that they were refused.

use envoi_core::Reply;
use http::StatusCode;

/// How far to look into a page, in bytes. nginx' own are shorter.
const LOOK: usize = 1024;

/// What it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    /// No client certificate was shown: nginx' 496.
    NoCertificate,
    /// The client certificate that was shown is not believed: 495.
    BadCertificate,
    /// `http` was spoken to a port for `https`: 497.
    PlainHttp,
}

impl Door {
    /// By the title of nginx' page. The statuses 495 to 497 are nginx' own business: it sends 400 for each of them, unless
    /// somebody has configured an answer of theirs, which then counts as any other.
    pub(super) fn of(reply: &Reply) -> Option<Self> {
        if reply.status == StatusCode::BAD_REQUEST { Self::titled(&reply.body) } else { None }
    }

    fn titled(page: &[u8]) -> Option<Self> {
        const TITLES: [(&[u8], Door); 3] = [
            (b"<title>400 No required SSL certificate was sent</title>", Door::NoCertificate),
            (b"<title>400 The SSL certificate error</title>", Door::BadCertificate),
            (b"<title>400 The plain HTTP request was sent to HTTPS port</title>", Door::PlainHttp),
        ];
        let start = &page[..page.len().min(LOOK)];
        let holds = |title: &[u8]| start.windows(title.len()).any(|window| window == title);
        TITLES.into_iter().find_map(|(title, door)| holds(title).then_some(door))
    }

    /// What is wrong and what to do about it, in the words of a handshake that fails for the same reason.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::NoCertificate => "the server asks for a client certificate: give a certificate and its key",
            Self::BadCertificate => {
                "the server refused the client certificate: it may have expired, or come from an authority that the \
                 server does not trust"
            }
            Self::PlainHttp => "the server speaks https at this port: use an https address",
        }
    }
}

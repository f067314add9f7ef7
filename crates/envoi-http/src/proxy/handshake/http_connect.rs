//! CONNECT (RFC 9110 §9.3.6).

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http::header::PROXY_AUTHENTICATE;
use httparse::{EMPTY_HEADER, Response, Status};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{Target, broken};
use crate::proxy::ProxyServer;
use crate::proxy::error::{ProxyError, ProxyProblem};

/// Where the head of an answer is cut off, in bytes. Error pages come after it and are not read.
const MAX_HEAD: usize = 16 * 1024;
const MAX_HEADERS: usize = 100;

pub(super) async fn connect<T>(io: &mut T, proxy: &ProxyServer, target: &Target) -> Result<Bytes, ProxyError>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    io.write_all(&request(proxy, target)).await.map_err(broken(proxy))?;
    io.flush().await.map_err(broken(proxy))?;
    let mut seen = BytesMut::with_capacity(1024);
    loop {
        match read(&seen) {
            Answer::Partial if seen.len() < MAX_HEAD => {
                // What comes along after the head is the target's and is handed on.
                if io.read_buf(&mut seen).await.map_err(broken(proxy))? == 0 {
                    return Err(ProxyError::new(proxy, ProxyProblem::Closed));
                }
            }
            Answer::Partial | Answer::Malformed => {
                return Err(ProxyError::new(proxy, ProxyProblem::Malformed));
            }
            Answer::Interim { length } => drop(seen.split_to(length)),
            Answer::Open { length } => return Ok(seen.split_off(length).freeze()),
            Answer::Refused { status, knows_basic } => {
                return Err(ProxyError::answered(proxy, status, knows_basic));
            }
        }
    }
}

fn request(proxy: &ProxyServer, target: &Target) -> Vec<u8> {
    let place = target.authority();
    let mut text = format!("CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n").into_bytes();
    if let Some(credentials) = proxy.credentials() {
        text.extend_from_slice(b"Proxy-Authorization: ");
        text.extend_from_slice(credentials.basic().as_bytes());
        text.extend_from_slice(b"\r\n");
    }
    text.extend_from_slice(b"\r\n");
    text
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Partial,
    Malformed,
    /// 1xx: another one follows (RFC 9110 §15.2).
    Interim {
        length: usize,
    },
    Open {
        length: usize,
    },
    Refused {
        status: StatusCode,
        knows_basic: bool,
    },
}

fn read(seen: &[u8]) -> Answer {
    let mut headers = [EMPTY_HEADER; MAX_HEADERS];
    let mut response = Response::new(&mut headers);
    let length = match response.parse(seen) {
        Ok(Status::Complete(length)) => length,
        Ok(Status::Partial) => return Answer::Partial,
        Err(_) => return Answer::Malformed,
    };
    let Some(Ok(status)) = response.code.map(StatusCode::from_u16) else { return Answer::Malformed };
    match status.as_u16() {
        // 101 answers an `Upgrade`, and there was none.
        100 | 102..=199 => Answer::Interim { length },
        // Any of them; a length of a body in it means nothing.
        200..=299 => Answer::Open { length },
        _ => {
            let mut asked = response
                .headers
                .iter()
                .filter(|header| header.name.eq_ignore_ascii_case(PROXY_AUTHENTICATE.as_str()));
            let knows_basic = asked.any(|header| offers_basic(header.value));
            Answer::Refused { status, knows_basic }
        }
    }
}

/// Whether a `Proxy-Authenticate` offers `Basic`, among other schemes perhaps (RFC 9110 §11.6.1).
pub(in crate::proxy) fn offers_basic(value: &[u8]) -> bool {
    value.split(|byte| *byte == b',').any(|part| {
        let scheme = part.trim_ascii().split(u8::is_ascii_whitespace).next().unwrap_or_default();
        scheme.eq_ignore_ascii_case(b"basic")
    })
}

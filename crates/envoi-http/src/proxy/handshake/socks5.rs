//! SOCKS5 (RFC 1928) with user and password (RFC 1929).

use std::net::IpAddr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::broken;
use super::target::{Host, Target};
use crate::proxy::ProxyServer;
use crate::proxy::choice::Credentials;
use crate::proxy::error::{ProxyError, ProxyProblem};

const VERSION: u8 = 5;
const NO_CREDENTIALS: u8 = 0;
const USER_AND_PASSWORD: u8 = 2;
const NONE_ACCEPTABLE: u8 = 0xFF;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// Reads not a byte more than the protocol has: what follows is the target's.
pub(super) async fn connect<T>(io: &mut T, proxy: &ProxyServer, target: &Target) -> Result<(), ProxyError>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let fail = |problem| ProxyError::new(proxy, problem);
    let request = request(target).ok_or_else(|| fail(ProxyProblem::BadTarget))?;

    send(io, proxy, greeting(proxy.credentials())).await?;
    let [version, method] = receive(io, proxy).await?;
    match (version, method, proxy.credentials()) {
        (VERSION, NO_CREDENTIALS, _) => {}
        (VERSION, USER_AND_PASSWORD, Some(credentials)) => {
            send(io, proxy, &login(credentials)).await?;
            let [_, status] = receive(io, proxy).await?;
            if status != 0 {
                return Err(fail(ProxyProblem::CredentialsRefused));
            }
        }
        (VERSION, NONE_ACCEPTABLE, None) => return Err(fail(ProxyProblem::CredentialsWanted)),
        (VERSION, NONE_ACCEPTABLE, Some(_)) => return Err(fail(ProxyProblem::CredentialsRefused)),
        _ => return Err(fail(ProxyProblem::Malformed)),
    }

    send(io, proxy, &request).await?;
    let [version, reply, _, kind] = receive(io, proxy).await?;
    if version != VERSION {
        return Err(fail(ProxyProblem::Malformed));
    }
    if reply != 0 {
        return Err(fail(ProxyProblem::Socks(reply)));
    }
    // Where the connection comes out is of no interest, but has to be read.
    let length = match kind {
        IPV4 => 4,
        IPV6 => 16,
        NAME => {
            let [length] = receive(io, proxy).await?;
            usize::from(length)
        }
        _ => return Err(fail(ProxyProblem::Malformed)),
    };
    let mut bound = [0; 255 + 2];
    io.read_exact(&mut bound[..length + 2]).await.map_err(broken(proxy))?;
    Ok(())
}

async fn send<T>(io: &mut T, proxy: &ProxyServer, message: &[u8]) -> Result<(), ProxyError>
where
    T: AsyncWrite + Unpin,
{
    io.write_all(message).await.map_err(broken(proxy))?;
    io.flush().await.map_err(broken(proxy))
}

async fn receive<T, const N: usize>(io: &mut T, proxy: &ProxyServer) -> Result<[u8; N], ProxyError>
where
    T: AsyncRead + Unpin,
{
    let mut message = [0; N];
    io.read_exact(&mut message).await.map_err(broken(proxy))?;
    Ok(message)
}

/// With credentials both ways are offered: a server that does not want them need not take them.
const fn greeting(credentials: Option<&Credentials>) -> &'static [u8] {
    match credentials {
        None => &[VERSION, 1, NO_CREDENTIALS],
        Some(_) => &[VERSION, 2, NO_CREDENTIALS, USER_AND_PASSWORD],
    }
}

/// The lengths have been checked when the URL was read.
fn login(credentials: &Credentials) -> Vec<u8> {
    let mut message = vec![1];
    for text in [&credentials.user, &credentials.password] {
        let text = &text[..text.len().min(255)];
        message.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
        message.extend_from_slice(text);
    }
    message
}

fn request(target: &Target) -> Option<Vec<u8>> {
    let mut message = vec![VERSION, 1, 0];
    match &target.host {
        Host::Address(IpAddr::V4(address)) => {
            message.push(IPV4);
            message.extend_from_slice(&address.octets());
        }
        Host::Address(IpAddr::V6(address)) => {
            message.push(IPV6);
            message.extend_from_slice(&address.octets());
        }
        Host::Name(name) => {
            message.extend_from_slice(&[NAME, u8::try_from(name.len()).ok()?]);
            message.extend_from_slice(name.as_bytes());
        }
    }
    message.extend_from_slice(&target.port.to_be_bytes());
    Some(message)
}

//! SOCKS4, and 4a for names that the server looks up. Neither has an RFC; the two notes of their authors are followed.

use std::net::IpAddr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::broken;
use super::target::{Host, Target};
use crate::proxy::ProxyServer;
use crate::proxy::error::{ProxyError, ProxyProblem};

const GRANTED: u8 = 90;

pub(super) async fn connect<T>(io: &mut T, proxy: &ProxyServer, target: &Target) -> Result<(), ProxyError>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let fail = |problem| ProxyError::new(proxy, problem);
    let user = proxy.credentials().map_or(&[][..], |credentials| &credentials.user);
    let request = request(target, user).map_err(fail)?;
    io.write_all(&request).await.map_err(broken(proxy))?;
    io.flush().await.map_err(broken(proxy))?;
    let mut reply = [0; 8];
    io.read_exact(&mut reply).await.map_err(broken(proxy))?;
    match reply {
        [0, GRANTED, ..] => Ok(()),
        [0, code @ 91..=93, ..] => Err(fail(ProxyProblem::Socks(code))),
        _ => Err(fail(ProxyProblem::Malformed)),
    }
}

fn request(target: &Target, user: &[u8]) -> Result<Vec<u8>, ProxyProblem> {
    let mut message = vec![4, 1];
    message.extend_from_slice(&target.port.to_be_bytes());
    let name = match &target.host {
        Host::Address(IpAddr::V4(address)) => {
            message.extend_from_slice(&address.octets());
            None
        }
        Host::Address(IpAddr::V6(_)) => return Err(ProxyProblem::NoAddress),
        Host::Name(name) if name.len() > 255 => return Err(ProxyProblem::BadTarget),
        Host::Name(name) => {
            // An address that cannot be one: the name follows at the end.
            message.extend_from_slice(&[0, 0, 0, 1]);
            Some(name)
        }
    };
    message.extend_from_slice(user);
    message.push(0);
    if let Some(name) = name {
        message.extend_from_slice(name.as_bytes());
        message.push(0);
    }
    Ok(message)
}

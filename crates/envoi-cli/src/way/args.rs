use std::path::PathBuf;

use envoi::Way;
use envoi::http::proxy::InvalidProxy;
use envoi::way::{CaBundle, Identity};
use http::Uri;

use super::{Choice, Told, teller};
use crate::error::{CliError, chain};

const HEADING: &str = "The way to the server";

/// The options about the way. No `Debug`: a proxy may have a password (AU-7).
#[derive(clap::Args)]
pub(crate) struct WayArgs {
    /// Go through this proxy, `[scheme://][user:password@]host[:port]` with http, https, socks4, socks4a, socks5 or socks5h
    /// [default: what https_proxy, http_proxy and all_proxy say]
    #[arg(long, value_name = "URL", help_heading = HEADING)]
    proxy: Option<String>,

    /// Reach these hosts without a proxy: names, .domains, addresses, networks, host:port, or * for all
    /// [default: what no_proxy says]
    #[arg(long, value_name = "LIST", help_heading = HEADING)]
    no_proxy: Option<String>,

    /// Believe the authorities in this file as well, PEM or DER
    #[arg(long, value_name = "FILE", help_heading = HEADING)]
    cacert: Option<PathBuf>,

    /// Show the certificate in this PEM file to a server that asks for one
    #[arg(long, value_name = "FILE", help_heading = HEADING)]
    cert: Option<PathBuf>,

    /// The private key of --cert, if it is not in the same file
    #[arg(long, value_name = "FILE", requires = "cert", help_heading = HEADING)]
    key: Option<PathBuf>,
}

impl WayArgs {
    /// The way to `target`, which tells its phases on standard error if `verbose` is not zero.
    ///
    /// # Errors
    /// If a proxy cannot be used, or a file is not what it should be. No password and no key is shown.
    pub(crate) fn resolve(&self, target: &Uri, verbose: u8) -> Result<Way, CliError> {
        let choice = self.choice(target)?.map_err(CliError::usage)?;
        let way = self.certificates()?;
        let way = match verbose {
            0 => way,
            _ => way.observer(teller(Told::of_choice(&choice, target))),
        };
        Ok(way.proxy(choice.config))
    }

    /// Which proxy is used for `target`, and why (TR-3). The inner error is one of the environment.
    ///
    /// # Errors
    /// If the URL of `--proxy` cannot be used, or what is to be spared cannot be read.
    pub(crate) fn choice(&self, target: &Uri) -> Result<Result<Choice, InvalidProxy>, CliError> {
        let environment =
            |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
        let choice = match Choice::make(self.proxy.as_deref(), self.no_proxy.as_deref(), target, environment)
        {
            Ok(choice) => choice,
            Err(error) if error.variable().is_some() => return Ok(Err(error)),
            Err(error) => return Err(CliError::usage(format_args!("--proxy: {error}"))),
        };
        match choice.config.unreadable_no_proxy() {
            [entry, ..] if self.no_proxy.is_some() => Err(CliError::usage(format_args!(
                "--no-proxy: `{entry}` is no name, .domain, address, network, host:port or *, separate them by commas"
            ))),
            _ => Ok(Ok(choice)),
        }
    }

    /// The way with the certificates that were asked for, by the proxies of the environment.
    ///
    /// # Errors
    /// If a file is not what it should be. The message names the option and the file, and shows nothing of a key.
    pub(crate) fn certificates(&self) -> Result<Way, CliError> {
        let mut way = Way::new();
        if let Some(path) = &self.cacert {
            let bundle = CaBundle::from_file(path)
                .map_err(|error| CliError::usage(format_args!("--cacert: {}", chain(&error))))?;
            way = way.map_tls(|tls| tls.ca(bundle));
        }
        if let Some(cert) = &self.cert {
            let key = self.key.as_ref().unwrap_or(cert);
            let option = if self.key.is_some() { "--cert, --key" } else { "--cert without --key" };
            let identity = Identity::from_files(cert, key)
                .map_err(|error| CliError::usage(format_args!("{option}: {}", chain(&error))))?;
            way = way.map_tls(|tls| tls.identity(identity));
        }
        Ok(way)
    }
}

//! Where to send: the DSN, from an option or the environment.

use envoi::envelope::Dsn;

use crate::error::CliError;

/// The DSN option. No `Debug`, and no parsing by the argument parser: its errors repeat the value (AU-7).
#[derive(clap::Args)]
pub(crate) struct DsnArgs {
    /// Where to send: scheme://key@host/project
    #[arg(long, value_name = "DSN", env = "SENTRY_DSN", hide_env_values = true)]
    dsn: Option<String>,
}

impl DsnArgs {
    /// The DSN.
    ///
    /// # Errors
    /// If there is none, or it is malformed. The message names the part and never the secret (AU-6).
    pub(crate) fn resolve(&self) -> Result<Dsn, CliError> {
        Dsn::parse(self.text()?).map_err(CliError::usage)
    }

    /// What is there in its place.
    ///
    /// # Errors
    /// If there is nothing.
    pub(crate) fn text(&self) -> Result<&str, CliError> {
        let text = self.dsn.as_deref().map(str::trim).unwrap_or_default();
        if text.is_empty() {
            return Err(CliError::usage("no DSN: pass --dsn or set SENTRY_DSN"));
        }
        Ok(text)
    }
}

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why a spool could not be opened.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process has the directory, or all its slots (OC-10).
    Busy {
        /// The directory.
        path: PathBuf,
        /// What the owner wrote about itself; empty if that could not be read.
        owner: String,
    },
    /// The directory cannot be used.
    Io {
        /// What was to be done.
        action: &'static str,
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The thread that writes could not be started.
    Thread(io::Error),
}

impl OpenError {
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy { path, owner } => {
                write!(f, "the spool {} is in use", path.display())?;
                if !owner.is_empty() {
                    write!(f, " by {}", owner.trim_end().replace('\n', ", "))?;
                }
                f.write_str(", choose another directory or OnBusy::NextSlot")
            }
            Self::Io { action, path, source } => {
                write!(f, "could not {action} {}: {source}", path.display())
            }
            Self::Thread(source) => write!(f, "could not start the thread of the spool: {source}"),
        }
    }
}

impl Error for OpenError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Busy { .. } => None,
            Self::Io { source, .. } | Self::Thread(source) => Some(source),
        }
    }
}

//! What the tests of the project itself share: its files, and the functions in them.

pub(crate) mod files;
pub(crate) mod functions;

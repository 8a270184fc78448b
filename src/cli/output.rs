//! What commands print, and the exit codes that scripts rely on: 0 done, 1 failed, 2 wrong usage or
//! configuration, 3 a check found what it was told to fail on.

use std::{io::Write, path::Path, process::ExitCode};

use anyhow::Context;

use crate::config::ConfigError;

/// Ends a command with a code of its own.
#[derive(Debug, thiserror::Error)]
pub enum Exit {
    /// Wrong usage or configuration.
    #[error("{0}")]
    Usage(String),
    /// A check found what it was told to fail on.
    #[error("{0}")]
    Found(String),
}

/// The exit code of an error.
pub fn exit_of(error: &anyhow::Error) -> ExitCode {
    let is_found = |cause: &(dyn std::error::Error + 'static)| {
        matches!(cause.downcast_ref::<Exit>(), Some(Exit::Found(_)))
    };
    if error.chain().any(is_found) {
        return ExitCode::from(3);
    }
    let usage = error.chain().any(|cause| cause.is::<ConfigError>() || cause.is::<Exit>());
    ExitCode::from(if usage { 2 } else { 1 })
}

/// Writes an error and its causes to standard error.
pub fn complain(error: &anyhow::Error) {
    let mut output = std::io::stderr().lock();
    drop(writeln!(output, "tidewatch: {error:#}"));
}

/// Writes a line to standard error about something that stops nothing.
pub(super) fn warn(text: impl std::fmt::Display) {
    let mut output = std::io::stderr().lock();
    drop(writeln!(output, "tidewatch: warning: {text}"));
}

/// Writes to standard output. A reader that has gone away is no error.
pub(super) fn print(text: &str) {
    let mut output = std::io::stdout().lock();
    drop(output.write_all(text.as_bytes()).and_then(|()| output.flush()));
}

/// Writes a file.
pub(super) fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("could not write `{}`", path.display()))
}

/// Writes a line to standard output.
pub(super) fn line(text: impl std::fmt::Display) {
    print(&format!("{text}\n"));
}

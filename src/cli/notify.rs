//! `tidewatch notify test NAME`: sends an example through a notifier, once, and says what became of it.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use jiff::Timestamp;

use super::{Exit, open, output};
use crate::{anomaly::Alert, assemble};

/// Arguments of `notify`.
#[derive(Debug, Args)]
pub(super) struct NotifyArguments {
    #[command(subcommand)]
    command: NotifyCommand,
}

#[derive(Debug, Subcommand)]
enum NotifyCommand {
    /// Send an example alert; nothing is stored and nothing is tried again
    Test {
        /// The notifier
        name: String,
        /// The configuration
        #[arg(long)]
        config: PathBuf,
    },
}

pub(super) async fn notify(arguments: NotifyArguments) -> anyhow::Result<()> {
    let NotifyCommand::Test { name, config } = arguments.command;
    let mut notifiers = open::config(&config)?.notifiers;
    let Some(found) = notifiers.remove(&name) else {
        let known: Vec<String> = notifiers.into_keys().collect();
        return Err(Exit::Usage(format!("no notifier `{name}`; there are: {}", known.join(", "))).into());
    };
    let notifier = assemble::notifier(&name, found, None).await?;
    let alert = Alert::example(&name, Timestamp::now().as_millisecond());
    notifier.send(&alert).await?;
    output::line(format!("`{name}` took the alert {}", alert.id));
    Ok(())
}

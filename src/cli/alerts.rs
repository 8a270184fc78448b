//! `tidewatch alerts`: what became of alerts, and sending one again. Works beside a running service.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use jiff::Timestamp;

use super::{Exit, open, output};
use crate::store::SqliteStore;

/// Arguments of `alerts`.
#[derive(Debug, Args)]
pub(super) struct AlertsArguments {
    #[command(subcommand)]
    command: AlertsCommand,
}

#[derive(Debug, Subcommand)]
enum AlertsCommand {
    /// List alerts with their state: waiting, sent or given_up
    List {
        /// The configuration
        #[arg(long)]
        config: PathBuf,
        /// Only those in this state
        #[arg(long)]
        state: Option<String>,
    },
    /// Put an alert that was sent or given up back into the outbox; it keeps its id
    Resend {
        /// The alert's id
        id: String,
        /// The configuration
        #[arg(long)]
        config: PathBuf,
    },
}

pub(super) fn alerts(arguments: AlertsArguments) -> anyhow::Result<()> {
    match arguments.command {
        AlertsCommand::List { config, state } => {
            for (id, found) in store(&config)?.outbox_rows()? {
                if state.as_ref().is_none_or(|state| *state == found) {
                    output::line(format!("{found}\t{id}"));
                }
            }
            Ok(())
        }
        AlertsCommand::Resend { id, config } => {
            if !store(&config)?.resend(&id, Timestamp::now().as_millisecond())? {
                return Err(Exit::Usage(format!("no alert `{id}` that was sent or given up")).into());
            }
            output::line(format!("`{id}` waits to be sent again"));
            Ok(())
        }
    }
}

fn store(config: &std::path::Path) -> anyhow::Result<SqliteStore> {
    let config = open::config(config)?.store;
    if !config.path.exists() {
        let why = format!("no store `{}`; has the service run yet?", config.path.display());
        return Err(Exit::Usage(why).into());
    }
    Ok(SqliteStore::open(&config.path, config.durability)?)
}

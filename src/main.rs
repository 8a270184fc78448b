//! The `tidewatch` program.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    match tidewatch::cli::run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tidewatch::cli::complain(&error);
            tidewatch::cli::exit_of(&error)
        }
    }
}

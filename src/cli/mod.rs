//! Floor 7: the commands. Each is a file; this one lists them.

mod alerts;
mod backfill;
mod backtest;
mod calendar;
mod calibrate;
mod check;
mod client;
mod compare;
mod demo;
mod explain;
mod export;
mod incidents;
mod inputs;
mod inspect;
mod judge;
mod locate;
mod notify;
mod open;
mod output;
mod plan;
mod run;
mod scenarios;
mod score;
mod simulate;
mod train;
mod tune;

use clap::{CommandFactory, Parser, Subcommand};

pub use output::{Exit, complain, exit_of};

/// Watches ecommerce traffic and says within one window what is off, how severe, where, and what it costs.
#[derive(Debug, Parser)]
#[command(name = "tidewatch", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Try it: a simulated shop, weeks of history learned in seconds, then live at an accelerated clock
    Demo(demo::DemoArguments),
    /// Run the service
    Run(run::RunArguments),
    /// Check a configuration
    Check(check::CheckArguments),
    /// Look at a file and propose a configuration for it
    Inspect(inspect::InspectArguments),
    /// Show a commented example configuration
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Run a monitor over files of raw events and list its incidents
    Backtest(backtest::BacktestArguments),
    /// Show what another configuration would say on the same data: incidents gained, lost and moved
    Compare(compare::CompareArguments),
    /// Estimate series, memory, disk and load from real data
    Plan(plan::PlanArguments),
    /// Find the severity and minimum duration that meet a goal
    Tune(tune::TuneArguments),
    /// Fit the models of a monitor to a dataset, so that `run` starts trained
    Train(train::TrainArguments),
    /// Put history before the first window of a monitor, also while the service runs
    Backfill(backfill::BackfillArguments),
    /// Score ready-made series, one CSV file each
    Score(score::ScoreArguments),
    /// Say which slices explain a deviation in ready-made rows
    Locate(locate::LocateArguments),
    /// Judge what `score` wrote: events against labels, the Numenta benchmark, or alarms per week
    Judge(judge::JudgeArguments),
    /// Measure what severities are worth on synthetic counts: false events, and the faults that are found
    Calibrate(calibrate::CalibrateArguments),
    /// List the holidays, promotions and other special times that a monitor knows
    Calendar(calendar::CalendarArguments),
    /// Write stored observations to a CSV file
    Export(export::ExportArguments),
    /// Write the events of a simulated shop, with known faults, to a folder or a Kafka topic
    Simulate(simulate::SimulateArguments),
    /// Try a notifier
    Notify(notify::NotifyArguments),
    /// List alerts, send them again, preview what rules would tell
    Alerts(alerts::AlertsArguments),
    /// Read incidents of a running service, take care of them, say what they were
    Incidents(incidents::IncidentsArguments),
    /// Ask a running service why a window was or was not flagged
    Explain(explain::ExplainArguments),
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Print the example
    Example,
}

/// Runs the command of this process's arguments.
pub async fn run() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Demo(arguments) => demo::demo(arguments).await,
        Command::Run(arguments) => run::run(arguments).await,
        Command::Check(arguments) => check::check(&arguments).await,
        Command::Inspect(arguments) => inspect::inspect(&arguments).await,
        Command::Config { command: ConfigCommand::Example } => {
            output::print(crate::config::EXAMPLE);
            Ok(())
        }
        Command::Backtest(arguments) => backtest::backtest(arguments).await,
        Command::Compare(arguments) => compare::compare(arguments).await,
        Command::Plan(arguments) => plan::plan(arguments).await,
        Command::Tune(arguments) => tune::tune(arguments).await,
        Command::Train(arguments) => train::train(arguments).await,
        Command::Backfill(arguments) => backfill::backfill(arguments).await,
        Command::Score(arguments) => score::score(&arguments),
        Command::Locate(arguments) => locate::run(&arguments),
        Command::Judge(arguments) => judge::judge(&arguments),
        Command::Calibrate(arguments) => calibrate::calibrate(&arguments),
        Command::Calendar(arguments) => calendar::calendar(&arguments),
        Command::Export(arguments) => export::export(arguments).await,
        Command::Simulate(arguments) => simulate::simulate(&arguments).await,
        Command::Notify(arguments) => notify::notify(arguments).await,
        Command::Alerts(arguments) => alerts::alerts(arguments).await,
        Command::Incidents(arguments) => incidents::incidents(arguments).await,
        Command::Explain(arguments) => explain::explain(arguments).await,
        Command::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "tidewatch", &mut text);
            output::print(&String::from_utf8_lossy(&text));
            Ok(())
        }
    }
}

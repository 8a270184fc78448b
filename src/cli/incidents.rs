//! `tidewatch incidents`: reading them and taking care of them, over the API of a running service.

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Map, Value, json};

use super::{
    Exit,
    client::{Client, ServiceArguments, encoded},
    output,
};
use crate::anomaly::number;

/// Arguments of `incidents`.
#[derive(Debug, Args)]
pub(super) struct IncidentsArguments {
    #[command(subcommand)]
    command: IncidentsCommand,
    #[command(flatten)]
    service: ServiceArguments,
}

#[derive(Debug, Subcommand)]
enum IncidentsCommand {
    /// List them, newest first
    List(ListArguments),
    /// Show one with its timeline
    Show {
        /// Its id, such as shop-3
        id: String,
    },
    /// Say that somebody takes care of it
    Ack {
        /// Its id
        id: String,
        #[command(flatten)]
        by: By,
    },
    /// Say who is to take care of it
    Assign {
        /// Its id
        id: String,
        /// Who; left out, nobody in particular
        to: Option<String>,
        #[command(flatten)]
        by: By,
    },
    /// Ask for quiet about it
    Mute(MuteArguments),
    /// Add words to its timeline
    Note {
        /// Its id
        id: String,
        /// The words
        text: String,
        #[command(flatten)]
        by: By,
    },
    /// Say what it was; preview that, or take it back
    Feedback(FeedbackArguments),
    /// Report one that nobody was told of
    Missed(MissedArguments),
}

#[derive(Debug, Args)]
struct By {
    /// Who says so
    #[arg(long, env = "USER")]
    by: Option<String>,
}

#[derive(Debug, Args)]
struct ListArguments {
    /// Only of this monitor
    #[arg(long)]
    monitor: Option<String>,
    /// Only `open`, `closed` or `retracted`
    #[arg(long)]
    state: Option<String>,
    /// Only `deviation`, `minor` or `no_data`
    #[arg(long)]
    kind: Option<String>,
    /// Only with at least this peak severity
    #[arg(long)]
    min_severity: Option<f64>,
    /// Only with a series of this measure
    #[arg(long)]
    measure: Option<String>,
    /// Only with a series that has this value, e.g. country=DE; may be repeated
    #[arg(long, value_parser = pair)]
    slice: Vec<(String, String)>,
    /// Only `acknowledged`, `unanswered`, or with a label
    #[arg(long)]
    care: Option<String>,
    /// Only assigned to this person
    #[arg(long)]
    assigned_to: Option<String>,
    /// Only opened at or after this RFC 3339 time
    #[arg(long)]
    from: Option<String>,
    /// Only opened before this RFC 3339 time
    #[arg(long)]
    before: Option<String>,
    /// Go on behind this one: the last line of a list that was cut
    #[arg(long)]
    after: Option<String>,
    /// At most this many
    #[arg(long, default_value_t = 50)]
    limit: usize,
}

#[derive(Debug, Args)]
struct MuteArguments {
    /// Its id
    id: String,
    #[command(flatten)]
    how: MuteHow,
    #[command(flatten)]
    by: By,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct MuteHow {
    /// Until this RFC 3339 time, in event time
    #[arg(long)]
    until: Option<String>,
    /// For so many windows more
    #[arg(long)]
    windows: Option<u32>,
    /// Until it gets worse
    #[arg(long)]
    until_worse: bool,
    /// End the quiet
    #[arg(long)]
    off: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "snake_case")]
enum LabelWord {
    Confirmed,
    Expected,
    FalseAlarm,
    NewNormal,
}

#[derive(Debug, Args)]
struct FeedbackArguments {
    /// The incident
    id: String,
    /// What it was
    #[arg(long, required_unless_present = "undo")]
    label: Option<LabelWord>,
    /// Why it happened, in a word
    #[arg(long)]
    cause: Option<String>,
    /// Anything else
    #[arg(long)]
    comment: Option<String>,
    /// How far it reaches: incident, series, slice, measure or monitor
    #[arg(long)]
    scope: Option<String>,
    /// Later alarms are silenced no more from this RFC 3339 time on
    #[arg(long)]
    expires_at: Option<String>,
    /// Change nothing: show what it would have silenced
    #[arg(long, conflicts_with = "undo")]
    preview: bool,
    /// Take the newest feedback about it back
    #[arg(long, conflicts_with = "label")]
    undo: bool,
    #[command(flatten)]
    by: By,
}

#[derive(Debug, Args)]
struct MissedArguments {
    /// The monitor
    #[arg(long)]
    monitor: String,
    /// The measure
    #[arg(long)]
    measure: String,
    /// A value of the slice, e.g. country=DE; may be repeated, everything if left out
    #[arg(long, value_parser = pair)]
    slice: Vec<(String, String)>,
    /// Start, RFC 3339
    #[arg(long)]
    from: String,
    /// End, RFC 3339
    #[arg(long)]
    to: String,
    /// `drop` or `rise`; that of the largest deviation if left out
    #[arg(long)]
    direction: Option<String>,
    /// Anything else
    #[arg(long)]
    comment: Option<String>,
    #[command(flatten)]
    by: By,
}

pub(super) async fn incidents(arguments: IncidentsArguments) -> anyhow::Result<()> {
    let client = arguments.service.client()?;
    let json = arguments.service.json;
    match arguments.command {
        IncidentsCommand::List(list) => self::list(&client, list, json).await,
        IncidentsCommand::Show { id } => {
            let incident = client.get(&of(&id, ""), &[]).await?;
            say(json, &incident, shown)
        }
        IncidentsCommand::Ack { id, by } => {
            let answer = client.post(&of(&id, "/acknowledge"), &json!({"by": by.by})).await?;
            say(json, &answer, done)
        }
        IncidentsCommand::Assign { id, to, by } => {
            let answer = client.post(&of(&id, "/assign"), &json!({"to": to, "by": by.by})).await?;
            say(json, &answer, done)
        }
        IncidentsCommand::Mute(MuteArguments { id, how, by }) => {
            let MuteHow { until, windows, until_worse, off } = how;
            let body = json!({"until": until, "windows": windows, "until_worse": until_worse, "off": off, "by": by.by});
            let answer = client.post(&of(&id, "/mute"), &body).await?;
            say(json, &answer, done)
        }
        IncidentsCommand::Note { id, text, by } => {
            let answer = client.post(&of(&id, "/note"), &json!({"text": text, "by": by.by})).await?;
            say(json, &answer, done)
        }
        IncidentsCommand::Feedback(feedback) => self::feedback(&client, feedback, json).await,
        IncidentsCommand::Missed(missed) => {
            let slice: Map<String, Value> =
                missed.slice.into_iter().map(|(name, value)| (name, value.into())).collect();
            let body = json!({
                "monitor": missed.monitor, "measure": missed.measure, "slice": slice, "from": missed.from,
                "to": missed.to, "direction": missed.direction, "comment": missed.comment, "by": missed.by.by,
            });
            let answer = client.post("/api/v1/missed", &body).await?;
            say(json, &answer, done)
        }
    }
}

async fn list(client: &Client, list: ListArguments, json: bool) -> anyhow::Result<()> {
    let slices: Vec<(String, String)> =
        list.slice.into_iter().map(|(name, value)| (format!("slice.{name}"), value)).collect();
    let mut query = vec![
        ("monitor", list.monitor),
        ("state", list.state),
        ("kind", list.kind),
        ("min_severity", list.min_severity.map(|severity| severity.to_string())),
        ("measure", list.measure),
        ("care", list.care),
        ("assigned_to", list.assigned_to),
        ("from", list.from),
        ("before", list.before),
        ("after", list.after),
        ("limit", Some(list.limit.to_string())),
    ];
    query.extend(slices.iter().map(|(name, value)| (name.as_str(), Some(value.clone()))));
    let answer = client.get("/api/v1/incidents", &query).await?;
    say(json, &answer, |answer| {
        for incident in answer["incidents"].as_array().into_iter().flatten() {
            output::line(row(incident));
        }
        if let Some(next) = answer["next"].as_str() {
            output::line(format!("more: --after {next}"));
        }
    })
}

async fn feedback(client: &Client, feedback: FeedbackArguments, json: bool) -> anyhow::Result<()> {
    let id = &feedback.id;
    if feedback.undo {
        let incident = client.get(&of(id, ""), &[]).await?;
        let said = incident["feedback"].as_array().into_iter().flatten();
        let newest = said.filter(|said| said["holds"] == true).find_map(|said| said["number"].as_u64());
        let number = newest
            .ok_or_else(|| Exit::Usage(format!("no feedback about `{id}` that could be taken back")))?;
        let monitor = encoded(incident["monitor"].as_str().unwrap_or_default());
        let path = format!("/api/v1/monitors/{monitor}/feedback/{number}/undo");
        let answer = client.post(&path, &json!({"by": feedback.by.by})).await?;
        return say(json, &answer, done);
    }
    let label = feedback.label.and_then(|label| Some(label.to_possible_value()?.get_name().to_owned()));
    let body = json!({
        "label": label, "cause": feedback.cause, "comment": feedback.comment, "scope": feedback.scope,
        "expires_at": feedback.expires_at, "by": feedback.by.by,
    });
    if feedback.preview {
        let answer = client.post(&of(id, "/feedback/preview"), &body).await?;
        return say(json, &answer, previewed);
    }
    let answer = client.post(&of(id, "/feedback"), &body).await?;
    say(json, &answer, done)
}

fn of(id: &str, what: &str) -> String {
    format!("/api/v1/incidents/{}{what}", encoded(id))
}

/// Prints an answer as JSON, or as people read it.
#[expect(clippy::unnecessary_wraps, reason = "ends each arm")]
fn say(json: bool, answer: &Value, show: impl FnOnce(&Value)) -> anyhow::Result<()> {
    if json {
        output::line(format!("{answer:#}"));
    } else {
        show(answer);
    }
    Ok(())
}

fn done(answer: &Value) {
    let what = text(&answer["what"]);
    let count = |key: &str| answer[key].as_u64().unwrap_or(0);
    let mut parts = vec![format!("done: {what} (number {})", count("number"))];
    for (key, happened) in
        [("num_series", "series heard of it"), ("num_unlearned", "series unlearned the range")]
    {
        if count(key) > 0 {
            parts.push(format!("{} {happened}", count(key)));
        }
    }
    output::line(parts.join("; "));
}

/// One line of a list.
fn row(incident: &Value) -> String {
    let severity = incident["severity"]["peak"].as_f64().unwrap_or(0.0);
    let notes = ["label", "acknowledged_by", "assigned_to"];
    let notes: Vec<&str> = notes.iter().filter_map(|key| incident[key].as_str()).collect();
    let notes = if notes.is_empty() { String::new() } else { format!("  [{}]", notes.join(", ")) };
    let (id, state, opened) = (text(&incident["id"]), text(&incident["state"]), text(&incident["opened_at"]));
    format!("{id:<16}  {state:<9}  {severity:>3.0}  {opened:<20}  {}{notes}", text(&incident["summary"]))
}

fn shown(incident: &Value) {
    output::line(row(incident));
    if let (Some(actual), Some(expected)) =
        (incident["revised"]["actual_before"].as_f64(), incident["revised"]["expected_before"].as_f64())
    {
        let (actual, expected) = (number(actual), number(expected));
        output::line(format!("  revised by late events; first told: {actual} instead of {expected}"));
    }
    for member in incident["members"].as_array().into_iter().flatten().take(10) {
        let severity = member["severity"]["peak"].as_f64().unwrap_or(0.0);
        output::line(format!("  {} {}  {severity:.0}", text(&member["measure"]), member["slice"]));
    }
    for step in incident["timeline"].as_array().into_iter().flatten() {
        let rest: Vec<&str> = ["by", "text"].iter().filter_map(|key| step[key].as_str()).collect();
        output::line(format!("  {}  {}  {}", text(&step["at"]), text(&step["what"]), rest.join(": ")));
    }
}

fn previewed(preview: &Value) {
    let count = |key: &str| preview[key].as_u64().unwrap_or(0);
    output::line(format!(
        "anomalous windows of {} series: {} without it, {} with it",
        count("num_series_looked_at"),
        count("windows_without"),
        count("windows_with")
    ));
    for (title, key) in [
        ("would be silenced", "silences"),
        ("would be smaller", "reduces"),
        ("CONFIRMED and lost", "must_not"),
    ] {
        for incident in preview[key].as_array().into_iter().flatten() {
            let label = incident["label"].as_str().map(|label| format!(" [{label}]")).unwrap_or_default();
            output::line(format!("{title}: {} {}{label}", text(&incident["id"]), text(&incident["summary"])));
        }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// `name=value`.
pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

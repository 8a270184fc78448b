//! The benchmark's scorer against a published total: NAB's windowed Gaussian, a detector small enough to write
//! down, has -24.0131 at threshold 1.0 (39.65 of 100) in the standard profile. Needs the benchmark's own files, which
//! are not part of this repository: `NAB_DATA=FOLDER cargo run -p tidewatch-datasets --example nab_gaussian`,
//! where FOLDER holds `windows.json` and the data files, flat. `make evaluate` runs it.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a check fails by panicking, and says so when it does not"
)]

use std::{collections::BTreeMap, fs, path::PathBuf};

use tidewatch_datasets::scoring::{NAB_PROFILES, NabFile, nab_best};

/// Published: raw total and threshold.
const GAUSSIAN: (f64, f64) = (-24.0131, 1.0);

fn main() {
    let folder = PathBuf::from(std::env::var_os("NAB_DATA").expect("NAB_DATA names a folder"));
    let text = fs::read(folder.join("windows.json")).unwrap();
    let windows: BTreeMap<String, Vec<(String, String)>> = serde_json::from_slice(&text).unwrap();
    let files: Vec<NabFile> = windows
        .iter()
        .map(|(name, spans)| {
            let text = fs::read_to_string(folder.join(name.rsplit('/').next().unwrap())).unwrap();
            let rows: Vec<(&str, f64)> = text
                .lines()
                .skip(1)
                .map(|line| line.split_once(',').unwrap())
                .map(|(time, value)| (time, value.parse().unwrap()))
                .collect();
            let row = |time: &str| rows.iter().position(|(at, _)| *at == &time[..19]).unwrap();
            let spans: Vec<_> = spans.iter().map(|(first, last)| (row(first), row(last))).collect();
            NabFile::new(&windowed_gaussian(rows.iter().map(|(_, value)| *value)), &spans)
        })
        .collect();
    let score = nab_best(&files, &NAB_PROFILES[0]);
    assert!((score.raw - GAUSSIAN.0).abs() < 5e-5, "{score:?}");
    assert!(score.threshold == GAUSSIAN.1 && (score.normalised - 39.65).abs() < 5e-3, "{score:?}");
    println!("the windowed Gaussian has its published total, {:.4}", score.raw);
}

/// The probability of a smaller deviation under a Gaussian of the last 6,400 values, moved on 100 at a time.
/// Published scores have twelve digits.
fn windowed_gaussian(values: impl Iterator<Item = f64>) -> Vec<f64> {
    const WINDOW: usize = 6_400;
    const STEP: usize = 100;
    let (mut window, mut waiting) = (Vec::new(), Vec::new());
    let (mut mean, mut deviation) = (0.0, 1.0);
    values
        .map(|value| {
            let z: f64 = (value - mean) / deviation;
            let score =
                if window.is_empty() { 0.0 } else { 1.0 - 0.5 * libm::erfc(z.abs() / 2.0_f64.sqrt()) };
            if window.len() < WINDOW {
                window.push(value);
                (mean, deviation) = moments(&window);
            } else {
                waiting.push(value);
                if waiting.len() == STEP {
                    window.drain(..STEP);
                    window.append(&mut waiting);
                    (mean, deviation) = moments(&window);
                }
            }
            (score * 1e12).round() / 1e12
        })
        .collect()
}

fn moments(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>() / count;
    (mean, if variance > 0.0 { variance.sqrt() } else { 1e-6 })
}

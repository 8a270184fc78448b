#!/usr/bin/env python3
"""Every set of the developer data through `tidewatch backtest`: raw events and ready-made series, with labels where there are any.

  evaluate_backtest.py DATA PROGRAM WORK OUT.md

A ready-made series is one measure, `level` of its value, in windows of its own step; the last half is judged at severity 70.
Incidents are what people see, so figures are not those of single rows. Needs pandas.
"""
import glob, json, os, subprocess, sys, tarfile

import pandas as pd

DATA, PROGRAM, WORK, OUT = sys.argv[1:5]
RETAIL = "docs/examples/online_retail.toml"
SERIES = """[sources.data]
kind = "file"
path = "x"
format = "{format}"
[monitors.shop]
source = "data"
timestamp = "{timestamp}"
timezone = "{zone}"
interval = "{seconds}s"
allowed_lateness = "{lateness}"
{dimensions}
[monitors.shop.measures]
{measures}
[monitors.shop.detector]
kind = "seasonal"
severity = 70
"""


def run(config, files, labels=None):
    found = f"{WORK}/found.json"
    command = [PROGRAM, "backtest", "--config", config, "--monitor", "shop", "--json", found, *files]
    if labels:
        command += ["--labels", labels, "--split", "0.5"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: {done.stderr}")
    return json.load(open(found))


def config(**keys):
    keys = dict(dict(format="csv", timestamp="timestamp", zone="UTC", lateness="1h", dimensions="",
                     measures='value = { level = "value" }'), **keys)
    path = f"{WORK}/config.toml"
    open(path, "w").write(SERIES.format(**keys))
    return path


def seconds(times):
    if pd.api.types.is_numeric_dtype(times):
        times = pd.to_datetime(times, unit="s")
    else:
        times = pd.to_datetime(times, utc=True, format="mixed")
    return int(times.sort_values().diff().median().total_seconds())


def series(path, zone, value="value", label="label", timestamp="timestamp", scale=1):
    """One file of one series; its labels, if it has a column of them."""
    rows = pd.read_csv(path)
    plain, labels = f"{WORK}/series.csv", None
    rows[[timestamp, value]].rename(columns={timestamp: "timestamp", value: "value"}).to_csv(plain, index=False)
    if label in rows and rows[label].sum() > 0:
        labels = f"{WORK}/labels.csv"
        rows[[timestamp, label]].set_axis(["timestamp", "label"], axis=1).to_csv(labels, index=False)
    return run(config(zone=zone, seconds=seconds(rows[timestamp]), lateness="1d"), [plain], labels)


def row(name, found):
    events = sum(one["summary"]["records_in"] for one in found)
    counted = sum(one["summary"]["counted"] for one in found)
    heard = sum(i["kind"] == "deviation" and i["severity"]["peak"] >= 70 for one in found for i in one["incidents"])
    judged = [one["judged"] for one in found if "judged" in one]
    labels, hits = sum(j["labels"] for j in judged), sum(j["found"] for j in judged)
    weeks, false = sum(j["weeks"] for j in judged), sum(j["false_incidents"] for j in judged)
    end = f"{labels} | {hits / labels:.2f} | {false / weeks:.2f}" if labels else "| | "
    return f"| {name} | {len(found)} | {events:,} | {events - counted:,} | {heard} | {end} |"


def labelled(name, zone):
    return [series(path, zone) for path in sorted(glob.glob(f"{DATA}/{name}/*.csv.gz"))]


def merlion():
    found = []
    for path in sorted(glob.glob(f"{DATA}/merlion_synthetic/*.csv.gz")):
        value = [c for c in pd.read_csv(path, nrows=1) if c not in ("timestamp", "anomaly")][0]
        found.append(series(path, "UTC", value=value, label="anomaly"))
    return found


def nab():
    archive = tarfile.open(f"{DATA}/NAB/nab_data_labels.tar.gz")
    windows = json.load(archive.extractfile("labels/combined_windows.json"))
    found = []
    for key, spans in windows.items():
        plain, labels = f"{WORK}/nab.csv", None
        open(plain, "wb").write(archive.extractfile(f"data/{key}").read())
        if spans:
            labels = f"{WORK}/nab.json"
            json.dump([{"start": a, "end": b} for a, b in spans], open(labels, "w"))
        step = seconds(pd.read_csv(plain).timestamp)
        found.append(run(config(seconds=step, lateness="1d"), [plain], labels))
    return found


def others():
    bike = config(timestamp="date_time", zone="America/New_York", seconds=3600, measures='users = { total = "users" }')
    yield "bike_sharing", [run(bike, [f"{DATA}/bike_sharing_hourly.csv.gz"])]
    cran = config(timestamp="date", seconds=86_400, dimensions='dimensions = { package = "package" }',
                  measures='downloads = { total = "count" }')
    # One package below the other: put in order of time, as a stream would have brought them.
    pd.read_csv(f"{DATA}/cran_downloads_daily.csv.gz").sort_values("date").to_csv(f"{WORK}/cran.csv", index=False)
    yield "cran_downloads", [run(cran, [f"{WORK}/cran.csv"])]
    peyton = config(timestamp="ds", seconds=86_400, measures='y = { level = "y" }')
    yield "peyton_manning", [run(peyton, [f"{DATA}/peyton_manning_daily_log_views.csv.gz"])]
    yield "online_retail (events)", [run(RETAIL, [f"{DATA}/online_retail.csv.gz"])]
    found = []
    for path in sorted(glob.glob(f"{DATA}/opensearch_samples/*.json.gz")):
        first = pd.read_json(path, lines=True, nrows=1)
        names = [c for c in first if c not in ("timestamp", "order_id", "status_code")]
        kind = "level" if "hostHealth" in path else "total"
        measures = "\n".join(f'"{name.lower()}" = {{ {kind} = "{name}" }}' for name in names)
        # Milliseconds of 1970 look like seconds of today.
        found.append(run(config(format="json", seconds=60, measures=measures, dimensions='timestamp_format = "ms"'), [path]))
    yield "opensearch_samples", found


os.makedirs(WORK, exist_ok=True)
lines = ["| Set | Files | Rows | Not counted | Incidents | Labels | Recall | False incidents a week |", "|---|---|---|---|---|---|---|---|"]
for name, zone in (("wsd", "Asia/Shanghai"), ("aiops", "Asia/Shanghai"), ("ms", "UTC")):
    lines.append(row(name, labelled(name, zone)))
lines += [row("merlion", merlion()), row("NAB", nab())]
lines += [row(name, found) for name, found in others()]
open(OUT, "w").write("\n".join(lines) + "\n")

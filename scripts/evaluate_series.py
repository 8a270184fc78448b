#!/usr/bin/env python3
"""Ready-made series without labels, and NAB's files, from a folder of developer data.

  evaluate_series.py DATA OUT

Writes OUT/<set>/<name>.csv with timestamp,value: services (wsd without labels), bike (with and without the hurricane and the
holidays), cran, peyton, nab-quiet, merlion, streams (one-minute sums and means of demo events); OUT/nab/*.csv and
OUT/nab/windows.json. Needs pandas.
"""
import glob, json, os, sys, tarfile

import numpy as np
import pandas as pd

DATA, OUT = sys.argv[1:3]
UNLABELLED = ("00", "02", "13", "14")
HURRICANE = ("2012-10-29 00:00:00", "2012-10-30 12:00:00")  # a filled gap in the source


def write(group, name, time, value):
    os.makedirs(f"{OUT}/{group}", exist_ok=True)
    pd.DataFrame({"timestamp": time, "value": value}).to_csv(f"{OUT}/{group}/{name}.csv", index=False)


def services():
    for path in sorted(glob.glob(f"{DATA}/wsd/*.csv.gz")):
        name = os.path.basename(path).split(".")[0]
        if name[-2:] in UNLABELLED:
            rows = pd.read_csv(path)
            write("services", name, rows.timestamp, rows.value)


def bike():
    rows = pd.read_csv(f"{DATA}/bike_sharing_hourly.csv.gz")
    write("bike", "bike", rows.date_time, rows.users)
    usual = ~rows.date_time.between(*HURRICANE) & (rows.holiday == 0)
    write("bike-usual", "bike", rows.date_time, rows.users.where(usual))


def daily():
    rows = pd.read_csv(f"{DATA}/cran_downloads_daily.csv.gz")
    for package, part in rows.groupby("package"):
        write("cran", package, part.date, part["count"])
    rows = pd.read_csv(f"{DATA}/peyton_manning_daily_log_views.csv.gz")
    write("peyton", "peyton", rows.ds, rows.y)


def nab():
    archive = tarfile.open(f"{DATA}/NAB/nab_data_labels.tar.gz")
    windows = json.load(archive.extractfile("labels/combined_windows.json"))
    for key, spans in windows.items():
        rows = pd.read_csv(archive.extractfile(f"data/{key}"))
        name = key.split("/")[1][:-4]
        write("nab", name, rows.timestamp, rows.value)
        if not spans:
            write("nab-quiet", name, rows.timestamp, rows.value)
    json.dump(windows, open(f"{OUT}/nab/windows.json", "w"))


def merlion():
    for name in ("horizontal", "seasonal", "upward_downward"):
        rows = pd.read_csv(f"{DATA}/merlion_synthetic/{name}.csv.gz")
        write("merlion", name, rows.timestamp.astype(int), rows[name])


def streams():
    for path in sorted(glob.glob(f"{DATA}/opensearch_samples/*.json.gz")):
        name = os.path.basename(path).split(".")[0]
        rows = pd.read_json(path, lines=True, dtype=False)
        minute = (rows.timestamp // 60_000) * 60
        columns = [c for c in rows if c not in ("timestamp", "order_id", "status_code")]
        if name == "hostHealth":
            table = rows.groupby(minute)[columns].mean()
        else:
            table = rows.groupby(minute)[columns].sum()
            if name == "ecommerce":
                table["orders"] = rows.groupby(minute).size()
            table = table.reindex(np.arange(table.index[0], table.index[-1] + 60, 60), fill_value=0)
        for column in table:
            write("streams", f"{name}-{column}", table.index, table[column])


for step in (services, bike, daily, nab, merlion, streams):
    step()

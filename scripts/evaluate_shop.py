#!/usr/bin/env python3
"""Seeded faults of the simulated shop through `backtest`: is each one incident, with the right slice and funnel step?

  evaluate_shop.py PROGRAM WORK OUT.md [--seeds 1-15] [--days 35] [--rate 500] [--faults 8] [--keep]

For each seed: `simulate` writes events, truth and a configuration into WORK, `backtest` lists incidents, the events are
deleted. An incident belongs to a fault when it is open inside it or opens within 30 minutes after it. Incidents that page
count (kind deviation, peak severity 70 or more, not merged into another). A fault that none pages for is *listed* when an
incident below that opened in it; those are then its incidents. One incident means exactly one. Slice and step are those of the
fault's longest incident: `slices` is the truth's slice alone; the step is the measure that the fault acts on (an
outage: the first step). Faults without an incident count as wrong.
"""
import argparse, collections, datetime, json, os, subprocess, time

GRACE = datetime.timedelta(minutes=30)
PAGE = 70
# Rules and constants of grouping were chosen while looking at the faults of the seeds up to this one.
LOOKED_AT = 4


def instant(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def run(program, work, seed, days, rate, faults, keep):
    folder = f"{work}/{seed}"
    found = f"{folder}/incidents.json"
    events = f"{folder}/events.ndjson.gz"
    if not (keep and os.path.exists(found) and not os.path.exists(events)):
        if not (keep and os.path.exists(events)):
            command = [program, "simulate", "--seed", str(seed), "--days", str(days), "--rate", str(rate)]
            subprocess.run(command + ["--faults", str(faults), "--out", folder], check=True, stdout=subprocess.DEVNULL)
        command = [program, "backtest", "--config", f"{folder}/config.toml", "--monitor", "shop", events, "--json", found]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if not keep:
            os.remove(events)
    return json.load(open(f"{folder}/truth.json")), json.load(open(found))["incidents"]


def judge(truth, incidents):
    whole = [i for i in incidents if not i.get("merged_into") and i["kind"] != "no_data"]
    is_page = lambda i: i["kind"] == "deviation" and i["severity"]["peak"] >= PAGE
    far = datetime.datetime.max.replace(tzinfo=datetime.timezone.utc)
    last = max([instant(i["until"]) for i in incidents], default=far)
    mine, taken = [], set()
    for fault in truth:
        start, end = instant(fault["start"]), instant(fault["end"])
        own = []
        for i in whole:
            opened, closed = instant(i["opened_at"]), instant(i["closed_at"]) if i["closed_at"] else last
            if opened < end + GRACE and closed > start and (is_page(i) or start - GRACE <= opened < end):
                own.append((min(closed, end) - max(opened, start), i["id"], i))
        pages = [one for one in own if is_page(one[2])]
        taken.update(one[1] for one in pages)
        own, best = pages or own, max(pages or own)[2] if own else None
        step = "views" if fault["measure"] == "*" else fault["measure"]
        mine.append({
            "kind": fault["kind"], "fault": fault, "pages": len(pages), "incidents": len(own), "best": best,
            "all": [one[1] for one in own], "slice": bool(best) and best["slices"] == [fault["slice"]],
            "step": bool(best) and (best.get("broken_step") or best["measure"]) == step,
        })
    return mine, [i for i in whole if is_page(i) and i["id"] not in taken]


def row(name, faults):
    count = len(faults)
    found = [one for one in faults if one["incidents"]]
    paged = [one for one in faults if one["pages"]]
    share = lambda some: f"{100 * len(some) / count:.0f} %" if count else ""
    one = [fault for fault in faults if fault["incidents"] == 1]
    one_page = [fault for fault in faults if fault["pages"] == 1]
    right = [[fault for fault in found if fault[what]] for what in ("slice", "step")]
    return f"| {name} | {count} | {share(paged)} | {share(found)} | {share(one_page)} | {share(one)} | {share(right[0])} | {share(right[1])} |"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program"), parser.add_argument("work"), parser.add_argument("out")
    parser.add_argument("--seeds", default="1-15")
    parser.add_argument("--days", type=int, default=35)
    parser.add_argument("--rate", type=float, default=500)
    parser.add_argument("--faults", type=float, default=8)
    parser.add_argument("--keep", action="store_true", help="keep the events, and use those that an earlier run kept")
    parser.add_argument("--verbose", action="store_true")
    arguments = parser.parse_args()
    low, high = map(int, arguments.seeds.split("-"))
    faults, others, began = [], 0, time.time()
    for seed in range(low, high + 1):
        a = arguments
        mine, false = judge(*run(a.program, a.work, seed, a.days, a.rate, a.faults, a.keep))
        for one in mine:
            one["seed"] = seed
        faults += mine
        others += len(false)
        for one in mine if arguments.verbose else []:
            if one["incidents"] != 1 or not one["slice"] or not one["step"]:
                f, b = one["fault"], one["best"] or {}
                print(seed, f["start"][5:16], f["end"][5:16], f["kind"], f["measure"], f["slice"], f["size"], "->", one["all"],
                      b.get("broken_step"), b.get("measure"), b.get("slices"), round(b.get("share", 0), 2), b.get("opened_at", "")[5:16])
    weeks = (high - low + 1) * arguments.days / 7
    lines = [
        "| Fault | Count | Paged | Paged or listed | Exactly one page | Exactly one incident | Right slice | Right first broken step |",
        "|---|---|---|---|---|---|---|---|",
    ]
    kinds = collections.Counter(one["kind"] for one in faults)
    lines += [row(kind, [one for one in faults if one["kind"] == kind]) for kind, _ in kinds.most_common()]
    lines.append(row("**all**", faults))
    unseen = [one for one in faults if one["seed"] > LOOKED_AT]
    if unseen and len(unseen) < len(faults):
        lines.append(row(f"of these, seeds after {LOOKED_AT}", unseen))
    lines.append("")
    lines.append(f"Incidents that belong to no fault: {others} in {weeks:.0f} weeks, of which two in each run are learning.")
    open(arguments.out, "w").write("\n".join(lines) + "\n")
    print("\n".join(lines), f"\n{time.time() - began:.0f} s")


main()

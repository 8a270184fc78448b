#!/usr/bin/env python3
"""Puts the tables of a work folder into docs/accuracy.md, and between the markers of detectors/README.md.

  evaluate_write.py WORK            all tables
  evaluate_write.py WORK --backtest only that about backtests, in docs/accuracy.md
  evaluate_write.py WORK --causes   only those about causes and incidents, in docs/accuracy.md
"""
import sys

WORK = sys.argv[1]
CAUSES_BEGIN, CAUSES_END = "<!-- causes: begin -->", "<!-- causes: end -->"
BACKTEST_BEGIN, BACKTEST_END = "<!-- backtest: begin -->", "<!-- backtest: end -->"
BEGIN, END = "<!-- make evaluate: begin -->", "<!-- make evaluate: end -->"


SHOP = "500 events a minute"


def part(name):
    return open(f"{WORK}/{name}.md").read().strip() + "\n"


CAUSES = "" if "--backtest" in sys.argv else f"""{CAUSES_BEGIN}

## Causes of labelled incidents

47 incidents of a video service with labelled causes (RobustSpot; per minute and combination of cdn, bitrate, p2p and in part
device, the ratio of failures; 4 to 16 minutes before each incident). `tidewatch locate` at its one default setting. *Exact* is
the very set of slices; F1 is over attribute values. The public implementations were measured elsewhere on these cases as
.30 and .77 (RobustSpot), .32 and .34 (AutoRoot), under .06 (Squeeze, RiskLoc) for the first answer and the first three.

{part("locate")}
Three constants were chosen on these cases. First answer and first three at other values of one of them: scatter 15 / **20** /
25 / 30: .81 .91 / .81 .98 / .79 .96 / .77 .96; cost of a value 2 / 3 / **4** / 5 / 6: .72 .96 / .79 .98 / .81 .98 / .83 .91 / .83 .91;
margin of a pair .10 / **.15** / .20: .81 .96 / .81 .98 / .83 .96. Borrowing 5 / 10 / **20** /
50 events: .81 .96 / .81 .98 / .81 .98 / .81 .98. These are the cases that all of it was chosen on, over some two hundred settings and several
forms of the score, with none held out: expect less on others. An early setting of this form (a quarter of the cost, a margin of .10, the whole not asked for) gave .74 .96.

## Faults of the simulated shop

Seeded faults through `tidewatch simulate` and `tidewatch backtest`, a shop of {SHOP} with its shipped configuration
(`scripts/evaluate_shop.py` says how it judges): drops and rises of views, carts or revenue, failing payments, slow checkouts,
outages and shifts that stay, on the whole shop, a country, a device or both. *Exactly one
page* is the strict figure. *Exactly one incident* takes, for a fault that nobody is paged for, the incidents listed below page
severity; that rule, and 70 as the page severity, were settled after first results (at 60, without it, 86 % on seeds 1 to 4). Constants of
grouping were chosen on seeds 1 to 4, those of when an incident is over on seeds 21 to 30, so the last row is the one to trust. What
alarms on the way back to normal belongs to its trouble and pages nobody.

{part("shop")}
{CAUSES_END}
"""

BACKTEST = "" if "--causes" in sys.argv else f"""{BACKTEST_BEGIN}

## Every set through a backtest

`tidewatch backtest` over each file (`scripts/evaluate_backtest.py`): the engine, its windows and its incidents instead of a bare
detector. The last half of each labelled file is judged at severity 70; an incident that covers several labels finds them all,
and one is false when it is near none. *Not counted* is refused or late.

{part("backtest")}
The scorers of `tidewatch judge` and the reference scorers (`scripts/evaluate_agree.py`) give the same figures to four digits on
the same scores; `make evaluate` fails otherwise.

{BACKTEST_END}
"""


def replace(begin, end, text_of_part):
    text = open("docs/accuracy.md").read()
    head, rest = text.split(begin) if begin in text else (text.rstrip() + "\n\n", end + "\n")
    with open("docs/accuracy.md", "w") as file:
        file.write(head + text_of_part.rstrip() + rest.split(end)[1])
    sys.exit()


if "--causes" in sys.argv:
    replace(CAUSES_BEGIN, CAUSES_END, CAUSES)
if "--backtest" in sys.argv:
    replace(BACKTEST_BEGIN, BACKTEST_END, BACKTEST)

TABLES = f"""## Labelled series

Severity 70, default settings, the second half of each series. A *segment* is a run of labelled points; it is found when
the severity reaches the threshold inside it or in a short grace after it (10 minutes for fine series, else 2 points). Alarms
elsewhere are false events; those less than an hour (or 3 points) apart count as one. *Over 4 a week* counts series
with two scored weeks or more. An alarm that never ends would be a single false event, so read the time in alarm
beside them; recall at 0.3 and 0.8 false events per week allows at most 2 % of it.

Labels are made by hand. Where wsd and aiops label the same measurements, one labelling judged by the other reaches an event
F1 of 0.87: values near that say nothing more about a detector.

{part("labelled")}
## Series on which nothing is known to be wrong

Everything after the warm-up, severity 70. The goal is 0.5 alarms a week. *bike-usual* leaves out holidays and a
hurricane; *streams* are demo streams made by a program.

{part("quiet")}
## Synthetic counts

Seeded series with a daily and a weekly rhythm (`tidewatch calibrate`). The intervals are for the Poisson error of the count.

{part("synthetic")}
{part("drills")}
## Numenta Anomaly Benchmark

The `alert` column, since the benchmark charges every row of an alarm. *Best* is the one threshold for all files that is best
on the labels, as its own leaderboard does; 70 was fixed before. Which files are gauges was declared by what they
measure. The scorer gives the published total of NAB's windowed Gaussian (-24.0131) to four digits.

{part("nab")}"""

with open("docs/accuracy.md", "w") as file:
    file.write(
        "# Accuracy\n\nWritten by `make evaluate`; do not edit. One default setting for everything. "
        f"The data is not part of this repository.\n\n{TABLES}\n{BACKTEST}\n{CAUSES}"
    )

path = "detectors/README.md"
text = open(path).read()
if BEGIN not in text:
    text = text.rstrip() + f"\n\n# Measured\n\n{BEGIN}\n{END}\n"
head, rest = text.split(BEGIN)
tail = rest.split(END)[1]
with open(path, "w") as file:
    file.write(f"{head}{BEGIN}\n\n{TABLES}\n{END}{tail}")

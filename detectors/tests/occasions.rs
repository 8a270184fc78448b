//! Occasions of the calendar: a holiday that nobody knows, the same one when it comes back, and the days around it.
//!
//! Series have Poisson noise around a daily and a weekly rhythm, at several rates and widths of a window. The
//! holiday is the Thursday of the seventh week and comes back three weeks later.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use support::{Chance, START};
use tidewatch_detectors::{
    DetectorConfig, Direction, HeldBack, LearnPolicy, Model, Observation, Occasion, Reason, Score,
    SeasonalConfig, ValueKind,
};

const DAY: i64 = 86_400;
const FIRST: i64 = 6 * 7 + 3;
const SECOND: i64 = FIRST + 21;
const PAGE: f64 = 70.0;
/// Rates in counts per minute, and widths in seconds.
const SHOPS: [(f64, u32); 6] =
    [(5.0, 300), (50.0, 300), (500.0, 300), (5.0, 3_600), (50.0, 3_600), (500.0, 3_600)];

/// A shop whose days the test goes through one by one.
struct Shop {
    model: Model,
    chance: Chance,
    rate: f64,
    width: i64,
    day: i64,
}

/// What one day showed.
#[derive(Debug, Default)]
struct Seen {
    /// Highest severity of the page and of the minor class.
    page: f64,
    minor: f64,
    scores: Vec<Score>,
    /// Sum of what was expected and of what came.
    expected: f64,
    came: f64,
}

impl Seen {
    fn quiet(&self) -> bool {
        self.page < PAGE && self.minor < PAGE
    }
}

/// Days after holidays, and those of them on which a minor change was seen.
#[derive(Default)]
struct After {
    days: u32,
    minor: u32,
}

impl After {
    fn ordinary_days(&mut self, shop: &mut Shop, days: i64, case: &str) {
        for _ in 0..days {
            let seen = shop.ordinary(shop.day + 1);
            assert!(seen.page < PAGE, "{case}, and then: {}", seen.page);
            self.days += 1;
            self.minor += u32::from(seen.minor >= PAGE);
        }
    }

    /// Minor changes are seen about once a week on any series.
    fn judge(&self) {
        assert!(self.minor <= self.days / 7, "{} of {} days", self.minor, self.days);
    }
}

fn named(class: u64) -> Occasion {
    Occasion { class, uplift: None }
}

fn start(width: u32) -> Model {
    DetectorConfig::Seasonal(SeasonalConfig::new(width, ValueKind::Count, Direction::Both).unwrap()).start()
}

impl Shop {
    fn new(rate: f64, width: u32, seed: u64) -> Self {
        Self { model: start(width), chance: Chance(seed), rate, width: i64::from(width), day: 0 }
    }

    /// Ordinary days up to day `until`.
    fn ordinary(&mut self, until: i64) -> Seen {
        let mut worst = Seen::default();
        while self.day < until {
            let seen = self.days(|_| 1.0, None);
            worst.page = worst.page.max(seen.page);
            worst.minor = worst.minor.max(seen.minor);
        }
        worst
    }

    fn usual(&self, hour: f64) -> f64 {
        let day = hour / 24.0;
        let weekend = if (self.day + 3) % 7 >= 5 { 0.8 } else { 1.0 };
        self.rate * self.width as f64 / 60.0 * (0.4 + 3.6 * day * (1.0 - day)) * weekend
    }

    /// The windows of the next day, with `factor` by the hour.
    fn windows(&mut self, factor: impl Fn(f64) -> f64, occasion: Option<Occasion>) -> Vec<Observation> {
        let mut windows = Vec::new();
        for window in 0..DAY / self.width {
            let hour = (window * self.width) as f64 / 3_600.0;
            let mean = self.usual(hour) * factor(hour);
            let count = if mean < 30.0 {
                self.chance.poisson(mean)
            } else {
                (mean + mean.sqrt() * self.chance.normal()).round().max(0.0)
            };
            let plain =
                Observation::new(START + self.day * DAY + window * self.width, count, count as u64).unwrap();
            windows.push(occasion.map_or(plain, |occasion| plain.with_occasion(occasion)));
        }
        self.day += 1;
        windows
    }

    fn days(&mut self, factor: impl Fn(f64) -> f64, occasion: Option<Occasion>) -> Seen {
        let windows = self.windows(factor, occasion);
        self.live(&windows)
    }

    fn live(&mut self, windows: &[Observation]) -> Seen {
        let mut seen = Seen::default();
        for observation in windows {
            let Some(score) = self.model.observe(observation, LearnPolicy::Learn) else { continue };
            seen.page = seen.page.max(score.severity());
            seen.minor = seen.minor.max(score.minor());
            seen.expected += score.expected;
            seen.came += observation.value();
            seen.scores.push(score);
        }
        seen
    }

    /// A shop that has just had its first holiday.
    fn after_first(rate: f64, width: u32, seed: u64, factor: f64) -> Self {
        let mut shop = Self::new(rate, width, seed);
        shop.ordinary(FIRST);
        shop.days(|_| factor, Some(named(7)));
        shop
    }

    /// A shop on the eve of its second holiday.
    fn before_second(rate: f64, width: u32, seed: u64, factor: f64) -> Self {
        let mut shop = Self::after_first(rate, width, seed, factor);
        shop.ordinary(SECOND);
        shop
    }
}

fn state(model: &Model, part: &str) -> serde_json::Value {
    serde_json::to_value(model).unwrap()["kind"]["seasonal"]["core"][part].clone()
}

#[test]
fn without_its_name_the_holiday_pages() {
    for (rate, width) in SHOPS {
        for factor in [4.0, 0.2] {
            let mut shop = Shop::new(rate, width, 1);
            shop.ordinary(FIRST);
            assert!(shop.days(|_| factor, None).page >= PAGE, "{rate} in {width} s, x{factor}");
        }
    }
}

#[test]
fn the_first_time_nothing_is_said_of_it_nor_of_its_edges() {
    let mut after = After::default();
    for (rate, width) in SHOPS {
        for factor in [4.0, 2.0, 0.2, 0.5] {
            let mut shop = Shop::new(rate, width, 2);
            let before = shop.ordinary(FIRST);
            let holiday = shop.days(|_| factor, Some(named(7)));
            let case = format!("{rate} in {width} s, x{factor}: {} {}", holiday.page, holiday.minor);
            assert!(before.page < PAGE, "{case}");
            assert!(holiday.quiet(), "{case}");
            let last = holiday.scores.last().unwrap();
            let ratio = last.expected / shop.usual(23.9) / factor;
            assert!((ratio - 1.0).abs() < 0.35, "it is followed: {ratio}, {case}");
            after.ordinary_days(&mut shop, 2, &case);
        }
    }
    after.judge();
}

#[test]
fn a_total_outage_pages_also_inside_an_occasion_nobody_knows() {
    for (rate, width) in SHOPS {
        for factor in [4.0, 1.0] {
            let mut shop = Shop::new(rate, width, 3);
            shop.ordinary(FIRST);
            let broken =
                shop.days(|hour| if (14.0..17.0).contains(&hour) { 0.0 } else { factor }, Some(named(7)));
            assert!(broken.page >= PAGE, "{rate} in {width} s, x{factor}: {}", broken.page);
        }
    }
    // A shop at a fifth of its traffic, where there is enough left to miss.
    for (rate, width) in [(50.0, 300), (500.0, 300), (50.0, 3_600)] {
        let mut shop = Shop::new(rate, width, 3);
        shop.ordinary(FIRST);
        let broken = shop.days(|hour| if (14.0..17.0).contains(&hour) { 0.0 } else { 0.2 }, Some(named(7)));
        assert!(broken.page >= PAGE, "{rate} in {width} s: {}", broken.page);
    }
}

#[test]
fn nobody_expects_thirty_times_the_usual() {
    for (rate, width) in SHOPS {
        let mut shop = Shop::new(rate, width, 4);
        shop.ordinary(FIRST);
        let wild = shop.days(|_| 30.0, Some(named(7)));
        assert!(wild.page >= PAGE, "{rate} in {width} s");
        assert!(wild.scores.iter().any(|score| score.reason == Reason::Occasion));
    }
}

#[test]
fn what_it_did_is_expected_the_next_time() {
    let mut after = After::default();
    for (rate, width) in SHOPS {
        for factor in [4.0, 2.0, 0.2] {
            for again in [0.8, 1.0, 1.2] {
                let mut shop = Shop::before_second(rate, width, 5, factor);
                let holiday = shop.days(|_| factor * again, Some(named(7)));
                let case = format!(
                    "{rate} in {width} s, x{factor} and then {again} of it: {} {}",
                    holiday.page, holiday.minor
                );
                assert!(holiday.quiet(), "{case}");
                let ratio = holiday.expected / holiday.came * again;
                assert!((ratio - 1.0).abs() < 0.15, "{ratio}, {case}");
                after.ordinary_days(&mut shop, 2, &case);
            }
        }
    }
    after.judge();
}

#[test]
fn half_of_its_usual_effect_pages() {
    let mut after = After::default();
    for (rate, width) in SHOPS {
        for (factor, now) in [(4.0, 2.0), (0.2, 0.6), (4.0, 1.0), (0.2, 1.0)] {
            let mut shop = Shop::before_second(rate, width, 6, factor);
            let holiday = shop.days(|_| now, Some(named(7)));
            assert!(holiday.page >= PAGE, "{rate} in {width} s, x{factor} and then x{now}: {}", holiday.page);
            after.ordinary_days(&mut shop, 2, "after half of it");
        }
    }
    after.judge();
}

#[test]
fn a_factor_that_somebody_knows_counts_the_first_time() {
    for (rate, width) in SHOPS {
        let known = Some(Occasion { class: 9, uplift: Some(4.0) });
        let mut shop = Shop::new(rate, width, 7);
        shop.ordinary(FIRST);
        let mut other = Shop { model: shop.model.clone(), chance: Chance(7), ..shop };
        let holiday = shop.days(|_| 4.0, known);
        assert!(holiday.quiet(), "{rate} in {width} s: {} {}", holiday.page, holiday.minor);
        assert!((holiday.expected / holiday.came - 1.0).abs() < 0.1, "{rate} in {width} s");
        assert!(other.days(|_| 2.0, known).page >= PAGE, "{rate} in {width} s: half of it");
    }
}

#[test]
fn its_own_shape_over_the_day_is_learned() {
    // An evening sale, on a day that is otherwise as usual.
    let evening = |hour: f64| if hour >= 19.0 { 4.0 } else { 1.0 };
    for (rate, width) in SHOPS {
        let mut shop = Shop::new(rate, width, 8);
        shop.ordinary(FIRST);
        shop.days(evening, Some(named(7)));
        shop.ordinary(SECOND);
        let holiday = shop.days(evening, Some(named(7)));
        assert!(holiday.page < PAGE, "{rate} in {width} s: {}", holiday.page);
        let expected = |hour: i64| holiday.scores[(hour * 3_600 / shop.width) as usize].expected;
        assert!(expected(22) > 2.0 * expected(2), "{rate} in {width} s");
    }
}

#[test]
fn nothing_of_it_enters_what_is_normal() {
    for (rate, width) in SHOPS {
        let mut shop = Shop::new(rate, width, 9);
        shop.ordinary(FIRST);
        let before = shop.model.clone();
        let holiday = shop.windows(|hour| if hour > 20.0 { 0.0 } else { 4.0 }, Some(named(7)));
        shop.live(&holiday);
        for part in ["baseline", "calibrations", "absolute", "sizes", "trackers"] {
            assert_eq!(state(&shop.model, part), state(&before, part), "{part}");
        }
        // A twin that was away on the holiday expects the same of every later window.
        let mut twin = Shop { model: before, chance: Chance(0), ..shop };
        for day in 0..2 {
            let windows = shop.windows(|_| 1.0, None);
            let (seen, other) = (shop.live(&windows), twin.live(&windows));
            assert!(seen.page < PAGE, "{rate} in {width} s: {}", seen.page);
            let first = |seen: &Seen| seen.scores[0].expected;
            assert!(day > 0 || first(&seen) == first(&other), "to the last bit");
            assert!((seen.expected / other.expected - 1.0).abs() < 0.01);
        }
    }
}

#[test]
fn a_restart_in_the_middle_leaves_no_trace() {
    let mut shop = Shop::after_first(50.0, 300, 10, 4.0);
    let mut kept = Shop::new(50.0, 300, 10);
    kept.ordinary(FIRST);
    let reload = |model: &Model| -> Model {
        let binary: Model = postcard::from_bytes(&postcard::to_allocvec(model).unwrap()).unwrap();
        let text: Model = serde_json::from_str(&serde_json::to_string(model).unwrap()).unwrap();
        assert_eq!(binary, text);
        binary
    };
    for (index, observation) in kept.windows(|_| 4.0, Some(named(7))).iter().enumerate() {
        if index % 50 == 20 {
            kept.model = reload(&kept.model);
        }
        kept.model.observe(observation, LearnPolicy::Learn);
    }
    assert_eq!(kept.model, shop.model);
    shop.ordinary(SECOND);
    let day = shop.windows(|_| 3.0, Some(named(7)));
    let mut restarted = reload(&shop.model);
    for (index, observation) in day.iter().enumerate() {
        if index % 70 == 30 {
            restarted = reload(&restarted);
        }
        let scores =
            [&mut restarted, &mut shop.model].map(|model| model.observe(observation, LearnPolicy::Learn));
        assert_eq!(scores[0], scores[1]);
    }
    assert_eq!(restarted, shop.model);
}

#[test]
fn a_held_occasion_teaches_nothing() {
    let mut shop = Shop::new(50.0, 300, 11);
    shop.ordinary(FIRST);
    for observation in shop.windows(|_| 4.0, Some(named(7))) {
        shop.model.observe(&observation, LearnPolicy::Hold);
    }
    shop.ordinary(SECOND);
    assert!(shop.days(|_| 2.0, Some(named(7))).page < PAGE, "as good as new, it is not half of anything");
}

#[test]
fn many_occasions_take_little_room_and_the_largest_effects_are_kept() {
    let mut shop = Shop::new(50.0, 3_600, 12);
    shop.ordinary(21);
    let plain = postcard::to_allocvec(&shop.model).unwrap().len();
    shop.days(|_| 6.0, Some(named(1_000)));
    for class in 0..60 {
        shop.days(|_| 1.5, Some(named(class)));
        shop.ordinary(shop.day + 1);
    }
    let full = postcard::to_allocvec(&shop.model).unwrap().len();
    assert!(full < plain + 700, "{plain} bytes, {full} with occasions");
    let again = shop.days(|_| 6.0, Some(named(1_000)));
    assert!((again.expected / again.came - 1.0).abs() < 0.2, "{} for {}", again.expected, again.came);
}

#[test]
fn an_occasion_that_is_new_says_so() {
    let mut shop = Shop::new(50.0, 3_600, 13);
    shop.ordinary(FIRST);
    let calm = |hour: f64| if hour < 12.0 { 1.0 } else { 6.0 };
    let mut said = false;
    for observation in shop.windows(calm, Some(named(7))) {
        let explanation = shop.model.explain(&observation).unwrap();
        let held = explanation.held_back.contains(&HeldBack::NewOccasion);
        assert!(!held || explanation.score.unwrap().severity() < PAGE);
        said |= held;
        shop.model.observe(&observation, LearnPolicy::Learn);
    }
    assert!(said);
}

#[test]
fn any_series_of_occasions_gives_finite_scores() {
    for kind in [ValueKind::Learned, ValueKind::Continuous, ValueKind::Amounts, ValueKind::Ratio] {
        let config = SeasonalConfig::new(3_600, kind, Direction::Both).unwrap();
        let (mut model, mut chance) = (DetectorConfig::Seasonal(config).start(), Chance(14));
        for hour in 0..3_000_i64 {
            let value = match (chance.uniform() * 8.0) as u32 {
                0 => 0.0,
                1 => 1e300,
                2 => -1e3,
                _ => 100.0 * chance.uniform(),
            };
            let mut observation = Observation::new(START + hour * 3_600, value, 1).unwrap();
            if hour % 48 < 20 || chance.uniform() < 0.05 {
                let uplift = [None, Some(3.0), Some(1e-300), Some(f64::MAX), Some(-1.0), Some(f64::NAN)];
                let class = (chance.uniform() * 40.0) as u64;
                observation =
                    observation.with_occasion(Occasion { class, uplift: uplift[(hour / 48 % 6) as usize] });
            }
            let Some(score) = model.observe(&observation, LearnPolicy::Learn) else { continue };
            assert!(score.lower <= score.expected && score.expected <= score.upper, "{hour}: {score:?}");
            assert!(score.page_log10_rate.is_finite() && score.minor_log10_rate.is_finite());
            assert!(score.upper.is_finite() && score.lower.is_finite());
        }
        assert!(model.learning().is_none());
    }
}

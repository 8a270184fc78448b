//! How much of a deviation each value of a dimension holds, in percent: 100 per dimension.

use std::collections::BTreeMap;

use super::Cube;

/// Values of a dimension that are told by name; the rest is one entry.
const NAMED_MAX: usize = 20;

/// The part of one value of a dimension.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Contribution {
    /// The value; `None` for all that are not named.
    pub value: Option<u32>,
    /// Whole percent.
    pub percent: u32,
}

/// Per dimension its values with what they hold of the deviation in the direction `sign`, largest first. They sum to 100.
/// Dimensions in which nothing deviates that way are left out.
pub fn contributions(cube: &Cube, sign: f64) -> BTreeMap<usize, Vec<Contribution>> {
    let mut all = BTreeMap::new();
    for level in &cube.levels {
        for (place, dimension) in level.dimensions.iter().enumerate() {
            let mut parts: BTreeMap<u32, f64> = BTreeMap::new();
            for (values, cell) in level.values.iter().zip(&level.cells) {
                *parts.entry(values[place]).or_default() += sign * cell.deviation();
            }
            let parts: Vec<(u32, f64)> = parts.into_iter().filter(|(_, part)| *part > 0.0).collect();
            if !parts.is_empty() {
                all.entry(*dimension).or_insert_with(|| percents(parts));
            }
        }
    }
    all
}

/// Whole percents by largest remainder, largest first.
fn percents(mut parts: Vec<(u32, f64)>) -> Vec<Contribution> {
    parts.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let mut named: Vec<(Option<u32>, f64)> =
        parts.iter().take(NAMED_MAX).map(|(value, part)| (Some(*value), *part)).collect();
    let rest: f64 = parts.iter().skip(NAMED_MAX).map(|(_, part)| part).sum();
    if rest > 0.0 {
        named.push((None, rest));
    }
    let whole: f64 = named.iter().map(|(_, part)| part).sum();
    let exact: Vec<f64> = named.iter().map(|(_, part)| 100.0 * part / whole).collect();
    let mut percents: Vec<u32> = exact.iter().map(|part| *part as u32).collect();
    let missing = 100_usize.saturating_sub(percents.iter().sum::<u32>() as usize);
    let mut by_remainder: Vec<usize> = (0..exact.len()).collect();
    by_remainder.sort_by(|a, b| exact[*b].fract().total_cmp(&exact[*a].fract()).then(a.cmp(b)));
    for index in by_remainder.into_iter().cycle().take(missing) {
        percents[index] += 1;
    }
    let told = named.into_iter().zip(percents).map(|((value, _), percent)| Contribution { value, percent });
    told.filter(|contribution| contribution.percent > 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percents_sum_to_a_hundred_whatever_the_parts() {
        let thirds = percents(vec![(1, 1.0), (2, 1.0), (3, 1.0)]);
        assert_eq!(thirds.iter().map(|part| part.percent).collect::<Vec<_>>(), [34, 33, 33]);
        let many = percents((0..30).map(|value| (value, f64::from(value + 1))).collect());
        assert_eq!(many.iter().map(|part| part.percent).sum::<u32>(), 100);
        assert_eq!(many.len(), 21);
        assert_eq!(many.last().unwrap().value, None);
    }
}

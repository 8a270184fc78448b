//! The slices that a level can tell apart, and which of them are siblings.

use std::collections::{BTreeMap, BTreeSet};

use super::Level;

/// The cells that share the values of some dimensions.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Group {
    /// The values.
    pub(super) key: Vec<u32>,
    /// The cells, by number.
    pub(super) cells: Vec<usize>,
}

/// How many values each dimension of the level has.
pub(super) fn sizes(level: &Level) -> Vec<usize> {
    let distinct =
        |place: usize| level.values.iter().map(|values| values[place]).collect::<BTreeSet<_>>().len();
    (0..level.dimensions.len()).map(distinct).collect()
}

/// Every choice of at most `most` of `count` places; the empty choice comes first.
pub(super) fn places(count: usize, most: usize) -> Vec<Vec<usize>> {
    let mut all: Vec<Vec<usize>> = vec![vec![]];
    let mut from = 0;
    for _ in 0..most.min(count) {
        let until = all.len();
        for index in from..until {
            let next = all[index].last().map_or(0, |last: &usize| *last + 1);
            for place in next..count {
                let mut longer = all[index].clone();
                longer.push(place);
                all.push(longer);
            }
        }
        from = until;
    }
    all
}

/// The groups of a level by the values at `places`, in order of their keys.
pub(super) fn group(level: &Level, places: &[usize]) -> Vec<Group> {
    let mut groups: BTreeMap<Vec<u32>, Vec<usize>> = BTreeMap::new();
    for (cell, values) in level.values.iter().enumerate() {
        groups.entry(places.iter().map(|place| values[*place]).collect()).or_default().push(cell);
    }
    groups.into_iter().map(|(key, cells)| Group { key, cells }).collect()
}

/// Pairs of groups that differ in one value, among the `most` with the highest gains; with the place of that value.
pub(super) fn siblings(groups: &[Group], gains: &[f64], most: usize) -> Vec<(usize, usize, usize)> {
    let mut best: Vec<usize> = (0..groups.len()).filter(|group| gains[*group] > 0.0).collect();
    best.sort_by(|a, b| gains[*b].total_cmp(&gains[*a]).then(a.cmp(b)));
    best.truncate(most);
    best.sort_unstable();
    let mut pairs = Vec::new();
    for (index, one) in best.iter().enumerate() {
        for two in &best[index + 1..] {
            let keys = groups[*one].key.iter().zip(&groups[*two].key).enumerate();
            let mut differing = keys.filter(|(_, (a, b))| a != b).map(|(place, _)| place);
            if let (Some(place), None) = (differing.next(), differing.next()) {
                pairs.push((*one, *two, place));
            }
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_choices_up_to_three_places() {
        let three = places(3, 3);
        assert_eq!(three.len(), 8);
        assert_eq!(three[0], Vec::<usize>::new());
        assert_eq!(places(5, 3).len(), 1 + 5 + 10 + 10);
    }

    #[test]
    fn siblings_differ_in_exactly_one_value() {
        let keys = [[0, 0], [0, 1], [1, 1], [2, 0]];
        let groups: Vec<Group> = keys.iter().map(|key| Group { key: key.to_vec(), cells: vec![] }).collect();
        assert_eq!(siblings(&groups, &[9.0, 8.0, 7.0, -1.0], 24), [(0, 1, 1), (1, 2, 0)]);
    }
}

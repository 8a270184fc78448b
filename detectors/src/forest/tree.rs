//! One random cut tree over a sample of points: built at once, asked many times.

use serde::{Deserialize, Serialize};

/// Dimensions of a point: the newest value and the three before it.
pub(super) const DIMENSIONS: usize = 4;
/// Points of a tree.
pub(super) const SAMPLE: usize = 64;

/// A shingle of the series.
pub(super) type Point = [f32; DIMENSIONS];

/// Seeded numbers whose sequence is fixed for ever (SplitMix64).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// In 0..1.
    pub(crate) fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / 9_007_199_254_740_992.0
    }

    /// In 0..limit; limit at least 1.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        ((self.uniform() * limit as f64) as usize).min(limit - 1)
    }
}

/// Nodes in pre-order; the left child of an inner node follows it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    points: u16,
}

/// The box around the points below, and how they are cut; a leaf has `right` 0.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Node {
    least: Point,
    most: Point,
    cut: f32,
    dimension: u8,
    right: u16,
}

impl Tree {
    /// A tree over `points`, cut at random: sides in proportion to their length, places evenly on them.
    pub(super) fn grow(points: &mut [Point], chance: &mut Chance) -> Self {
        let mut tree = Self { nodes: Vec::with_capacity(2 * points.len()), points: points.len() as u16 };
        if !points.is_empty() {
            tree.grow_node(points, chance);
        }
        tree
    }

    fn grow_node(&mut self, points: &mut [Point], chance: &mut Chance) -> usize {
        let (least, most) = points.iter().fold((points[0], points[0]), |(mut least, mut most), point| {
            for dimension in 0..DIMENSIONS {
                least[dimension] = least[dimension].min(point[dimension]);
                most[dimension] = most[dimension].max(point[dimension]);
            }
            (least, most)
        });
        let index = self.nodes.len();
        self.nodes.push(Node { least, most, cut: 0.0, dimension: 0, right: 0 });
        let span: f64 = (0..DIMENSIONS).map(|d| f64::from(most[d]) - f64::from(least[d])).sum();
        if points.len() < 2 || span <= 0.0 {
            return index;
        }
        let mut place = chance.uniform() * span;
        let mut dimension = 0;
        for candidate in 0..DIMENSIONS {
            let length = f64::from(most[candidate]) - f64::from(least[candidate]);
            if length > 0.0 {
                dimension = candidate;
                if place < length {
                    break;
                }
            }
            place -= length;
        }
        let cut = (f64::from(least[dimension]) + place.max(0.0)) as f32;
        // Rounding must not leave a side empty.
        let cut = if cut >= most[dimension] { least[dimension] } else { cut };
        let mut left = 0;
        for point in 0..points.len() {
            if points[point][dimension] <= cut {
                points.swap(point, left);
                left += 1;
            }
        }
        let (below, above) = points.split_at_mut(left);
        self.grow_node(below, chance);
        let right = self.grow_node(above, chance);
        let node = &mut self.nodes[index];
        (node.cut, node.dimension, node.right) = (cut, dimension as u8, right as u16);
        index
    }

    /// How early a random cut would part `point` from all others: the expected 1 / (1 + depth), times the
    /// logarithm of the number of points. 0 for an empty tree.
    pub(super) fn oddity(&self, point: &Point) -> f64 {
        let (mut index, mut depth, mut reach, mut oddity) = (0, 0.0, 1.0, 0.0);
        while let Some(node) = self.nodes.get(index) {
            let (mut outside, mut span) = (0.0, 0.0);
            for (dimension, value) in point.iter().enumerate() {
                let (least, most) = (f64::from(node.least[dimension]), f64::from(node.most[dimension]));
                let value = f64::from(*value);
                outside += (least - value).max(0.0) + (value - most).max(0.0);
                span += most - least;
            }
            let parted = if outside > 0.0 { outside / (outside + span) } else { 0.0 };
            oddity += reach * parted / (1.0 + depth);
            reach *= 1.0 - parted;
            if node.right == 0 || reach < 1e-6 {
                break;
            }
            index = if point[usize::from(node.dimension)] <= node.cut {
                index + 1
            } else {
                usize::from(node.right)
            };
            depth += 1.0;
        }
        // A point that nothing parts from a leaf counts as one step below it.
        oddity += reach * 0.5 / (1.0 + depth);
        if self.nodes.is_empty() { 0.0 } else { oddity * f64::from(self.points.max(2)).log2() }
    }
}

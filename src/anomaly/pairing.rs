//! Which incidents of one run are those of another: they overlap in time.

use super::Incident;

/// The pairs of `old` and `new` incidents that are the same, by index. Each has at most one partner; those that share
/// most time come first.
pub fn pair(old: &[&Incident], new: &[&Incident]) -> Vec<(usize, usize)> {
    let mut candidates = Vec::new();
    for (a, first) in old.iter().enumerate() {
        for (b, second) in new.iter().enumerate() {
            let shared = shared_millis(span(first), span(second));
            if shared > 0 {
                candidates.push((shared, a, b));
            }
        }
    }
    candidates.sort_by_key(|(shared, a, b)| (std::cmp::Reverse(*shared), *a, *b));
    let (mut is_old_taken, mut is_new_taken) = (vec![false; old.len()], vec![false; new.len()]);
    let mut pairs = Vec::new();
    for (_, a, b) in candidates {
        if !is_old_taken[a] && !is_new_taken[b] {
            (is_old_taken[a], is_new_taken[b]) = (true, true);
            pairs.push((a, b));
        }
    }
    pairs.sort_unstable();
    pairs
}

/// From its first anomalous window to the end of its last.
fn span(incident: &Incident) -> (i64, i64) {
    (incident.opened_millis, incident.until_millis)
}

fn shared_millis((a, b): (i64, i64), (c, d): (i64, i64)) -> i64 {
    (b.min(d) - a.max(c)).max(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::anomaly::IncidentKind;

    fn incident(from: i64, to: i64) -> Incident {
        let mut incident = Incident::open(String::new(), IncidentKind::Deviation, "shop", from);
        incident.until_millis = to;
        incident
    }

    #[test]
    fn each_has_one_partner_and_most_shared_time_wins() {
        let (old, new) = ([incident(0, 10), incident(20, 30)], [incident(2, 22), incident(22, 40)]);
        let (old, new): (Vec<_>, Vec<_>) = (old.iter().collect(), new.iter().collect());
        assert_eq!(pair(&old, &new), [(0, 0), (1, 1)]);
        assert_eq!(pair(&old[1..], &new), [(0, 1)]);
        assert_eq!(pair(&old[..1], &new[1..]), [], "touching nothing");
    }
}

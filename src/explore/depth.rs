//! Depth first through all schedules: those without a forced switch, then those with one, then
//! those with two.
//!
//! ```text
//!  level 0   an odometer over the free answers; each choice that has others too is kept
//!  level 1   each kept choice, with each of its other answers, and an odometer behind it
//!  level 2   ...
//! ```
//!
//! So no schedule is run twice, and the first that fails has the fewest forced switches. The bound
//! on forced switches is that of Musuvathi and Qadeer (2007).
use super::course::{Asked, Point};
use std::collections::HashMap;

/// More choices than this are not kept; the rest of the next level is then left out.
const KEPT_AT_MOST: usize = 1 << 22;

/// A choice, as the end of the way to it.
#[derive(Clone, Copy)]
struct Node {
    /// The choice before, and the answer there.
    parent: u32,
    answer: u32,
    /// Which of the `asked`.
    asked: u32,
}

const ROOT: u32 = u32::MAX;

/// Where the search is.
pub(super) struct Depth {
    /// Forced switches in the schedules of the present level, and at most.
    level: usize,
    limit: usize,
    /// Points of the path that are not turned any more: up to the last forced switch.
    fixed: usize,
    nodes: Vec<Node>,
    /// The nodes of the points in the path.
    on_path: Vec<u32>,
    /// Choices of the level before that have forced answers, and the one whose turn it is.
    kept: Vec<u32>,
    present: usize,
    /// Those of this level, for the next.
    next: Vec<u32>,
    asked: Vec<Asked>,
    numbers: HashMap<Asked, u32>,
    /// Something was left out.
    pruned: bool,
    overfull: Option<usize>,
    kept_at_most: usize,
    /// How much of all schedules was run, as far as can be told (Kilby, Slaney, Thiebaux and
    /// Walsh, 2006).
    weight: f64,
}

impl Depth {
    pub(super) fn new(limit: usize) -> Self {
        Depth {
            level: 0,
            limit,
            fixed: 0,
            nodes: Vec::new(),
            on_path: Vec::new(),
            kept: Vec::new(),
            present: 0,
            next: Vec::new(),
            asked: Vec::new(),
            numbers: HashMap::new(),
            pruned: false,
            overfull: None,
            kept_at_most: KEPT_AT_MOST,
            weight: 0.0,
        }
    }

    /// Forced switches in each schedule of the present level.
    pub(super) fn level(&self) -> usize {
        self.level
    }

    /// The first level of which too many points were met to keep them all: the next ones are not
    /// complete.
    pub(super) fn overfull(&self) -> Option<usize> {
        self.overfull
    }

    /// Whether schedules were left out.
    pub(super) fn has_pruned(&self) -> bool {
        self.pruned
    }

    /// About how many schedules there are, of which `done` were run.
    pub(super) fn estimate(&self, done: u64) -> f64 {
        done as f64 / self.weight
    }

    /// Takes note of the schedule that was run along `path`.
    pub(super) fn note(&mut self, path: &[Point]) {
        self.weigh(path);
        for (nth, point) in path.iter().enumerate().skip(self.on_path.len()) {
            let forced = point.asked.among > point.asked.free;
            let full = self.nodes.len() == self.kept_at_most;
            if self.level == self.limit || full {
                self.pruned |= forced;
                if forced && self.level < self.limit {
                    self.overfull.get_or_insert(self.level);
                }
                continue;
            }
            let (parent, answer) = match nth {
                0 => (ROOT, 0),
                nth => (self.on_path[nth - 1], path[nth - 1].answer),
            };
            let node = self.nodes.len() as u32;
            let asked = self.number(point.asked);
            self.nodes.push(Node {
                parent,
                answer,
                asked,
            });
            self.on_path.push(node);
            if forced {
                self.next.push(node);
            }
        }
    }

    fn number(&mut self, asked: Asked) -> u32 {
        *self.numbers.entry(asked).or_insert_with(|| {
            self.asked.push(asked);
            self.asked.len() as u32 - 1
        })
    }

    /// Each schedule counts by the chance that a blind walk would take it.
    fn weigh(&mut self, path: &[Point]) {
        let (mut forced, mut chance) = (0, 1.0);
        for point in path {
            let among = match forced < self.limit {
                true => point.asked.among,
                false => point.asked.free,
            };
            chance /= f64::from(among);
            forced += usize::from(point.is_forced());
        }
        self.weight += chance;
    }

    /// Turns `path` to the next schedule; false when there is none.
    pub(super) fn advance(&mut self, path: &mut Vec<Point>) -> bool {
        while path.len() > self.fixed
            && let Some(last) = path.last_mut()
        {
            if last.answer + 1 < last.asked.free {
                last.answer += 1;
                self.on_path.truncate(path.len());
                return true;
            }
            path.pop();
        }
        self.on_path.truncate(self.fixed);
        if let Some(last) = path.last_mut()
            && last.answer + 1 < last.asked.among
        {
            last.answer += 1;
            return true;
        }
        self.present += 1;
        if self.present >= self.kept.len() {
            if self.next.is_empty() {
                return false;
            }
            self.level += 1;
            self.present = 0;
            self.kept = std::mem::take(&mut self.next);
        }
        self.load(path);
        true
    }

    /// Makes `path` the way to the present kept choice, with the first of its forced answers.
    fn load(&mut self, path: &mut Vec<Point>) {
        path.clear();
        self.on_path.clear();
        let mut node = self.kept[self.present];
        let mut answer = self.asked[self.nodes[node as usize].asked as usize].free;
        while node != ROOT {
            let Node {
                parent,
                answer: before,
                asked,
            } = self.nodes[node as usize];
            path.push(Point {
                asked: self.asked[asked as usize],
                answer,
            });
            self.on_path.push(node);
            (node, answer) = (parent, before);
        }
        path.reverse();
        self.on_path.reverse();
        self.fixed = path.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheduler::policy::{Choice, Kind};
    use crate::scheduler::wait::{Wait, What};
    use std::panic::Location;

    /// Runs a program of three calls, before each of which another task may come; gives the number
    /// of schedules that were run.
    fn search(depth: &mut Depth) -> usize {
        let wait = Wait {
            what: What::Lock,
            at: Location::caller(),
        };
        let asked = Asked::of(&Choice {
            kind: Kind::Switch,
            among: 2,
            free: 1,
            tasks: &[],
            task: 1,
            wait,
        });
        let (mut path, mut schedules) = (Vec::new(), 0);
        loop {
            path.resize(3, Point { asked, answer: 0 });
            schedules += 1;
            depth.note(&path);
            if !depth.advance(&mut path) {
                return schedules;
            }
        }
    }

    #[test]
    fn every_way_through_is_taken_once() {
        let mut depth = Depth::new(usize::MAX);
        assert_eq!(search(&mut depth), 8);
        assert_eq!((depth.level(), depth.overfull()), (3, None));
        assert!(!depth.has_pruned());
    }

    #[test]
    fn a_level_whose_points_were_too_many_to_keep_is_told() {
        let mut depth = Depth::new(usize::MAX);
        depth.kept_at_most = 2;
        assert_eq!(search(&mut depth), 3);
        assert_eq!((depth.level(), depth.overfull()), (1, Some(0)));
        assert!(depth.has_pruned());
    }
}

//! The timers of one scheduler: a hierarchical timing wheel over plain nanoseconds.
//!
//! Nothing here reads a clock or wakes anybody: the caller says what time it is, and gets back
//! the owners of the timers that are due.
//!
//! ```text
//! level 0   64 slots of one tick (65.5 us)        the slot of `position` is the current one
//! level 1   64 slots of 64 ticks (4.2 ms)
//!   ...
//! level 7   64 slots of 9.1 years                 all of `u64` has its place, nothing is clamped
//! ```
//!
//! The wheel is that of Varghese and Lauck (1987): a timer lies in the level of the highest digit
//! (in base 64) in which its tick differs from `position`, and in the slot named by that digit.
//! So every slot of a level comes before every slot of the levels above, and the earliest timer
//! is in the first occupied slot of the first occupied level. When `position` enters a slot of a
//! higher level, its timers move to lower levels, at most once for each level.
//!
//! The tick only decides where a timer lies; deadlines are exact to the nanosecond. For that, a
//! slot is not a list but a pairing heap (Fredman, Sedgewick, Sleator and Tarjan, 1986) that is
//! put off until asked for: a forest whose roots are linked into one tree only when the earliest
//! deadline of the slot is wanted. Arming and disarming stay those of a list, and a slot that
//! holds 100,000 timers still tells its earliest one, time after time, without a scan.
//!
//! `position` never runs ahead of the time that the caller told last, so asking for the
//! next deadline moves nothing, and a timer armed before `position` is simply late: it goes to
//! the current slot.

use std::mem;

const TICK_BITS: u32 = 16;
const DIGIT_BITS: u32 = 6;
const SLOTS: usize = 1 << DIGIT_BITS;
/// As many digits as a tick has.
const LEVELS: usize = ((u64::BITS - TICK_BITS) / DIGIT_BITS) as usize;

/// The end of a list of nodes.
const NIL: u32 = u32::MAX;
/// The slot of a node that is in the free list.
const FREE: u16 = u16::MAX;

/// The armed timers, each with an owner that is handed out when the timer is due.
pub(crate) struct Timers<O> {
    /// The tick of the last time at which something was due.
    position: u64,
    /// No timer has a deadline before this one.
    earliest: u64,
    /// Whether a timer has the deadline `earliest`.
    earliest_is_exact: bool,
    /// Gives equal deadlines their order.
    next_sequence: u64,
    len: u32,
    first_free: u32,
    /// A bit for each slot that holds a timer.
    occupied: [u64; LEVELS],
    /// The first root of each slot.
    slots: [u32; LEVELS * SLOTS],
    nodes: Vec<Node<O>>,
}

/// Names an armed timer, from [`Timers::arm`] until it is disarmed or handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimerKey(u32);

/// A timer in a tree of its slot, or a free node. The trees keep the earlier timer above.
#[derive(Clone, Copy)]
struct Node<O> {
    deadline: u64,
    sequence: u64,
    owner: O,
    /// The sibling before; the parent of a first child; `NIL` for a first root.
    previous: u32,
    /// The sibling behind; of a free node, the next free one.
    next: u32,
    first_child: u32,
    slot: u16,
}

impl<O: Copy> Timers<O> {
    /// Allocates nothing.
    pub(crate) const fn new() -> Self {
        Self {
            position: 0,
            earliest: u64::MAX,
            earliest_is_exact: false,
            next_sequence: 0,
            len: 0,
            first_free: NIL,
            occupied: [0; LEVELS],
            slots: [NIL; LEVELS * SLOTS],
            nodes: Vec::new(),
        }
    }

    /// As new, but for the room for nodes.
    pub(super) fn restart(&mut self) {
        if self.next_sequence > 0 {
            let mut nodes = mem::take(&mut self.nodes);
            nodes.clear();
            *self = Self {
                nodes,
                ..Self::new()
            };
        }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Arms a timer; one with a deadline in the past is due at once.
    #[inline]
    pub(crate) fn arm(&mut self, deadline: u64, owner: O) -> TimerKey {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        let slot = self.slot_of(deadline);
        let node = Node {
            deadline,
            sequence,
            owner,
            previous: NIL,
            next: NIL,
            first_child: NIL,
            slot,
        };
        let index = self.first_free;
        let index = if index == NIL {
            self.grow(node)
        } else {
            let free = &mut self.nodes[index as usize];
            self.first_free = free.next;
            *free = node;
            index
        };
        self.push_root(slot, index);
        self.len += 1;
        if deadline <= self.earliest {
            self.earliest = deadline;
            self.earliest_is_exact = true;
        }
        TimerKey(index)
    }

    /// Takes an armed timer back.
    #[inline]
    pub(crate) fn disarm(&mut self, key: TimerKey) -> O {
        let index = key.0;
        let node = self.nodes[index as usize];
        debug_assert_ne!(
            node.slot, FREE,
            "a timer is disarmed only while it is armed"
        );
        self.unlink(index, &node);
        if node.first_child != NIL {
            self.push_roots(node.slot, node.first_child);
        }
        self.free(index);
        if node.deadline == self.earliest {
            self.earliest_is_exact = false;
        }
        node.owner
    }

    /// The earliest deadline. The answer is kept until the timer that gave it is gone.
    #[inline]
    pub(crate) fn next_deadline(&mut self) -> Option<u64> {
        if self.is_empty() {
            return None;
        }
        if !self.earliest_is_exact {
            self.find_earliest();
        }
        Some(self.earliest)
    }

    /// Removes the earliest timer if its deadline is not after `now`, and hands out its owner:
    /// in the order of the deadlines, and of arming where these are equal.
    ///
    /// One at a time, because what the owner does may disarm another timer that is due as well.
    #[inline]
    pub(crate) fn pop_due(&mut self, now: u64) -> Option<O> {
        if now < self.earliest || self.next_deadline()? > now {
            return None;
        }
        Some(self.pop_earliest(now))
    }

    #[cold]
    #[inline(never)]
    fn find_earliest(&mut self) {
        let level = self.occupied.iter().position(|&slots| slots != 0);
        let level = level.expect("an armed timer is in a slot");
        let slot = level * SLOTS + self.occupied[level].trailing_zeros() as usize;
        let root = self.link_roots(slot);
        self.earliest = self.nodes[root as usize].deadline;
        self.earliest_is_exact = true;
    }

    #[inline(never)]
    fn pop_earliest(&mut self, now: u64) -> O {
        self.advance(now);
        let root = self.link_roots(digit_of(self.position, 0));
        self.disarm(TimerKey(root))
    }

    /// Moves `position` to `now` and empties every slot that this passes or enters; so all the
    /// timers that are due come to lie in the current slot.
    fn advance(&mut self, now: u64) {
        // A clock that went back leaves the position alone: what is due lies in the current slot.
        let tick = (now >> TICK_BITS).max(self.position);
        let reached = level_of(tick ^ self.position);
        self.position = tick;
        for level in 0..=reached {
            let digit = digit_of(tick, level);
            let passed = match (level == reached, level) {
                (false, _) => u64::MAX,
                // The slot that `tick` names is the current one, and stays where it is.
                (true, 0) => (1 << digit) - 1,
                (true, _) => u64::MAX >> (SLOTS - 1 - digit),
            };
            let mut passed = passed & self.occupied[level];
            self.occupied[level] &= !passed;
            while passed != 0 {
                let slot = level * SLOTS + passed.trailing_zeros() as usize;
                passed &= passed - 1;
                let first = mem::replace(&mut self.slots[slot], NIL);
                self.place_all(first);
            }
        }
    }

    /// Finds a slot anew for each timer of trees that are in no slot any more.
    fn place_all(&mut self, first: u32) {
        let mut rest = first;
        while rest != NIL {
            let index = rest;
            let node = self.nodes[index as usize];
            rest = self.join(node.first_child, node.next);
            let slot = self.slot_of(node.deadline);
            let node = &mut self.nodes[index as usize];
            node.slot = slot;
            node.first_child = NIL;
            self.push_root(slot, index);
        }
    }

    #[inline]
    fn slot_of(&self, deadline: u64) -> u16 {
        let tick = (deadline >> TICK_BITS).max(self.position);
        let level = level_of(tick ^ self.position);
        (level * SLOTS + digit_of(tick, level)) as u16
    }

    #[inline]
    fn push_root(&mut self, slot: u16, index: u32) {
        let first = mem::replace(&mut self.slots[slot as usize], index);
        if first != NIL {
            self.nodes[first as usize].previous = index;
        }
        let node = &mut self.nodes[index as usize];
        node.previous = NIL;
        node.next = first;
        self.occupied[slot as usize / SLOTS] |= 1 << (slot as usize % SLOTS);
    }

    /// Makes roots of siblings whose parent is gone.
    fn push_roots(&mut self, slot: u16, first: u32) {
        let old = self.slots[slot as usize];
        self.join(first, old);
        self.nodes[first as usize].previous = NIL;
        self.slots[slot as usize] = first;
        self.occupied[slot as usize / SLOTS] |= 1 << (slot as usize % SLOTS);
    }

    /// Puts the siblings from `first` on before `rest`. The walk is paid for by the links that
    /// made them siblings: each link is undone at most once.
    fn join(&mut self, first: u32, rest: u32) -> u32 {
        if first == NIL {
            return rest;
        }
        let mut last = first;
        while self.nodes[last as usize].next != NIL {
            last = self.nodes[last as usize].next;
        }
        self.nodes[last as usize].next = rest;
        if rest != NIL {
            self.nodes[rest as usize].previous = last;
        }
        first
    }

    /// Takes a node, without its children, out of the list of its siblings.
    #[inline]
    fn unlink(&mut self, index: u32, node: &Node<O>) {
        if node.next != NIL {
            self.nodes[node.next as usize].previous = node.previous;
        }
        if node.previous == NIL {
            let slot = node.slot as usize;
            self.slots[slot] = node.next;
            if node.next == NIL {
                self.occupied[slot / SLOTS] &= !(1 << (slot % SLOTS));
            }
        } else {
            let previous = &mut self.nodes[node.previous as usize];
            if previous.next == index {
                previous.next = node.next;
            } else {
                previous.first_child = node.next;
            }
        }
    }

    /// Makes one tree of an occupied slot and returns its root, the earliest timer: links the
    /// roots in pairs, and then the pairs into one, beginning with the last.
    fn link_roots(&mut self, slot: usize) -> u32 {
        let mut rest = self.slots[slot];
        if self.nodes[rest as usize].next == NIL {
            return rest;
        }
        let mut pairs = NIL;
        while rest != NIL {
            let first = rest;
            let second = self.nodes[first as usize].next;
            let pair = if second == NIL {
                rest = NIL;
                first
            } else {
                rest = self.nodes[second as usize].next;
                self.link(first, second)
            };
            self.nodes[pair as usize].next = pairs;
            pairs = pair;
        }
        let mut root = pairs;
        pairs = self.nodes[root as usize].next;
        while pairs != NIL {
            let pair = pairs;
            pairs = self.nodes[pair as usize].next;
            root = self.link(root, pair);
        }
        let node = &mut self.nodes[root as usize];
        node.previous = NIL;
        node.next = NIL;
        self.slots[slot] = root;
        root
    }

    /// Makes the later of two roots the first child of the earlier one, which is returned; the
    /// caller links that one to its siblings.
    fn link(&mut self, left: u32, right: u32) -> u32 {
        let (parent, child) = if self.order_of(left) < self.order_of(right) {
            (left, right)
        } else {
            (right, left)
        };
        let sibling = mem::replace(&mut self.nodes[parent as usize].first_child, child);
        if sibling != NIL {
            self.nodes[sibling as usize].previous = child;
        }
        let node = &mut self.nodes[child as usize];
        node.previous = parent;
        node.next = sibling;
        parent
    }

    fn order_of(&self, index: u32) -> (u64, u64) {
        let node = &self.nodes[index as usize];
        (node.deadline, node.sequence)
    }

    #[cold]
    fn grow(&mut self, node: Node<O>) -> u32 {
        let index = u32::try_from(self.nodes.len()).ok();
        let index = index.filter(|&index| index != NIL);
        self.nodes.push(node);
        index.expect("fewer than 2^32 - 1 timers are armed at once")
    }

    #[inline]
    fn free(&mut self, index: u32) {
        let node = &mut self.nodes[index as usize];
        node.slot = FREE;
        node.next = mem::replace(&mut self.first_free, index);
        self.len -= 1;
        if self.len == 0 {
            self.earliest = u64::MAX;
            self.earliest_is_exact = false;
        }
    }
}

impl TimerKey {
    /// No timer.
    pub(crate) const NONE: Self = Self(NIL);
}

/// The level of the highest digit that is not zero.
#[inline]
fn level_of(difference: u64) -> usize {
    ((difference | 1).ilog2() / DIGIT_BITS) as usize
}

#[inline]
fn digit_of(tick: u64, level: usize) -> usize {
    (tick >> (DIGIT_BITS as usize * level)) as usize % SLOTS
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const YEAR: u64 = 365 * 86_400 * SECOND;

    fn expired(timers: &mut Timers<u64>, now: u64) -> Vec<u64> {
        std::iter::from_fn(|| timers.pop_due(now)).collect()
    }

    /// SplitMix64 (Steele, Lea and Flood, 2014).
    struct Random(u64);

    impl Random {
        fn next(&mut self) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ (mixed >> 31)
        }

        fn below(&mut self, limit: u64) -> u64 {
            self.next() % limit
        }

        /// As likely small as large: any number of bits below `limit`.
        fn of_any_size(&mut self, limit: u32) -> u64 {
            let bits = self.below(u64::from(limit)) as u32;
            self.next() & ((1 << bits) - 1)
        }
    }

    /// The same timers in an ordered map, and the two kept in step.
    struct Pair {
        timers: Timers<u64>,
        model: BTreeMap<(u64, u64), TimerKey>,
        sequence: u64,
    }

    impl Pair {
        fn arm(&mut self, deadline: u64) {
            let key = self.timers.arm(deadline, self.sequence);
            self.model.insert((deadline, self.sequence), key);
            self.sequence += 1;
        }

        fn disarm(&mut self, random: &mut Random) {
            let Some(&nth) = self.model.keys().nth(random.below(8) as usize) else {
                return;
            };
            let key = self.model.remove(&nth).expect("the model holds it");
            assert_eq!(self.timers.disarm(key), nth.1);
        }

        fn expire(&mut self, now: u64) {
            let later = match now.checked_add(1) {
                Some(next) => self.model.split_off(&(next, 0)),
                None => BTreeMap::new(),
            };
            let due = mem::replace(&mut self.model, later);
            let due: Vec<u64> = due.into_keys().map(|(_, owner)| owner).collect();
            assert_eq!(expired(&mut self.timers, now), due);
        }

        fn pop(&mut self, now: u64) {
            let first = self.model.first_entry();
            let due = first.filter(|first| first.key().0 <= now);
            let due = due.map(|first| first.remove_entry().0.1);
            assert_eq!(self.timers.pop_due(now), due);
        }

        fn check(&mut self) {
            let first = self.model.first_key_value();
            let deadline = first.map(|(&(deadline, _), _)| deadline);
            assert_eq!(self.timers.next_deadline(), deadline);
        }
    }

    /// `limit` bounds the bits of a step of time and of a timeout.
    fn follows_the_model(seed: u64, limit: u32, steps: usize) {
        let mut random = Random(seed);
        let mut now = random.of_any_size(limit);
        let mut pair = Pair {
            timers: Timers::new(),
            model: BTreeMap::new(),
            sequence: 0,
        };
        for _ in 0..steps {
            match random.below(16) {
                0..5 => pair.arm(now.saturating_add(random.of_any_size(limit))),
                5 => pair.arm(now.saturating_sub(random.of_any_size(limit))),
                6 => (0..random.below(50)).for_each(|_| pair.arm(now + 1000)),
                7..11 => pair.disarm(&mut random),
                11..13 => pair.check(),
                13 => pair.pop(now),
                14 => {
                    // Exactly one nanosecond too early, and then in time.
                    if let Some(deadline) = pair.timers.next_deadline()
                        && deadline > now
                    {
                        now = deadline - 1;
                        pair.expire(now);
                        pair.check();
                        now = deadline;
                        pair.expire(now);
                    }
                }
                _ => {
                    now = now.saturating_add(random.of_any_size(limit)) % (u64::MAX / 2);
                    pair.expire(now);
                }
            }
            assert_eq!(pair.timers.len as usize, pair.model.len());
            assert_eq!(pair.timers.is_empty(), pair.model.is_empty());
        }
        pair.check();
        pair.expire(u64::MAX);
        assert!(pair.timers.is_empty());
        assert!(pair.timers.slots.iter().all(|&first| first == NIL));
        assert_eq!(pair.timers.occupied, [0; LEVELS]);
    }

    #[test]
    fn random_operations_follow_an_ordered_map() {
        for seed in 0..60 {
            for limit in [4, 12, 18, 24, 34, 44, 58, 62] {
                follows_the_model(seed * 1000 + u64::from(limit), limit, 1500);
            }
        }
    }

    #[test]
    fn equal_deadlines_fire_in_the_order_of_arming() {
        let mut timers = Timers::new();
        let deadline = 3 * SECOND;
        (0..50).for_each(|owner| _ = timers.arm(deadline, owner));
        // The first fifty cascade, the rest are armed from nearby.
        assert_eq!(expired(&mut timers, SECOND), []);
        timers.arm(2 * SECOND, 1000);
        assert_eq!(expired(&mut timers, 2 * SECOND), [1000]);
        (50..100).for_each(|owner| _ = timers.arm(deadline, owner));
        assert_eq!(expired(&mut timers, deadline - 1), []);
        let all: Vec<u64> = (0..100).collect();
        assert_eq!(expired(&mut timers, deadline), all);
    }

    #[test]
    fn within_one_tick_deadlines_are_exact() {
        let mut timers = Timers::new();
        for owner in [7, 3, 9, 1] {
            timers.arm(owner, owner);
        }
        assert_eq!(timers.next_deadline(), Some(1));
        assert_eq!(expired(&mut timers, 0), []);
        assert_eq!(expired(&mut timers, 3), [1, 3]);
        assert_eq!(timers.next_deadline(), Some(7));
        assert_eq!(expired(&mut timers, 8), [7]);
        assert_eq!(expired(&mut timers, 9), [9]);
    }

    #[test]
    fn a_timer_that_is_due_can_be_disarmed_until_it_is_handed_out() {
        let mut timers = Timers::new();
        let keys = [SECOND, SECOND + 1, SECOND, SECOND].map(|at| timers.arm(at, at));
        assert_eq!(timers.pop_due(SECOND - 1), None);
        assert_eq!(timers.pop_due(2 * SECOND), Some(SECOND));
        assert_eq!(timers.disarm(keys[1]), SECOND + 1);
        assert_eq!(timers.disarm(keys[2]), SECOND);
        assert_eq!(timers.pop_due(2 * SECOND), Some(SECOND));
        assert_eq!(timers.pop_due(2 * SECOND), None);
        assert_eq!(timers.pop_due(u64::MAX), None);
    }

    #[test]
    fn a_deadline_in_the_past_is_due_at_once() {
        let mut timers = Timers::new();
        timers.arm(10 * SECOND, 0);
        assert_eq!(expired(&mut timers, 10 * SECOND), [0]);
        timers.arm(10 * SECOND + 5, 1);
        timers.arm(SECOND, 2);
        timers.arm(0, 3);
        assert_eq!(timers.next_deadline(), Some(0));
        assert_eq!(expired(&mut timers, 10 * SECOND), [3, 2]);
        assert_eq!(expired(&mut timers, 10 * SECOND + 5), [1]);
    }

    #[test]
    fn the_far_future_has_its_place() {
        let mut timers = Timers::new();
        timers.arm(u64::MAX, 0);
        timers.arm(u64::MAX - 1, 1);
        timers.arm(20 * YEAR, 2);
        let forgotten = timers.arm(u64::MAX, 3);
        assert_eq!(timers.next_deadline(), Some(20 * YEAR));
        assert_eq!(expired(&mut timers, 20 * YEAR - 1), []);
        assert_eq!(expired(&mut timers, 20 * YEAR), [2]);
        assert_eq!(timers.next_deadline(), Some(u64::MAX - 1));
        assert_eq!(expired(&mut timers, u64::MAX - 1), [1]);
        assert_eq!(timers.disarm(forgotten), 3);
        assert_eq!(timers.next_deadline(), Some(u64::MAX));
        assert_eq!(expired(&mut timers, u64::MAX), [0]);
        assert_eq!(timers.next_deadline(), None);
        timers.arm(1, 4);
        assert_eq!(expired(&mut timers, u64::MAX), [4]);
    }

    #[test]
    fn looking_ahead_does_not_delay_an_earlier_timer() {
        let mut timers = Timers::new();
        let late = timers.arm(YEAR, 0);
        assert_eq!(timers.next_deadline(), Some(YEAR));
        timers.arm(SECOND, 1);
        timers.arm(5, 2);
        assert_eq!(timers.next_deadline(), Some(5));
        assert_eq!(expired(&mut timers, 4), []);
        assert_eq!(expired(&mut timers, 5), [2]);
        assert_eq!(timers.next_deadline(), Some(SECOND));
        assert_eq!(timers.disarm(late), 0);
        assert_eq!(timers.next_deadline(), Some(SECOND));
        assert_eq!(expired(&mut timers, SECOND), [1]);
    }

    #[test]
    fn a_clock_that_goes_back_fires_nothing_early() {
        let mut timers = Timers::new();
        timers.arm(10 * SECOND, 0);
        assert_eq!(expired(&mut timers, 10 * SECOND), [0]);
        timers.arm(6 * SECOND, 1);
        timers.arm(5 * SECOND, 2);
        assert_eq!(expired(&mut timers, 4 * SECOND), []);
        assert_eq!(expired(&mut timers, 5 * SECOND), [2]);
        assert_eq!(timers.next_deadline(), Some(6 * SECOND));
        assert_eq!(expired(&mut timers, 6 * SECOND), [1]);
    }

    /// Each of these took minutes if one operation looked at all the timers of a slot.
    #[test]
    fn a_crowded_slot_is_not_scanned_by_every_operation() {
        const CROWD: u64 = 100_000;
        let mut timers = Timers::new();
        let arm_all = |timers: &mut Timers<u64>| -> Vec<TimerKey> {
            (0..CROWD).map(|owner| timers.arm(SECOND, owner)).collect()
        };
        // The earliest is disarmed again and again, and the next one asked for.
        for key in arm_all(&mut timers) {
            assert_eq!(timers.next_deadline(), Some(SECOND));
            timers.disarm(key);
        }
        // Timers come and go beside the crowd.
        let crowd = arm_all(&mut timers);
        for owner in 0..CROWD {
            let key = timers.arm(SECOND - 1, owner);
            assert_eq!(timers.next_deadline(), Some(SECOND - 1));
            timers.disarm(key);
            assert_eq!(timers.next_deadline(), Some(SECOND));
            assert_eq!(expired(&mut timers, owner), []);
        }
        crowd.into_iter().for_each(|key| _ = timers.disarm(key));
        // Time passes by the nanosecond within a crowded tick.
        let start = SECOND >> TICK_BITS << TICK_BITS;
        (0..CROWD).for_each(|owner| _ = timers.arm(start + owner / 4, owner));
        for step in 0..CROWD / 4 {
            assert_eq!(expired(&mut timers, start + step).len(), 4);
        }
        assert!(timers.is_empty());
    }

    #[test]
    fn nothing_grows_with_past_operations() {
        let mut timers = Timers::new();
        let mut now = 0;
        for round in 0..10_000 {
            let keys = [now + 5, now + SECOND, now + YEAR].map(|at| timers.arm(at, round));
            now += SECOND / 3;
            assert_eq!(expired(&mut timers, now), [round]);
            timers.disarm(keys[1]);
            timers.disarm(keys[2]);
        }
        assert!(timers.is_empty());
        assert_eq!(timers.nodes.len(), 3);
    }

    #[test]
    fn a_timer_is_small() {
        assert!(size_of::<Node<u64>>() <= 40);
        assert_eq!(size_of::<TimerKey>(), 4);
    }
}

//! The number of schedules of small programs: counted by hand, and by a model of the rules.
use maypole::explore::{Explorer, Shared, Switches, any};
use maypole::sync::Event;
use maypole::{scope, spawn, yield_now};

/// Schedules by their number of forced switches.
fn counted(switches: Switches, program: impl Fn()) -> Vec<u64> {
    let mut counts: Vec<u64> = Vec::new();
    loop {
        let explorer = Explorer::new().switches(switches).schedules(1_000_000);
        let outcome = explorer.forced(counts.len()).check(&program);
        assert!(outcome.failure.is_none(), "{outcome}");
        let before: u64 = counts.iter().sum();
        counts.push(outcome.schedules - before);
        if outcome.complete {
            return counts;
        }
    }
}

// ── by hand ──────────────────────────────────────────────────────────────────────────────────

#[test]
fn main_that_joins_its_child_or_lets_it_go_first() {
    let program = || spawn(|| ()).join().unwrap();
    assert_eq!(counted(Switches::Parking, program), [1, 1]);
}

#[test]
fn main_that_joins_two_children() {
    // main: joins a                 the child that runs on:
    //   goes on, parks              a ─► main, b ready: main joins b: goes on, parks ─► b     1
    //                                                   b first                        1 forced
    //                                    b first ─► main                                      1
    //                               b ─► a                                                    1
    //   a first (forced)            main, b ready: main: joins b: goes on, parks ─► b   1 forced
    //                                                            b first            2 forced
    //                               b ─► main                                       1 forced
    //   b first (forced)            main, a: main goes on with its join, parks ─► a  1 forced
    //                               a ─► main                                        1 forced
    let program = || {
        let (a, b) = (spawn(|| ()), spawn(|| ()));
        a.join().unwrap();
        b.join().unwrap();
    };
    assert_eq!(counted(Switches::Parking, program), [3, 5, 1]);
}

#[test]
fn two_tasks_that_yield_once() {
    // Main parks; a is first, and yields: b, a in line.
    //   b yields: a, b in line: a ends ─► b                                            1
    //                           b first, which has yielded later                       1 forced
    //   a first, which has yielded                                                     1 forced
    // Main gives way to a by a forced switch; a yields: b, main, a in line.
    //   b yields: main, a, b in line: main parks ─► a ─► b                             1 forced
    //   main parks: b, a in line: b yields ─► a ─► b                                   1 forced
    // And as many with b first. The rest has two forced switches and more.
    let program = || {
        scope(|s| {
            s.spawn(yield_now);
            s.spawn(yield_now);
        });
    };
    assert_eq!(counted(Switches::Parking, program)[..2], [2, 8]);
}

#[test]
fn numbers_multiply_and_are_free() {
    assert_eq!(
        counted(Switches::Parking, || assert!(any(4) * any(5) < 20)),
        [20]
    );
}

// ── by a model ───────────────────────────────────────────────────────────────────────────────

/// What a task of a scope does, one after the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Op {
    Yield,
    /// A call that may park and need not.
    Call,
    /// A call that never parks.
    Touch,
}

/// The rules, on plain lists: who waits in line, and who runs at which step.
#[derive(Clone)]
struct Model<'a> {
    scripts: &'a [&'a [Op]],
    everywhere: bool,
    /// Task 0 is main; it spawns the others and waits for them.
    line: Vec<(usize, bool)>,
    steps: Vec<usize>,
    running: usize,
    alive: usize,
    main_waits: bool,
    forced: usize,
}

/// Schedules by forced switches, of a main function that runs each script as a task of one scope.
fn model(scripts: &[&[Op]], everywhere: bool) -> Vec<u64> {
    let mut counts = Vec::new();
    let start = Model {
        scripts,
        everywhere,
        line: Vec::new(),
        steps: vec![0; scripts.len() + 1],
        running: 0,
        alive: scripts.len(),
        main_waits: false,
        forced: 0,
    };
    start.run(&mut counts);
    counts
}

impl Model<'_> {
    /// The running task is at its next operation: every way from here on.
    fn run(self, counts: &mut Vec<u64>) {
        if !self.asks() {
            return self.act(counts);
        }
        for place in 0..self.line.len() {
            let mut other = self.clone();
            let (next, _) = other.line.remove(place);
            other.line.push((other.running, false));
            other.running = next;
            other.forced += 1;
            // It was asked about its operation already.
            other.steps[self.running] |= ASKED;
            other.run(counts);
        }
        self.act(counts);
    }

    /// Whether another task may come before the operation.
    fn asks(&self) -> bool {
        let task = self.running;
        if self.steps[task] & ASKED != 0 {
            return false;
        }
        if task == 0 {
            // Each spawn is a touch; the wait at the end is a call.
            return self.everywhere || self.steps[0] == self.scripts.len();
        }
        match self.scripts[task - 1].get(self.steps[task]) {
            Some(Op::Call) => true,
            Some(Op::Touch) => self.everywhere,
            Some(Op::Yield) | None => false,
        }
    }

    fn act(mut self, counts: &mut Vec<u64>) {
        let task = self.running;
        self.steps[task] &= !ASKED;
        let step = self.steps[task];
        self.steps[task] += 1;
        if task == 0 {
            if step < self.scripts.len() {
                self.line.push((step + 1, false));
                return self.run(counts);
            }
            if self.alive == 0 {
                return self.end(counts);
            }
            self.main_waits = true;
            return self.turn(counts);
        }
        match self.scripts[task - 1].get(step) {
            Some(Op::Yield) => {
                self.line.push((task, true));
                self.turn(counts);
            }
            Some(Op::Call | Op::Touch) => self.run(counts),
            None => {
                self.alive -= 1;
                if self.alive == 0 && self.main_waits {
                    self.line.push((0, false));
                }
                self.turn(counts);
            }
        }
    }

    /// Nobody runs: every task in line may be next.
    fn turn(self, counts: &mut Vec<u64>) {
        for place in 0..self.line.len() {
            let mut other = self.clone();
            let (next, yielded) = other.line.remove(place);
            other.forced += usize::from(yielded && place > 0);
            other.running = next;
            if next == 0 && other.main_waits {
                other.end(counts);
            } else {
                other.run(counts);
            }
        }
    }

    fn end(self, counts: &mut Vec<u64>) {
        if counts.len() <= self.forced {
            counts.resize(self.forced + 1, 0);
        }
        counts[self.forced] += 1;
    }
}

/// Set in the step of a task that has given way before its operation.
const ASKED: usize = 1 << 32;

/// The program that the model is of.
fn program(scripts: &[&[Op]]) {
    let (open, cell) = (Event::new(), Shared::new(()));
    open.set();
    scope(|s| {
        for script in scripts {
            let (open, cell) = (&open, &cell);
            s.spawn(move || {
                for op in *script {
                    match op {
                        Op::Yield => yield_now(),
                        Op::Call => open.wait(),
                        Op::Touch => cell.set(()),
                    }
                }
            });
        }
    });
}

#[test]
fn the_counts_are_those_of_the_rules() {
    use Op::{Call, Touch, Yield};
    let programs: &[&[&[Op]]] = &[
        &[&[]],
        &[&[], &[]],
        &[&[], &[], &[]],
        &[&[Yield], &[]],
        &[&[Yield], &[Yield]],
        &[&[Yield, Yield], &[Yield]],
        &[&[Yield], &[Yield], &[Yield]],
        &[&[Call], &[]],
        &[&[Call], &[Call]],
        &[&[Call, Yield], &[Yield, Call]],
        &[&[Call], &[Call], &[]],
        &[&[Touch], &[Touch]],
        &[&[Touch, Touch], &[Touch, Touch]],
        &[&[Touch, Yield], &[Call]],
        &[&[Touch, Yield, Touch], &[Yield, Call, Yield]],
    ];
    for scripts in programs {
        for (switches, everywhere) in [(Switches::Parking, false), (Switches::Everywhere, true)] {
            assert_eq!(
                counted(switches, || program(scripts)),
                model(scripts, everywhere),
                "{scripts:?}, {switches:?}"
            );
        }
    }
}

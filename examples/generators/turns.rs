//! Steps 1 to 3: generators that take turns. A yield says "somebody else may go on", no more.
use maypole::generator::Generator;
use std::collections::VecDeque;

/// A generator with an id.
struct Task {
    id: usize,
    body: Generator<()>,
}

impl Task {
    /// Runs the task to its next yield; false when it has ended instead.
    fn run(&mut self) -> bool {
        self.body.next().is_some()
    }
}

pub fn step_1() {
    let mut task = Task {
        id: 1,
        body: Generator::new(|y| {
            println!("Part 1");
            y.yield_(());
            println!("Part 2");
            y.yield_(());
        }),
    };
    println!("Task {} is made, and nothing has run", task.id);
    task.run();
    println!("Between its parts anything may happen here");
    task.run();
}

/// A queue of tasks that are ready to run.
#[derive(Default)]
struct Scheduler {
    ready: VecDeque<Task>,
    last_id: usize,
}

impl Scheduler {
    fn spawn(&mut self, body: Generator<()>) {
        self.last_id += 1;
        self.ready.push_back(Task {
            id: self.last_id,
            body,
        });
    }

    /// Step 2: the first in the queue runs to its next yield and goes to the end of the queue.
    fn run_for(&mut self, turns: usize) {
        for _ in 0..turns {
            let mut task = self.ready.pop_front().expect("these tasks never end");
            task.run();
            self.ready.push_back(task);
        }
    }

    /// Step 3: a task that has ended leaves, and the loop ends with the last.
    fn run(&mut self) {
        while let Some(mut task) = self.ready.pop_front() {
            if task.run() {
                self.ready.push_back(task);
            } else {
                println!("Task {} terminated", task.id);
            }
        }
    }
}

pub fn step_2() {
    fn forever(line: &'static str) -> Generator<()> {
        Generator::new(move |y| {
            loop {
                println!("{line}");
                y.yield_(());
            }
        })
    }
    let mut scheduler = Scheduler::default();
    scheduler.spawn(forever("I'm foo"));
    scheduler.spawn(forever("I'm bar"));
    scheduler.run_for(6);
    // Both are in the middle of their loops. Dropping the scheduler closes them.
}

pub fn step_3() {
    fn times(count: usize, line: &'static str) -> Generator<()> {
        Generator::new(move |y| {
            for _ in 0..count {
                println!("{line}");
                y.yield_(());
            }
        })
    }
    let mut scheduler = Scheduler::default();
    scheduler.spawn(times(10, "I'm foo"));
    scheduler.spawn(times(5, "I'm bar"));
    scheduler.run();

    println!("# a task that returns at once does not stop the others");
    let mut scheduler = Scheduler::default();
    scheduler.spawn(times(2, "I'm foo"));
    scheduler.spawn(Generator::new(|_| println!("I return")));
    scheduler.spawn(times(2, "I'm bar"));
    scheduler.run();
}

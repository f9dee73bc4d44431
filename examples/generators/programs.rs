//! Steps 4 to 8: the programs that run on the scheduler with system calls.
use super::system::{
    Body, First, Scheduler, System, get_tid, kill_task, new_task, pass, wait_task,
};
use maypole::generator::Generator;

/// Runs `main`, and all that it starts, to the end.
fn run(first: First, main: impl FnOnce(&System) + 'static) {
    let mut scheduler = Scheduler::new(first);
    scheduler.spawn(Generator::new(main));
    scheduler.run();
}

pub fn step_4() {
    fn say(count: usize, name: &'static str) -> Body {
        Generator::new(move |system| {
            let id = get_tid(system);
            for _ in 0..count {
                println!("I'm {name} {id}");
                pass(system);
            }
        })
    }
    let mut scheduler = Scheduler::new(First::Child);
    scheduler.spawn(say(5, "foo"));
    scheduler.spawn(say(10, "bar"));
    scheduler.run();
}

pub fn step_5() {
    fn foo(system: &System) {
        let id = get_tid(system);
        loop {
            println!("I'm foo {id}");
            pass(system);
        }
    }
    run(First::Child, |system| {
        let child = new_task(system, Generator::new(foo));
        for _ in 0..5 {
            pass(system);
        }
        kill_task(system, child);
        println!("main done");
    });

    println!("# killing a task that does not exist");
    run(First::Child, |system| {
        println!("killed: {}", kill_task(system, 99));
    });
}

pub fn step_6() {
    fn foo(system: &System) {
        for _ in 0..5 {
            println!("I'm foo");
            pass(system);
        }
    }
    fn main(system: &System) {
        let child = new_task(system, Generator::new(foo));
        println!("Waiting for child");
        wait_task(system, child);
        println!("Child done");
    }
    println!("# the child first");
    run(First::Child, main);
    println!("# the parent first");
    run(First::Parent, main);

    println!("# waiting for a task that does not exist");
    run(First::Child, |system| {
        if !wait_task(system, 99) {
            println!("no such task");
        }
    });
}

/// In Python only the outermost function of a generator can yield, so calls between generators
/// need a trampoline: a loop that keeps the stack of callers by hand. A generator that has a stack
/// of its own needs nothing: a call is a call.
pub fn step_8() {
    /// A plain function, which yields from however deep it is called.
    fn add(system: &System, a: u32, b: u32) -> u32 {
        println!("adding {a} and {b}");
        pass(system);
        a + b
    }

    fn sum_to(system: &System, n: u32) -> u32 {
        match n {
            0 => 0,
            _ => {
                let rest = sum_to(system, n - 1);
                add(system, rest, n)
            }
        }
    }

    /// The same as a generator that another one runs: its calls pass through to the scheduler, and
    /// the answers back.
    fn adder(a: u32, b: u32) -> Body<u32> {
        Generator::new(move |system| add(system, a, b))
    }

    let mut scheduler = Scheduler::new(First::Child);
    scheduler.spawn(Generator::new(|system| {
        println!("a plain call: {}", sum_to(system, 3));
        println!("yield_from: {}", system.yield_from(adder(2, 2)));
    }));
    scheduler.spawn(Generator::new(|system| {
        for _ in 0..3 {
            println!("another task meanwhile");
            pass(system);
        }
    }));
    scheduler.run();
}

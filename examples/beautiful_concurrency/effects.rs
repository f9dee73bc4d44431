//! What the chapter begins with: effects, variables, and two tasks that come into each other's way.
use maypole::explore::Explorer;
use maypole::stm::{TVar, atomically};
use maypole::{run, scope, yield_now};
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::io::{self, BufRead, Write};

/// An action: it reads a line, says so, and returns it. In Haskell its type tells that it has
/// effects, `IO String`; in Rust only what it is given does.
fn echo_line(input: &mut impl BufRead, output: &mut impl Write) -> io::Result<String> {
    let mut line = String::new();
    input.read_line(&mut line)?;
    let line = line.trim_end().to_string();
    writeln!(output, "I just read: {line}")?;
    Ok(line)
}

pub fn echoes() {
    let mut input = "Merry Christmas\n".as_bytes();
    let line = echo_line(&mut input, &mut io::stdout()).expect("stdout can be written to");
    println!("it returned: {line}");
}

/// A variable that can be changed, Haskell's `IORef`: to add one is to read it and to write it. With
/// one task nothing can go wrong.
fn inc_ref(variable: &Cell<i32>) {
    let value = variable.get();
    variable.set(value + 1);
}

pub fn increments() {
    let variable = Cell::new(0);
    inc_ref(&variable);
    println!("{}", variable.get());
}

/// A second task, and nobody knows which of the two is first: `explore` tries both orders. Letters do
/// not mix, as in Haskell they may: a task hands over at blocking calls only.
pub fn forks() {
    let seen = RefCell::new(BTreeSet::new());
    let outcome = Explorer::new().check(|| {
        let printed = RefCell::new(String::new());
        scope(|s| {
            s.spawn(|| printed.borrow_mut().push_str("Hello"));
            s.spawn(|| printed.borrow_mut().push_str(" world"));
        });
        seen.borrow_mut().insert(printed.take());
    });
    println!("{outcome}");
    for printed in seen.take() {
        println!("{printed:?}");
    }
}

/// A variable, two tasks. In Haskell the second may come between the read and the write of the
/// first, and one of the increments is lost. Here it takes a yield in between, and `explore` shows
/// the steps. Without the yield the two are one piece in every order of turns; and what is in
/// `atomically` is one piece whatever is around it.
pub fn loses_an_update() {
    println!("# with a yield between the read and the write, in every order of turns");
    explore(|| from_two_tasks(inc_ref_in_two_pieces));
    println!("# the same, in a run");
    println!("{}", run(|| from_two_tasks(inc_ref_in_two_pieces)));
    println!("# without the yield");
    explore(|| from_two_tasks(inc_ref));
    println!("# with atomically, and a yield before it");
    explore(|| {
        let variable = TVar::new(0);
        let increment = || {
            yield_now(); // inside of it, it would panic
            atomically(|tx| {
                let value = variable.read(tx);
                variable.write(tx, value + 1);
                Ok(())
            });
        };
        scope(|s| {
            s.spawn(increment);
            s.spawn(increment);
        });
        variable.get()
    });
}

fn explore(two_increments: impl Fn() -> i32) {
    let outcome = Explorer::new().check(|| assert_eq!(two_increments(), 2, "an update is lost"));
    println!("{outcome}");
}

fn from_two_tasks(increment: fn(&Cell<i32>)) -> i32 {
    let variable = Cell::new(0);
    scope(|s| {
        s.spawn(|| increment(&variable));
        s.spawn(|| increment(&variable));
    });
    variable.get()
}

fn inc_ref_in_two_pieces(variable: &Cell<i32>) {
    let value = variable.get();
    yield_now();
    variable.set(value + 1);
}

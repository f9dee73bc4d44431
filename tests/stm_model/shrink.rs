//! Making a program smaller that fails.
use super::program::{Act, Block, Deed, Hook, Program, Step, Term};

/// A smaller program that fails too, after so many tries at most.
pub fn shrink(program: &Program, mut tries: usize, fails: impl Fn(&Program) -> bool) -> Program {
    let mut smallest = program.clone();
    loop {
        let (mut at, mut helped) = (0, false);
        loop {
            let mut smaller = smallest.clone();
            if !remove_one(&mut smaller, at) {
                break;
            }
            if tries == 0 {
                return smallest;
            }
            tries -= 1;
            match fails(&smaller) {
                true => (smallest, helped) = (smaller, true),
                false => at += 1,
            }
        }
        if !helped {
            return smallest;
        }
    }
}

/// Takes out the piece with this number; false if there are not so many.
fn remove_one(program: &mut Program, number: usize) -> bool {
    let mut left = number;
    remove_from(&mut program.tasks, &mut left, |acts, left| {
        remove_from(acts, left, within_act)
    }) || remove_from(&mut program.main, &mut left, within_act)
}

/// Takes out one of these, or a piece of one.
fn remove_from<T>(
    list: &mut Vec<T>,
    left: &mut usize,
    within: impl Fn(&mut T, &mut usize) -> bool,
) -> bool {
    for at in 0..list.len() {
        if *left == 0 {
            list.remove(at);
            return true;
        }
        *left -= 1;
        if within(&mut list[at], left) {
            return true;
        }
    }
    false
}

fn within_act(act: &mut Act, left: &mut usize) -> bool {
    match act {
        Act::Transact(block) | Act::Shield(_, block) => within_block(block, left),
        Act::Set(_, term) | Act::Make(_, term) => within_term(term, left),
        Act::Timeout(_, acts) => remove_from(acts, left, within_act),
        _ => false,
    }
}

fn within_block(block: &mut Block, left: &mut usize) -> bool {
    remove_from(block, left, within_step)
}

fn within_step(step: &mut Step, left: &mut usize) -> bool {
    match step {
        Step::Write(_, term)
        | Step::Update(_, term)
        | Step::Swap(_, term)
        | Step::State(_, term)
        | Step::Add(_, _, term)
        | Step::Make(_, term) => within_term(term, left),
        Step::If(_, _, block)
        | Step::Ignore(block)
        | Step::CatchUnwind(block)
        | Step::Beside(_, block) => within_block(block, left),
        Step::OrElse(first, second) | Step::Catch(first, second) => {
            within_block(first, left) || within_block(second, left)
        }
        Step::OnCommit(Hook { deed, .. }) => within_deed(deed, left),
        _ => false,
    }
}

fn within_term(term: &mut Term, left: &mut usize) -> bool {
    within_deed(&mut term.deed, left)
}

fn within_deed(deed: &mut Option<Deed>, left: &mut usize) -> bool {
    let Some(some) = deed else { return false };
    if *left == 0 {
        *deed = None;
        return true;
    }
    *left -= 1;
    match some {
        Deed::Transact(block) => within_block(block, left),
        _ => false,
    }
}

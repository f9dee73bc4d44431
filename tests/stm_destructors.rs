//! Values that transactions replace: each is dropped once, outside, whatever its destructor does.
#![allow(
    clippy::unit_arg,
    reason = "a transaction of one step reads best in one line"
)]
mod steps;

use maypole::stm::{Stop, TVar, Transaction, abort, atomically, check, retry, try_atomically};
use maypole::{run, sleep, spawn, task, yield_now};
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use steps::{Log, is_on_its_own, message_of, ms, on_its_own, on_virtual_time};

/// Counts the values that are made and dropped.
#[derive(Clone, Default)]
struct Census(Rc<RefCell<Vec<u32>>>);

/// One value: a second drop of it would be found.
struct Counted(Census, usize);

impl Census {
    fn make(&self) -> Counted {
        self.0.borrow_mut().push(0);
        Counted(self.clone(), self.0.borrow().len() - 1)
    }

    /// How many are alive; each of the others was dropped exactly once.
    fn alive(&self) -> usize {
        let drops = self.0.borrow();
        assert!(drops.iter().all(|count| *count <= 1), "{drops:?}");
        drops.iter().filter(|count| **count == 0).count()
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.borrow_mut()[self.1] += 1;
    }
}

/// Acts when it is dropped, if there is anything to do.
struct Acts(Option<Rc<dyn Fn()>>);

impl Acts {
    fn nothing() -> Self {
        Acts(None)
    }

    fn by(act: impl Fn() + 'static) -> Self {
        Acts(Some(Rc::new(act)))
    }
}

impl Drop for Acts {
    fn drop(&mut self) {
        if let Some(act) = self.0.take() {
            act();
        }
    }
}

#[test]
fn an_old_value_is_dropped_after_the_transaction() {
    let log = Log::new();
    let variable = TVar::new(log.on_drop("old"));
    atomically(|tx| {
        variable.write(tx, log.on_drop("middle"));
        variable.write(tx, log.on_drop("new"));
        log.add("end");
        Ok(())
    });
    let mut steps = log.steps();
    assert_eq!(steps.remove(0), "end");
    steps.sort();
    assert_eq!(steps, ["middle", "old"]);
    drop(variable);
    assert_eq!(log.steps().last().unwrap(), "new");
}

#[test]
fn what_was_written_in_vain_is_dropped_after_the_transaction() {
    let log = Log::new();
    let variable = TVar::new(log.on_drop("old"));
    let result: Result<(), ()> = try_atomically(|tx| {
        variable.write(tx, log.on_drop("new"));
        log.add("end");
        abort(())
    });
    assert_eq!((result, log.text().as_str()), (Err(()), "end new"));
    drop(variable);
    assert_eq!(log.text(), "end new old");
}

#[test]
fn set_drops_what_was_there_when_it_is_gone() {
    let seen = Rc::new(Cell::new(0));
    let variable = TVar::new((0, Acts::nothing()));
    let (own, found) = (variable.clone(), seen.clone());
    let look = move || found.set(atomically(|tx| Ok(own.with(tx, |value| value.0))));
    variable.set((1, Acts::by(look)));
    variable.set((2, Acts::nothing()));
    assert_eq!(seen.get(), 2);
}

/// Writes new values in every shape of arms, as `chance` says.
fn write_at_random(
    tx: &Transaction,
    variables: &[TVar<Counted>],
    census: &Census,
    chance: &mut impl FnMut(usize) -> usize,
    depth: usize,
) -> Result<(), Stop<()>> {
    for _ in 0..chance(5) {
        let variable = &variables[chance(variables.len())];
        match (chance(6), depth) {
            (0, 1..) => {
                let mut arm = |tx: &Transaction| {
                    write_at_random(tx, variables, census, &mut *chance, depth - 1)
                };
                tx.or_else(&mut arm, |_| Ok(()))?;
            }
            (1, 1..) => {
                let mut arm = |tx: &Transaction| {
                    write_at_random(tx, variables, census, &mut *chance, depth - 1)
                };
                tx.catch(&mut arm, |tx, ()| {
                    variable.write(tx, census.make());
                    Ok::<_, Stop<()>>(())
                })?;
            }
            (2, _) => variable.with(tx, |_| ()),
            _ => variable.write(tx, census.make()),
        }
    }
    match chance(8) {
        0 => retry(),
        1 => abort(()),
        2 if depth > 0 => resume_unwind(Box::new("by chance")),
        _ => Ok(()),
    }
}

#[test]
fn every_value_is_dropped_once_however_arms_are_nested() {
    let mut state = 1_u64;
    let mut chance = |n: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as usize % n
    };
    let mut outcomes = [0; 3];
    for _ in 0..3000 {
        let census = Census::default();
        let variables: Vec<_> = (0..3).map(|_| TVar::new(census.make())).collect();
        let ended = catch_unwind(AssertUnwindSafe(|| {
            try_atomically(|tx| {
                match write_at_random(tx, &variables, &census, &mut chance, 3) {
                    // Nobody could wake it here.
                    Err(Stop::Retry) => abort(()),
                    other => other,
                }
            })
        }));
        let outcome = match ended {
            Ok(Ok(())) => 0,
            Ok(Err(())) => 1,
            Err(_) => 2,
        };
        outcomes[outcome] += 1;
        assert_eq!(census.alive(), 3);
        if outcome > 0 {
            // The first three are there again.
            assert!(census.0.borrow()[..3].iter().all(|drops| *drops == 0));
        }
        drop(variables);
        assert_eq!(census.alive(), 0);
    }
    assert!(outcomes.iter().all(|count| *count > 100), "{outcomes:?}");
}

#[test]
fn values_of_transactions_that_waited_are_dropped_once_for_each_run() {
    run(|| {
        let (census, level) = (Census::default(), TVar::new(0));
        let variable = TVar::new(census.make());
        let (read, own, makes) = (level.clone(), variable.clone(), census.clone());
        let task = spawn(move || {
            atomically(|tx| {
                own.write(tx, makes.make());
                check(read.read(tx) == 3)
            })
        });
        for n in 0..=3 {
            yield_now();
            assert_eq!(census.alive(), 1);
            level.set(n);
        }
        task.join().unwrap();
        assert_eq!(census.alive(), 1);
    });
}

#[test]
fn a_waiting_transaction_keeps_its_variables_and_nothing_else() {
    run(|| {
        let (census, log) = (Census::default(), Log::new());
        let (kept, makes) = (log.on_drop("the variable"), census.clone());
        let task = spawn(move || {
            let own = TVar::new(makes.make());
            let variable = TVar::new(kept);
            atomically(|tx| {
                own.write(tx, makes.make());
                variable.with(tx, |_| ());
                retry::<(), _>()
            })
        });
        yield_now();
        assert_eq!((census.alive(), log.text().as_str()), (1, ""));
        task.kill("it would wait for ever");
        assert!(task.join().is_err());
        assert_eq!((census.alive(), log.text().as_str()), (0, "the variable"));
    });
}

#[test]
fn a_destructor_may_run_transactions_on_the_same_variable() {
    let (variable, count) = (TVar::new(Acts::nothing()), TVar::new(0));
    let (own, counted) = (variable.clone(), count.clone());
    variable.set(Acts::by(move || {
        let counts = counted.clone();
        atomically(|tx| {
            counts.update(tx, |n| n + 1);
            let again = counts.clone();
            own.write(tx, Acts::by(move || again.set(again.get() + 10)));
            Ok(())
        });
    }));
    atomically(|tx| {
        variable.write(tx, Acts::nothing());
        count.write(tx, 100);
        Ok(())
    });
    assert_eq!(count.get(), 101);
    atomically(|tx| Ok(variable.write(tx, Acts::nothing())));
    assert_eq!(count.get(), 111);
}

#[test]
fn destructors_of_several_values_may_write_to_each_others_variables() {
    let variables: Rc<Vec<TVar<Acts>>> =
        Rc::new((0..4).map(|_| TVar::new(Acts::nothing())).collect());
    let log = Log::new();
    for n in 0..4 {
        let (theirs, log) = (Rc::downgrade(&variables), log.clone());
        variables[n].set(Acts::by(move || {
            let (others, last) = (theirs.upgrade().unwrap(), log.clone());
            atomically(|tx| {
                for (index, other) in others.iter().enumerate() {
                    let last = last.clone();
                    other.write(tx, Acts::by(move || last.add(format!("{n}{index}"))));
                }
                Ok(())
            });
        }));
    }
    let result: Result<(), ()> = try_atomically(|tx| {
        variables
            .iter()
            .for_each(|it| it.write(tx, Acts::nothing()));
        abort(())
    });
    assert_eq!((result, log.text().as_str()), (Err(()), ""));
    atomically(|tx| {
        Ok(variables
            .iter()
            .for_each(|it| it.write(tx, Acts::nothing())))
    });
    drop(variables);
    // Four destructors wrote four values each, and each value was dropped once.
    let mut steps = log.steps();
    steps.sort();
    let all: Vec<_> = (0..16).map(|n| format!("{}{}", n / 4, n % 4)).collect();
    assert_eq!(steps, all);
}

#[test]
fn a_destructor_may_park_while_others_run_transactions() {
    on_virtual_time(|| {
        let (variable, count, log) = (TVar::new(Acts::nothing()), TVar::new(0), Log::new());
        let (own, counted, steps) = (variable.clone(), count.clone(), log.clone());
        let task = spawn(move || {
            atomically(|tx| {
                let steps = steps.clone();
                own.write(
                    tx,
                    Acts::by(move || {
                        sleep(ms(10));
                        steps.add("first gone");
                    }),
                );
                Ok(())
            });
            atomically(|tx| {
                own.write(tx, Acts::nothing());
                counted.update(tx, |n| n + 1);
                Ok(())
            });
            steps.add("through");
        });
        yield_now();
        // The transaction is over, its destructor is not.
        assert_eq!((count.get(), log.text().as_str()), (1, ""));
        for _ in 0..5 {
            atomically(|tx| {
                variable.write(tx, Acts::nothing());
                count.update(tx, |n| n + 10);
                Ok(())
            });
            sleep(ms(1));
        }
        task.join().unwrap();
        assert_eq!(
            (count.get(), log.text().as_str()),
            (51, "first gone through")
        );
    });
}

#[test]
fn the_first_of_several_panicking_destructors_comes_out_and_none_is_left_out() {
    let log = Log::new();
    let variables: Vec<TVar<Acts>> = (0..5)
        .map(|n| {
            let log = log.clone();
            TVar::new(Acts::by(move || {
                log.add(n);
                assert!(n != 1 && n != 3, "destructor {n}");
            }))
        })
        .collect();
    let written = TVar::new(0);
    let message = message_of(|| {
        atomically(|tx| {
            written.write(tx, 1);
            variables
                .iter()
                .for_each(|it| it.write(tx, Acts::nothing()));
            Ok(())
        })
    });
    assert_eq!((message.as_str(), written.get()), ("destructor 1", 1));
    assert_eq!(log.text(), "0 1 2 3 4");
}

#[test]
fn a_panicking_destructor_does_not_keep_an_abort_from_undoing() {
    let (variable, written) = (TVar::new(Acts::nothing()), TVar::new(0));
    let message = message_of(|| {
        try_atomically::<(), _>(|tx| {
            written.write(tx, 1);
            variable.write(tx, Acts::by(|| panic!("written in vain")));
            abort("no")
        })
    });
    assert_eq!((message.as_str(), written.get()), ("written in vain", 0));
    atomically(|tx| Ok(written.update(tx, |n| n + 1)));
    assert_eq!(written.get(), 1);
}

#[test]
fn a_panic_comes_out_though_a_destructor_panics_after_it() {
    if is_on_its_own() {
        let (variable, log) = (TVar::new(Acts::nothing()), Log::new());
        let other = TVar::new(None);
        let message = message_of(|| {
            atomically::<()>(|tx| {
                variable.write(tx, Acts::by(|| panic!("second")));
                other.write(tx, Some(log.on_drop("other")));
                panic!("first")
            })
        });
        assert_eq!((message.as_str(), log.text().as_str()), ("first", "other"));
        return;
    }
    let (succeeded, text) = on_its_own("a_panic_comes_out_though_a_destructor_panics_after_it");
    assert!(succeeded, "{text}");
}

#[test]
fn what_a_task_leaves_over_is_dropped_in_that_task() {
    on_virtual_time(|| {
        let (variable, log) = (TVar::new(Acts::nothing()), Log::new());
        let (own, steps) = (variable.clone(), log.clone());
        let patient = task::Builder::new().name("patient").spawn(move || {
            atomically(|tx| {
                own.write(tx, Acts::nothing());
                tx.on_commit(|| sleep(ms(10)));
                Ok(())
            });
            steps.add("patient goes on");
        });
        yield_now();
        let steps = log.clone();
        let hasty = task::Builder::new().name("hasty").spawn(move || {
            atomically::<()>(|tx| {
                // While it unwinds the other task comes out of its hook.
                let _parks = steps::OnDrop(|| sleep(ms(20)));
                let steps = steps.clone();
                let who = move || steps.add(format!("dropped by {}", task::current().name()));
                variable.write(tx, Acts::by(who));
                panic!("on purpose")
            });
        });
        patient.unwrap().join().unwrap();
        assert!(hasty.unwrap().join().is_err());
        let mut steps = log.steps();
        steps.sort();
        assert_eq!(steps, ["dropped by hasty", "patient goes on"]);
    });
}

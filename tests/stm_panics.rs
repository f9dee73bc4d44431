//! Panics in a transaction: what they undo, what catches them, and what comes out.
#![allow(
    clippy::unit_arg,
    reason = "a transaction of one step reads best in one line"
)]
mod steps;

use maypole::stm::{Stop, TVar, Transaction, abort, atomically, check, retry};
use maypole::{run, scope, spawn, yield_now};
use std::cell::Cell;
use std::rc::Rc;
use steps::{Log, message_of, payload_of, unwinds};

#[test]
fn a_panic_leaves_everything_as_it_was() {
    let variables: Vec<TVar<Vec<i32>>> = (0..5).map(|n| TVar::new(vec![n])).collect();
    let message = message_of(|| {
        atomically::<()>(|tx| {
            for variable in &variables {
                variable.update(tx, |list| [&list[..], &[9]].concat());
            }
            variables[0].write(tx, Vec::new());
            panic!("on purpose")
        })
    });
    assert_eq!(message, "on purpose");
    let values: Vec<_> = variables.iter().map(TVar::get).collect();
    assert_eq!(values, [[0], [1], [2], [3], [4]]);
}

#[test]
fn the_payload_comes_out_as_it_was() {
    let payload = payload_of(|| atomically::<()>(|_| std::panic::panic_any(7_u16)));
    assert_eq!(*payload.downcast::<u16>().unwrap(), 7);
}

#[test]
fn the_next_transaction_is_not_concerned() {
    let variable = TVar::new(0);
    for n in 1..=10 {
        assert!(unwinds(|| atomically::<()>(|tx| {
            variable.write(tx, -1);
            panic!("on purpose")
        })));
        atomically(|tx| Ok(variable.update(tx, |n| n + 1)));
        assert_eq!(variable.get(), n);
    }
}

#[test]
fn the_panic_of_a_task_in_a_transaction_is_seen_by_who_joins_it() {
    run(|| {
        let variable = TVar::new(0);
        let theirs = variable.clone();
        let task = spawn(move || {
            atomically::<()>(|tx| {
                theirs.write(tx, 1);
                panic!("in a task")
            })
        });
        let error = task.join().unwrap_err();
        assert!(error.to_string().contains("in a task"), "{error}");
        assert_eq!(variable.get(), 0);
    });
}

#[test]
fn a_panic_after_a_wait_undoes_the_last_run() {
    run(|| {
        let (level, written) = (TVar::new(0), TVar::new(0));
        let (read, own) = (level.clone(), written.clone());
        let task = spawn(move || {
            atomically(|tx| {
                own.update(tx, |n| n + 1);
                let level = read.read(tx);
                assert!(level < 2, "too high");
                check(level == 1)
            })
        });
        yield_now();
        level.set(2);
        assert!(task.join().is_err());
        assert_eq!(written.get(), 0);
    });
}

#[test]
fn a_panic_caught_within_undoes_nothing_by_itself() {
    let variable = TVar::new(0);
    let seen = atomically(|tx| {
        assert!(unwinds(|| {
            variable.write(tx, 1);
            panic!("caught")
        }));
        Ok(variable.read(tx))
    });
    assert_eq!((seen, variable.get()), (1, 1));
}

#[test]
fn a_panic_caught_around_an_arm_undoes_the_arm() {
    let (outer, inner) = (TVar::new(0), TVar::new(0));
    let seen = atomically(|tx| {
        outer.write(tx, 1);
        assert!(unwinds(|| tx.or_else(
            |tx| -> Result<(), Stop> {
                outer.write(tx, 2);
                inner.write(tx, 2);
                panic!("caught")
            },
            |_| Ok(()),
        )));
        // Writes go on to be of the transaction, not of the arm that has ended.
        inner.update(tx, |n| n + 5);
        Ok(outer.read(tx))
    });
    assert_eq!((seen, outer.get(), inner.get()), (1, 1, 5));
}

#[test]
fn a_panic_through_several_arms_undoes_them_all() {
    fn nested(tx: &Transaction, variable: &TVar<u32>, depth: u32) -> Result<(), Stop> {
        variable.update(tx, |n| n + 1);
        if depth == 0 {
            panic!("at the bottom");
        }
        tx.or_else(|tx| nested(tx, variable, depth - 1), |_| retry())
    }
    let (variable, log) = (TVar::new(0), Log::new());
    atomically(|tx| {
        variable.write(tx, 100);
        let inner = log.clone();
        tx.on_commit(move || inner.add("before"));
        assert!(unwinds(
            || tx.or_else(|tx| nested(tx, &variable, 20), |_| retry())
        ));
        assert_eq!(variable.read(tx), 100);
        Ok(())
    });
    assert_eq!((variable.get(), log.text().as_str()), (100, "before"));
}

#[test]
fn a_clone_that_panics_changes_nothing() {
    struct Shy(Rc<Cell<bool>>, u8);
    impl Clone for Shy {
        fn clone(&self) -> Self {
            assert!(!self.0.get(), "not now");
            Shy(self.0.clone(), self.1)
        }
    }
    let shy = Rc::new(Cell::new(true));
    let (variable, other) = (TVar::new(Shy(shy.clone(), 7)), TVar::new(0));
    assert_eq!(message_of(|| variable.get()), "not now");
    assert_eq!(
        message_of(|| atomically(|tx| {
            other.write(tx, 1);
            Ok(variable.read(tx))
        })),
        "not now"
    );
    let swaps = |tx: &Transaction| Ok(variable.swap(tx, Shy(shy.clone(), 8)));
    assert_eq!(message_of(|| atomically(swaps)), "not now");
    assert_eq!(other.get(), 0);
    shy.set(false);
    assert_eq!(variable.get().1, 7);
    variable.set(Shy(shy.clone(), 9));
    assert_eq!(variable.get().1, 9);
}

#[test]
fn a_panic_in_the_closure_of_an_access_changes_nothing_there() {
    let variable = TVar::new(1);
    atomically(|tx| {
        assert!(unwinds(|| variable.with(tx, |_| panic!("with"))));
        assert!(unwinds(|| variable.update(tx, |_| panic!("update"))));
        assert!(unwinds(|| variable.state::<()>(tx, |_| panic!("state"))));
        assert_eq!(variable.read(tx), 1);
        variable.write(tx, 2);
        Ok(())
    });
    assert_eq!(variable.get(), 2);
}

#[test]
fn a_write_while_the_value_is_looked_at_panics_and_names_the_variable() {
    let variable = TVar::named("crowded", 1);
    type Clash = fn(&Transaction, &TVar<i32>);
    let clashes: [Clash; 3] = [
        |tx, variable| variable.with(tx, |_| variable.write(tx, 2)),
        |tx, variable| {
            variable.update(tx, |n| {
                variable.write(tx, 3);
                *n
            })
        },
        |tx, variable| variable.with(tx, |_| _ = variable.swap(tx, 4)),
    ];
    for clash in clashes {
        let message = message_of(|| {
            atomically(|tx| {
                clash(tx, &variable);
                Ok(())
            })
        });
        assert!(
            message.contains("TVar 'crowded' made at tests/stm_panics.rs"),
            "{message}"
        );
        assert!(
            message.contains("while its content is being read"),
            "{message}"
        );
        assert_eq!(variable.get(), 1);
    }
}

#[test]
fn a_value_may_be_looked_at_twice_and_others_written_meanwhile() {
    let (variable, other) = (TVar::new(1), TVar::new(0));
    let sum = atomically(|tx| {
        Ok(variable.with(tx, |a| {
            other.write(tx, 5);
            variable.with(tx, |b| a + b)
        }))
    });
    assert_eq!((sum, other.get()), (2, 5));
}

#[test]
fn a_panic_in_a_transaction_ends_a_scope_and_leaves_its_variables_whole() {
    let variable = TVar::new(0);
    let message = message_of(|| {
        run(|| {
            scope(|s| {
                s.spawn(|| atomically(|tx| check(variable.read(tx) > 5)));
                s.spawn(|| {
                    yield_now();
                    atomically::<()>(|tx| {
                        variable.write(tx, 9);
                        panic!("in a scope")
                    })
                });
            })
        })
    });
    assert_eq!((message.as_str(), variable.get()), ("in a scope", 0));
}

#[test]
fn an_error_belongs_to_its_handler() {
    struct Error(Log);
    impl Drop for Error {
        fn drop(&mut self) {
            self.0.add("error dropped");
        }
    }
    let log = Log::new();
    atomically(|tx| {
        tx.catch(
            |_| abort::<(), _>(Error(log.clone())),
            |_, error| {
                log.add("handled");
                drop(error);
                log.add("after");
                Ok(())
            },
        )
    });
    assert_eq!(log.text(), "handled error dropped after");
}

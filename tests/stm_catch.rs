//! `catch`: what an abort undoes, and what goes through.
#![allow(
    clippy::unit_arg,
    reason = "a transaction of one step reads best in one line"
)]
mod steps;

use maypole::stm::{Stop, TVar, Transaction, abort, atomically, retry, try_atomically};
use steps::message_of;

#[test]
fn catch_undoes_what_its_arm_wrote_and_nothing_else() {
    let (before, inside) = (TVar::new("before"), TVar::new("before"));
    let seen = atomically(|tx| {
        before.write(tx, "written");
        tx.catch(
            |tx| {
                before.write(tx, "half");
                inside.write(tx, "half");
                abort(7)
            },
            |tx, code| Ok((code, before.read(tx), inside.read(tx))),
        )
    });
    assert_eq!(seen, (7, "written", "before"));
    assert_eq!((before.get(), inside.get()), ("written", "before"));
}

#[test]
fn catch_keeps_what_its_arm_wrote_where_nothing_aborted() {
    let variable = TVar::new(0);
    let value = atomically(|tx| {
        tx.catch(
            |tx| -> Result<i32, Stop<u8>> {
                variable.write(tx, 3);
                Ok(3)
            },
            |_, _| unreachable!(),
        )
    });
    assert_eq!((value, variable.get()), (3, 3));
}

#[test]
fn a_retry_goes_through_catch() {
    let variable = TVar::new(0);
    let seen = atomically(|tx| {
        tx.or_else(
            |tx| {
                tx.catch(
                    |tx| -> Result<i32, Stop<u8>> {
                        variable.write(tx, 1);
                        retry()
                    },
                    |_, _| unreachable!(),
                )
            },
            |tx| Ok(variable.read(tx) + 10),
        )
    });
    assert_eq!((seen, variable.get()), (10, 0));
}

#[test]
fn a_handler_that_fails_is_undone_too() {
    let variable = TVar::new(0);
    let handler = |ends_with: fn() -> Stop<&'static str>| {
        let result: Result<(), &str> = try_atomically(|tx| {
            let part = tx.catch(
                |_| abort::<(), _>("in the arm"),
                |tx, _| {
                    variable.write(tx, 1);
                    Err(ends_with())
                },
            );
            assert_eq!(variable.read(tx), 0);
            match part {
                Err(Stop::Retry) => Ok(()),
                other => other,
            }
        });
        (result, variable.get())
    };
    assert_eq!(handler(|| Stop::Abort("again")), (Err("again"), 0));
    assert_eq!(handler(|| Stop::Retry), (Ok(()), 0));
}

#[test]
fn a_handler_may_give_another_error() {
    let result: Result<(), String> = try_atomically(|tx| {
        let arm = |_: &Transaction| -> Result<(), Stop<u8>> { abort(4) };
        tx.catch(arm, |_, code| abort(format!("code {code}")))
    });
    assert_eq!(result, Err("code 4".to_string()));
}

#[test]
fn catches_within_catches_undo_one_arm_each() {
    let log = TVar::new(String::new());
    let add = |tx: &Transaction, text: &str| log.update(tx, |log| format!("{log}{text}"));
    atomically(|tx| {
        add(tx, "a");
        tx.catch(
            |tx| {
                add(tx, "b");
                tx.catch(
                    |tx| -> Result<(), Stop<u8>> {
                        add(tx, "c");
                        abort(1)
                    },
                    |tx, code| {
                        add(tx, "d");
                        abort(code + 1)
                    },
                )
            },
            |tx, code: u8| {
                add(tx, &code.to_string());
                Ok(())
            },
        )?;
        add(tx, "e");
        Ok(())
    });
    assert_eq!(log.get(), "a2e");
}

#[test]
fn a_panic_in_an_arm_undoes_the_whole() {
    let (outer, inner) = (TVar::new(0), TVar::new(0));
    for in_handler in [false, true] {
        let message = message_of(|| {
            atomically(|tx| {
                outer.write(tx, 1);
                tx.catch(
                    |tx| -> Result<(), Stop<u8>> {
                        inner.write(tx, 1);
                        assert!(in_handler, "in the arm");
                        abort(1)
                    },
                    |tx, _| {
                        inner.write(tx, 2);
                        panic!("in the handler")
                    },
                )
            })
        });
        assert_eq!(
            message,
            ["in the arm", "in the handler"][usize::from(in_handler)]
        );
        assert_eq!((outer.get(), inner.get()), (0, 0));
    }
}

//! Many tasks in programs after those with which Haskell's STM is tested.
#![allow(
    clippy::unit_arg,
    reason = "a transaction of one step reads best in one line"
)]
mod steps;

use maypole::channel::unbounded;
use maypole::stm::{TVar, abort, atomically, check, delay, retry};
use maypole::sync::Semaphore;
use maypole::{run, scope, spawn, yield_now};
use std::cell::Cell;
use std::rc::Rc;
use steps::{ms, on_virtual_time};

/// Numbers by chance, the same in every run.
struct Chance(u64);

impl Chance {
    /// From `1` to `n`.
    fn upto(&mut self, n: i64) -> i64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) as i64 % n + 1
    }
}

#[test]
fn a_thousand_tasks_whose_updates_sometimes_fail() {
    run(|| {
        let variable = TVar::new(0);
        let tasks: Vec<_> = (1..=1000)
            .map(|n| {
                let variable = variable.clone();
                spawn(move || {
                    atomically(|tx| {
                        tx.catch(
                            |tx| {
                                variable.write(tx, n);
                                if n % 25 == 0 { abort(n) } else { Ok(0) }
                            },
                            |tx, n| {
                                assert_eq!(variable.read(tx), n - 1);
                                Ok(n)
                            },
                        )
                    })
                })
            })
            .collect();
        let failed: Vec<u32> = tasks.into_iter().map(|task| task.join().unwrap()).collect();
        assert_eq!(failed.iter().filter(|n| **n > 0).count(), 40);
        assert_eq!(variable.get(), 999);
    });
}

#[test]
fn ten_actors_seven_accounts_a_source_and_a_watcher() {
    run(|| {
        let accounts: Rc<Vec<TVar<i64>>> = Rc::new((0..7).map(|n| TVar::new(n % 6)).collect());
        let (done, commits) = (TVar::new(0), TVar::new(Vec::<u64>::new()));
        let added = Rc::new(Cell::new(accounts.iter().map(TVar::get).sum::<i64>()));
        for actor in 1..=10 {
            let (accounts, done) = (accounts.clone(), done.clone());
            let commits = commits.clone();
            spawn(move || {
                let mut chance = Chance(actor);
                let mut left = 200;
                while left > 0 {
                    let (from, to) = (chance.upto(7) - 1, chance.upto(7) - 1);
                    if from == to {
                        continue;
                    }
                    let amount = chance.upto(3);
                    atomically(|tx| {
                        tx.or_else(
                            |tx| {
                                let from = &accounts[from as usize];
                                check(from.read(tx) >= amount)?;
                                from.update(tx, |credit| credit - amount);
                                accounts[to as usize].update(tx, |credit| credit + amount);
                                commits.update(tx, |c| [&c[..], &[actor]].concat());
                                Ok(())
                            },
                            |_| retry(),
                        )
                    });
                    // The line of commits is emptied by whoever comes next.
                    let seen = atomically(|tx| Ok(commits.swap(tx, Vec::new())));
                    assert!(seen.len() <= 10);
                    left -= 1;
                }
                atomically(|tx| Ok(done.update(tx, |n| n + 1)));
            });
        }
        let (theirs, total) = (accounts.clone(), added.clone());
        let source = spawn(move || {
            let mut chance = Chance(0);
            for gives in [true, false].into_iter().cycle() {
                let account = &theirs[chance.upto(7) as usize - 1];
                let amount = if gives {
                    chance.upto(3)
                } else {
                    -chance.upto(3)
                };
                let change = atomically(|tx| {
                    Ok(account.state(tx, |credit| {
                        let after = (credit + amount).max(0);
                        (after - credit, after)
                    }))
                });
                total.set(total.get() + change);
                yield_now();
            }
        });
        atomically(|tx| check(done.read(tx) == 10));
        source.kill("all the others are done");
        drop(source.join());
        let sum: i64 = accounts.iter().map(TVar::get).sum();
        assert_eq!(sum, added.get());
    });
}

#[test]
fn a_directory_that_is_changed_by_commands_and_searched_meanwhile() {
    enum Command {
        Add(u32, u32),
        Remove(u32),
    }
    const COMMANDS: u32 = 500;
    run(|| {
        let (sender, commands) = unbounded();
        let (table, done) = (TVar::new(Vec::<(u32, u32)>::new()), TVar::new(false));
        let count = TVar::new(0);
        let (theirs, counted, finished) = (table.clone(), count.clone(), done.clone());
        spawn(move || {
            for command in commands {
                atomically(|tx| {
                    match command {
                        Command::Add(key, value) => theirs.update(tx, |entries| {
                            let mut entries = entries.clone();
                            if !entries.iter().any(|entry| entry.0 == key) {
                                entries.push((key, value));
                            }
                            entries
                        }),
                        Command::Remove(key) => theirs.update(tx, |entries| {
                            entries.iter().copied().filter(|it| it.0 != key).collect()
                        }),
                    }
                    counted.update(tx, |n| n + 1);
                    Ok(())
                });
            }
            finished.set(true);
        });
        for adds in [true, false] {
            let sender = sender.clone();
            spawn(move || {
                for _ in 0..COMMANDS {
                    let command = if adds {
                        Command::Add(1, 2)
                    } else {
                        Command::Remove(1)
                    };
                    sender.send(command).unwrap();
                }
            });
        }
        drop(sender);
        while !done.get() {
            let found = atomically(|tx| Ok(table.read(tx)));
            assert!(found.is_empty() || found == [(1, 2)]);
            yield_now();
        }
        assert_eq!(count.get(), 2 * COMMANDS);
    });
}

#[test]
fn elements_swapped_by_two_tasks_are_a_permutation_in_the_end() {
    run(|| {
        let elements: Vec<TVar<i64>> = (1..=20).map(TVar::new).collect();
        let done = TVar::new(0);
        scope(|s| {
            for n in 0..2 {
                let (elements, done) = (&elements, &done);
                s.spawn(move || {
                    let mut chance = Chance(n);
                    for round in 0..2000 {
                        let [a, b] = [20, 20].map(|n| &elements[chance.upto(n) as usize - 1]);
                        atomically(|tx| {
                            let (in_a, in_b) = (a.read(tx), b.read(tx));
                            a.write(tx, in_b);
                            b.write(tx, in_a);
                            Ok(())
                        });
                        if round % 10 == 0 {
                            yield_now();
                        }
                    }
                    atomically(|tx| Ok(done.update(tx, |n| n + 1)));
                });
            }
            atomically(|tx| check(done.read(tx) == 2));
        });
        let mut values: Vec<i64> = elements.iter().map(TVar::get).collect();
        values.sort_unstable();
        assert_eq!(values, (1..=20).collect::<Vec<_>>());
    });
}

#[test]
fn five_thousand_tasks_wait_for_delays_of_their_own() {
    on_virtual_time(|| {
        let semaphore = Rc::new(Semaphore::new(5000));
        let mut chance = Chance(7);
        for _ in 0..5000 {
            let (semaphore, time) = (semaphore.clone(), ms(chance.upto(3000) as u64));
            spawn(move || {
                let _permit = semaphore.acquire();
                let late = delay(time);
                atomically(|tx| check(late.read(tx)));
            });
        }
        yield_now();
        assert_eq!(semaphore.available(), 0);
        drop(semaphore.acquire_many(5000));
    });
}

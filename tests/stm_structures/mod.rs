//! What the tests of TMVar, TChan and TArray share: values that count themselves, and values whose
//! destructors begin transactions.
#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(
    clippy::unit_arg,
    reason = "a transaction of one operation that gives nothing"
)]
pub mod chan;

use maypole::stm::TVar;
use std::cell::Cell;
use std::rc::Rc;

/// Counts the tokens that are alive.
#[derive(Clone, Default)]
pub struct Mint(Rc<Cell<usize>>);

impl Mint {
    pub fn new() -> Self {
        Mint::default()
    }

    pub fn token(&self, number: u32) -> Token {
        self.0.set(self.0.get() + 1);
        Token {
            number,
            mint: self.clone(),
        }
    }

    pub fn alive(&self) -> usize {
        self.0.get()
    }
}

/// A value that is counted as long as it lives, and each of its clones too.
pub struct Token {
    pub number: u32,
    mint: Mint,
}

impl Clone for Token {
    fn clone(&self) -> Self {
        self.mint.token(self.number)
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        let alive = self.mint.alive().checked_sub(1);
        self.mint.0.set(alive.expect("each token is dropped once"));
    }
}

/// A value whose destructor is a transaction of its own, which panics inside of another.
#[derive(Clone)]
pub struct Restless(pub TVar<u32>);

impl Drop for Restless {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

/// A value whose clone panics where that is asked for.
pub struct Brittle(pub Rc<Cell<bool>>);

impl Clone for Brittle {
    fn clone(&self) -> Self {
        assert!(!self.0.get(), "it breaks");
        Brittle(self.0.clone())
    }
}

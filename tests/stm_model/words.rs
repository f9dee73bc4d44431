//! Words: values that are dropped once, and whose destructors may do something.
use super::program::{Deed, Term};
use super::values::{Id, Value};
use super::world::World;
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::fmt;
use std::rc::{Rc, Weak};

/// Which words there are.
#[derive(Default)]
pub struct Ledger {
    pub alive: RefCell<BTreeSet<Id>>,
    /// Clones, which belong to whoever has read a word.
    pub copies: Cell<usize>,
}

/// A number that is dropped once.
pub struct Word {
    number: i64,
    id: Id,
    is_copy: bool,
    /// What its destructor does.
    deed: Option<Deed>,
    world: Weak<World>,
    ledger: Rc<Ledger>,
}

impl Word {
    pub fn value(&self) -> Value {
        Value::Word(self.number, self.id)
    }

    pub fn new(made: Made) -> Word {
        let new = made.world.ledger.alive.borrow_mut().insert(made.id);
        if !new {
            made.world
                .fail(format!("the word {:?} is made twice", made.id));
        }
        Word {
            number: made.number,
            id: made.id,
            is_copy: false,
            deed: made.deed,
            world: Rc::downgrade(&made.world),
            ledger: made.world.ledger.clone(),
        }
    }
}

impl Clone for Word {
    fn clone(&self) -> Self {
        self.ledger.copies.set(self.ledger.copies.get() + 1);
        Word {
            number: self.number,
            id: self.id,
            is_copy: true,
            deed: None,
            world: Weak::new(),
            ledger: self.ledger.clone(),
        }
    }
}

impl Drop for Word {
    fn drop(&mut self) {
        if self.is_copy {
            return self.ledger.copies.set(self.ledger.copies.get() - 1);
        }
        let was_alive = self.ledger.alive.borrow_mut().remove(&self.id);
        let Some(world) = self.world.upgrade() else {
            return;
        };
        if !was_alive {
            world.fail(format!("the word {:?} is dropped twice", self.id));
        }
        if let Some(deed) = self.deed.take() {
            world.destructor(&deed);
        }
    }
}

impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {:?}", self.number, self.id)
    }
}

/// What a value is made of.
pub struct Made {
    pub number: i64,
    pub id: Id,
    pub deed: Option<Deed>,
    pub world: Rc<World>,
}

impl Made {
    pub fn new(world: &Rc<World>, number: i64, term: &Term, id: Id) -> Made {
        Made {
            number,
            id,
            deed: term.deed.clone(),
            world: world.clone(),
        }
    }
}

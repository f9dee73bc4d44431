//! Handles to the variables of a world, of any kind.
use super::program::{Begins, Content, Use};
use super::values::{NOTHING, Value, fills_place};
use super::words::{Made, Word};
use maypole::stm::{
    Stop, TBQueue, TChan, TMVar, TQueue, TVar, Transaction, abort, delay, try_atomically,
};
use std::fmt;
use std::time::Duration;

#[derive(Clone)]
pub enum Handle {
    Number(TVar<i64>),
    Word(TVar<Word>),
    Flag(TVar<bool>),
    Place(TMVar<Word>),
    Queue(TQueue<Word>),
    Bounded(TBQueue<Word>),
    Channel(TChan<Word>),
}

/// What a `TVar` of a world holds.
pub trait One: Clone + fmt::Debug + 'static {
    fn make(made: Made) -> Self;
    fn value(&self) -> Value;
}

impl One for i64 {
    fn make(made: Made) -> Self {
        made.number
    }

    fn value(&self) -> Value {
        Value::Number(*self)
    }
}

impl One for bool {
    fn make(made: Made) -> Self {
        made.number % 2 == 0
    }

    fn value(&self) -> Value {
        Value::Flag(*self)
    }
}

impl One for Word {
    fn make(made: Made) -> Self {
        Word::new(made)
    }

    fn value(&self) -> Value {
        self.value()
    }
}

/// The same for each kind of `TVar`.
macro_rules! each {
    ($handle:expr, $variable:ident => $do:expr) => {
        match $handle {
            Handle::Number($variable) => $do,
            Handle::Word($variable) => $do,
            Handle::Flag($variable) => $do,
            _ => unreachable!("it holds one value"),
        }
    };
}

impl Handle {
    pub fn new(name: usize, content: Content, made: Made) -> Handle {
        let name = format!("v{name}");
        match content {
            Content::Number => Handle::Number(TVar::named(name, One::make(made))),
            Content::Word => Handle::Word(TVar::shown(name, One::make(made))),
            Content::Flag => Handle::Flag(TVar::named(name, One::make(made))),
            Content::Delay(moment) => Handle::Flag(delay(Duration::from_millis(moment))),
            Content::Place => {
                let word = fills_place(made.number).then(|| Word::new(made));
                Handle::Place(TMVar::named(name, word))
            }
            Content::Queue(None) => Handle::Queue(TQueue::new()),
            Content::Queue(Some(capacity)) => Handle::Bounded(TBQueue::new(capacity)),
            Content::Channel => Handle::Channel(TChan::new()),
        }
    }

    // ── those that hold one value ────────────────────────────────────────────────────────────

    pub fn is_one(&self) -> bool {
        matches!(self, Handle::Number(_) | Handle::Word(_) | Handle::Flag(_))
    }

    pub fn read(&self, tx: &Transaction) -> Value {
        each!(self, variable => variable.read(tx).value())
    }

    pub fn with<R>(&self, tx: &Transaction, f: impl FnOnce(Value) -> R) -> R {
        each!(self, variable => variable.with(tx, |held| f(held.value())))
    }

    pub fn write(&self, tx: &Transaction, made: Made) {
        each!(self, variable => variable.write(tx, One::make(made)));
    }

    pub fn update(&self, tx: &Transaction, f: impl FnOnce(Value) -> Made) {
        each!(self, variable => variable.update(tx, |held| One::make(f(held.value()))));
    }

    pub fn swap(&self, tx: &Transaction, made: Made) -> Value {
        each!(self, variable => variable.swap(tx, One::make(made)).value())
    }

    pub fn state(&self, tx: &Transaction, f: impl FnOnce(Value) -> Made) -> Value {
        each!(self, variable => variable.state(tx, |held| {
            (held.value(), One::make(f(held.value())))
        }))
    }

    pub fn get(&self) -> Value {
        each!(self, variable => variable.get().value())
    }

    pub fn set(&self, made: Made) {
        each!(self, variable => variable.set(One::make(made)));
    }

    /// Its `Debug`, which shows the value at any moment and reads nothing.
    pub fn text(&self) -> String {
        each!(self, variable => format!("{variable:?}"))
    }

    // ── the others ───────────────────────────────────────────────────────────────────────────

    /// Another end of a channel.
    pub fn end(&self, tx: &Transaction, begins: Begins) -> Option<Handle> {
        match (self, begins) {
            (Handle::Channel(channel), Begins::Here) => {
                Some(Handle::Channel(channel.clone_chan(tx)))
            }
            (Handle::Channel(channel), Begins::Behind) => Some(Handle::Channel(channel.dup(tx))),
            _ => None,
        }
    }

    /// Does this; tells `saw` what it sees, one after another.
    pub fn does(
        &self,
        tx: &Transaction,
        how: Use,
        made: Made,
        saw: &mut dyn FnMut(Value),
    ) -> Result<(), Stop<i64>> {
        let new = || Word::new(made);
        match self {
            Handle::Place(place) => match how {
                Use::TryPeek => saw(or_nothing(place.try_read(tx))),
                Use::IsEmpty => saw(Value::Flag(place.is_empty(tx))),
                Use::Put => place.put(tx, new())?,
                Use::TryPut => saw(Value::Flag(place.try_put(tx, new()))),
                Use::TryTake => saw(or_nothing(place.try_take(tx))),
                Use::Take => saw(place.take(tx)?.value()),
                Use::Overwrite => place.write(tx, new()),
                Use::Flush => saw(place.swap(tx, new())?.value()),
                Use::Peek => saw(place.read(tx)?.value()),
            },
            Handle::Queue(queue) => match how {
                Use::TryPeek => saw(or_nothing(queue.try_peek(tx))),
                Use::IsEmpty => saw(Value::Flag(queue.is_empty(tx))),
                Use::Put | Use::Overwrite => queue.write(tx, new()),
                Use::TryPut => queue.unget(tx, new()),
                Use::TryTake => saw(or_nothing(queue.try_read(tx))),
                Use::Take => saw(queue.read(tx)?.value()),
                Use::Flush => all(queue.flush(tx), saw),
                Use::Peek => saw(queue.peek(tx)?.value()),
            },
            Handle::Bounded(queue) => match how {
                Use::TryPeek => saw(or_nothing(queue.try_peek(tx))),
                Use::IsEmpty => saw(Value::Flag(queue.is_empty(tx))),
                Use::Put => queue.write(tx, new())?,
                Use::Overwrite => queue.unget(tx, new())?,
                Use::TryPut => {
                    let is_full = queue.is_full(tx);
                    saw(Value::Flag(is_full));
                    if !is_full {
                        queue.write(tx, new())?;
                    }
                }
                Use::TryTake => saw(or_nothing(queue.try_read(tx))),
                Use::Take => saw(queue.read(tx)?.value()),
                Use::Flush => all(queue.flush(tx), saw),
                Use::Peek => saw(queue.peek(tx)?.value()),
            },
            Handle::Channel(channel) => match how {
                Use::TryPeek => saw(or_nothing(channel.try_peek(tx))),
                Use::IsEmpty => saw(Value::Flag(channel.is_empty(tx))),
                Use::Put | Use::Overwrite => channel.write(tx, new()),
                Use::TryPut => channel.unget(tx, new()),
                Use::TryTake => saw(or_nothing(channel.try_read(tx))),
                Use::Take => saw(channel.read(tx)?.value()),
                Use::Flush => {
                    let next = || channel.try_read(tx);
                    all(std::iter::from_fn(next).collect(), saw);
                }
                Use::Peek => saw(channel.peek(tx)?.value()),
            },
            _ => unreachable!("it holds more than a value"),
        }
        Ok(())
    }

    /// What it holds, outside of a transaction: it is taken out in one that is undone. None of what
    /// its `Debug` shows.
    pub fn snapshot(&self) -> Option<Vec<Value>> {
        let found: Result<(), Vec<Value>> = try_atomically(|tx| {
            let taken = match self {
                Handle::Place(place) => place.try_take(tx).into_iter().collect(),
                Handle::Queue(queue) => queue.flush(tx),
                Handle::Bounded(queue) => queue.flush(tx),
                Handle::Channel(channel) => std::iter::from_fn(|| channel.try_read(tx)).collect(),
                _ => return Ok(()),
            };
            abort(taken.iter().map(Word::value).collect())
        });
        found.err()
    }
}

fn or_nothing(word: Option<Word>) -> Value {
    word.map_or(NOTHING, |word| word.value())
}

fn all(words: Vec<Word>, saw: &mut dyn FnMut(Value)) {
    words.iter().for_each(|word| saw(word.value()));
    saw(NOTHING);
}

/// The text of a `TVar` that holds this.
pub fn text(value: Value) -> String {
    let value = match value {
        Value::Number(number) => number.to_string(),
        Value::Flag(flag) => flag.to_string(),
        Value::Word(number, id) => format!("{number} of {id:?}"),
    };
    format!("TVar {{ value: {value}, .. }}")
}

//! One-step transactions on a TChan.
use maypole::stm::{TChan, Transaction, atomically};

pub fn write<T: Clone>(chan: &TChan<T>, item: T) {
    atomically(|tx| Ok(chan.write(tx, item.clone())));
}

pub fn read<T: Clone>(chan: &TChan<T>) -> T {
    atomically(|tx| chan.read(tx))
}

pub fn unget<T: Clone>(chan: &TChan<T>, item: T) {
    atomically(|tx| Ok(chan.unget(tx, item.clone())));
}

pub fn dup<T>(chan: &TChan<T>) -> TChan<T> {
    atomically(|tx| Ok(chan.dup(tx)))
}

pub fn is_empty<T>(chan: &TChan<T>) -> bool {
    atomically(|tx| Ok(chan.is_empty(tx)))
}

/// Takes all that can be read now.
pub fn drain<T: Clone>(tx: &Transaction, chan: &TChan<T>) -> Vec<T> {
    std::iter::from_fn(|| chan.try_read(tx)).collect()
}

pub fn rest<T: Clone>(chan: &TChan<T>) -> Vec<T> {
    atomically(|tx| Ok(drain(tx, chan)))
}

pub fn filled<T: Clone>(items: impl IntoIterator<Item = T>) -> TChan<T> {
    let chan = TChan::new();
    items.into_iter().for_each(|item| write(&chan, item));
    chan
}

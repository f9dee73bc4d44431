//! Gates and groups, by which Santa leads his helpers in and out. `examples/santa` uses them too.
use maypole::stm::{Stop, TVar, Transaction, atomically, check};

/// A gate that lets so many through each time it is opened.
#[derive(Clone)]
pub struct Gate {
    size: usize,
    /// How many may still pass.
    left: TVar<usize>,
}

impl Gate {
    /// Makes one that is closed.
    pub fn new(name: &str, size: usize) -> Gate {
        Gate {
            size,
            left: TVar::named(name, 0),
        }
    }
}

/// For the helpers: waits until the gate is open, and goes through.
pub fn pass_gate(gate: &Gate) {
    atomically(|tx| {
        let left = gate.left.read(tx);
        check(left > 0)?;
        gate.left.write(tx, left - 1);
        Ok(())
    });
}

/// For Santa: opens the gate, and waits until all have gone through.
///
/// Two transactions, on purpose. Nobody sees what a transaction has written before it ends, so none
/// can open a gate and then wait for those who come through.
pub fn operate_gate(gate: &Gate) {
    atomically(|tx| {
        open(tx, gate);
        Ok(())
    });
    atomically(|tx| all_have_passed(tx, gate));
}

/// The same in one transaction, which is wrong: a `retry` undoes the opening, so it waits for ever
/// at a gate that is closed.
#[allow(dead_code)] // `examples/santa` has no use for it
pub fn operate_gate_merged(gate: &Gate) {
    atomically(|tx| {
        open(tx, gate);
        all_have_passed(tx, gate)
    });
}

fn open(tx: &Transaction, gate: &Gate) {
    gate.left.update(tx, |left| left + gate.size);
}

fn all_have_passed<E>(tx: &Transaction, gate: &Gate) -> Result<(), Stop<E>> {
    check(gate.left.read(tx) == 0)
}

/// Where helpers come together, until they are as many as Santa wants.
pub struct Group {
    size: usize,
    forming: TVar<Forming>,
}

/// The group that forms at present: how many it wants still, the gate by which they will go in, and
/// the one by which they will leave.
#[derive(Clone)]
struct Forming {
    wanted: usize,
    gates: Gates,
}

pub type Gates = (Gate, Gate);

impl Forming {
    fn new(size: usize) -> Forming {
        Forming {
            wanted: size,
            gates: (Gate::new("gate in", size), Gate::new("gate out", size)),
        }
    }
}

impl Group {
    pub fn new(name: &str, size: usize) -> Group {
        Group {
            size,
            forming: TVar::named(name, Forming::new(size)),
        }
    }
}

/// For the helpers: waits until there is room in the group, and joins it.
pub fn join_group(group: &Group) -> Gates {
    atomically(|tx| {
        let Forming { wanted, gates } = group.forming.read(tx);
        check(wanted > 0)?;
        let wanted = wanted - 1;
        let forming = Forming {
            wanted,
            gates: gates.clone(),
        };
        group.forming.write(tx, forming);
        Ok(gates)
    })
}

/// For Santa: waits until the group is complete, and lets another begin, with gates of its own.
///
/// It is a part of a transaction: so Santa can wait for two groups at once. And because the new
/// gates are there in the same step, nobody who comes late mixes with those who are with Santa.
pub fn await_group<E>(tx: &Transaction, group: &Group) -> Result<Gates, Stop<E>> {
    let forming = group.forming.swap(tx, Forming::new(group.size));
    check(forming.wanted == 0)?;
    Ok(forming.gates)
}

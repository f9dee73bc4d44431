//! Every order of the tasks, on ledgers so small that all can be tried.
use super::bank::{Bank, Books};
use super::coop::Coop;
use super::desk::{Journal, Style, Wait, Watch, Way};
use super::ledger::Ledger;
use super::locks::Locks;
use super::money::Crowns;
use super::stm::Stm;
use maypole::explore::Explorer;
use std::rc::Rc;

/// What is tried, how often main looks meanwhile, and the ledger.
const PROGRAMS: [(&str, Watch, &str); 3] = [
    // The account may go down to -30.00, so nobody waits, and the money goes where it comes from.
    (
        "a withdrawal meets a deposit, and main looks once whether all the money is there",
        Watch::Once,
        "\
date,account,kind,counterparty,amount,balance
2024-03-01,7,withdrawal,CASH,-30.00,-30.00
2024-03-02,7,deposit,CASH,100.00,70.00
",
    ),
    (
        "a withdrawal waits for a deposit, and main looks once",
        Watch::Once,
        "\
date,account,kind,counterparty,amount,balance
2024-03-01,7,deposit,CASH,100.00,100.00
2024-03-02,7,withdrawal,CASH,-60.00,40.00
",
    ),
    // If main looked here, the locks would have more than a million schedules.
    (
        "both",
        Watch::Never,
        "\
date,account,kind,counterparty,amount,balance
2024-03-01,7,withdrawal,CASH,-30.00,-30.00
2024-03-02,7,deposit,CASH,100.00,70.00
2024-03-03,7,withdrawal,CASH,-60.00,10.00
",
    ),
];

/// Whether all goes well in every order of the tasks; says so, or shows an order in which it does
/// not.
pub fn explore(style: Style, broken: bool) -> bool {
    PROGRAMS.iter().all(|(what, watch, ledger)| {
        println!("{what}:");
        let ledger = Ledger::parse("explore", ledger.as_bytes());
        let ledger = Rc::new(ledger.unwrap_or_else(|bad| panic!("{bad}")));
        match style {
            Style::Coop => holds::<Coop>(ledger, *watch, broken),
            Style::Stm => holds::<Stm>(ledger, *watch, broken),
            Style::Locks => holds::<Locks>(ledger, *watch, broken),
        }
    })
}

fn holds<B: Books>(ledger: Rc<Ledger>, watch: Watch, broken: bool) -> bool {
    let way = Way {
        wait: Wait::Queue,
        seed: 0,
        broken,
        watch,
        shows_progress: false,
    };
    let journal = Rc::new(Journal::default());
    // Tasks switch where they can in production: at parks, yields, and calls that may park, such as
    // to lock or to begin a transaction.
    let outcome = Explorer::new().check(|| {
        journal.borrow_mut().clear();
        let bank = Bank::<B>::open(ledger.clone(), way, Some(journal.clone()));
        bank.work();
        assert_right(&bank);
    });
    println!("{outcome}");
    if outcome.failure.is_some() {
        // The schedule that failed was the last.
        println!("what this does to the money:");
        for line in journal.borrow().iter() {
            println!("  {line}");
        }
    }
    outcome.failure.is_none()
}

fn assert_right<B: Books>(bank: &Bank<B>) {
    let outcome = bank.close();
    if let Some(first) = &outcome.first_mismatch {
        panic!(
            "account {} ends with {}, which should be {}",
            first.account,
            Crowns(first.balance),
            Crowns(first.recorded)
        );
    }
    assert_eq!(outcome.imbalance, 0, "money is missing");
    assert_eq!(outcome.refused, 0, "a withdrawal was refused");
}

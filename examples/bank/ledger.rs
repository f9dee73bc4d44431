//! The ledger: a CSV file read into entries and accounts, and what can be wrong with one.
use super::money::{self, Crowns};
use std::collections::HashMap;
use std::fmt;
use std::path::Path;

/// The columns, in their order.
const COLUMNS: [&str; 6] = [
    "date",
    "account",
    "kind",
    "counterparty",
    "amount",
    "balance",
];

const KINDS: [&str; 6] = [
    "deposit",
    "withdrawal",
    "card",
    "transfer-in",
    "transfer-out",
    "credit",
];

/// Bounds what all amounts come to together, so that no sum of some of them can overflow.
const MOST: i64 = i64::MAX / 4;

const SHORT: usize = 100;

#[derive(Default)]
pub struct Ledger {
    pub entries: Vec<Entry>,
    pub accounts: Vec<Recorded>,
    /// Their names.
    pub counterparties: Vec<String>,
}

/// A transaction: it moves money between an account and a counterparty, both given by their place
/// in the bank.
pub struct Entry {
    pub line: usize,
    pub account: usize,
    pub counterparty: usize,
    /// In hundredths; negative takes money out of the account.
    pub amount: i64,
    pub turns_on_its_way: u32,
}

/// A name for the task and for those who read of it.
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.amount < 0 { "" } else { "+" };
        write!(f, "{sign}{}", Crowns(self.amount))
    }
}

/// What the ledger says of an account.
pub struct Recorded {
    pub number: u64,
    pub last_balance: i64,
    pub lowest_balance: i64,
    pub deposits: usize,
}

impl Recorded {
    /// How low a withdrawal may take the balance.
    pub fn limit(&self) -> i64 {
        self.lowest_balance.min(0)
    }
}

/// Why a ledger cannot be used, and where.
pub struct BadLedger {
    file: String,
    line: Option<usize>,
    /// Counted from 0.
    column: Option<usize>,
    expected: String,
    found: String,
}

impl fmt::Display for BadLedger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(column) = self.column {
            write!(f, ": column {}", column + 1)?;
            if let Some(name) = COLUMNS.get(column) {
                write!(f, " ({name})")?;
            }
        }
        write!(f, ": expected {}, found {}", self.expected, self.found)
    }
}

impl Ledger {
    /// Whether people can read a line for each of its transactions.
    pub fn is_short(&self) -> bool {
        self.entries.len() <= SHORT
    }

    pub fn read(path: &Path) -> Result<Ledger, BadLedger> {
        let file = path.display().to_string();
        match std::fs::read(path) {
            Ok(bytes) => Ledger::parse(&file, &bytes),
            Err(error) => Err(BadLedger {
                file,
                line: None,
                column: None,
                expected: "a file that can be read".into(),
                found: error.to_string(),
            }),
        }
    }

    pub fn parse(file: &str, bytes: &[u8]) -> Result<Ledger, BadLedger> {
        Parser::new(file).parse(bytes)
    }
}

/// Reads line by line; the numbers of accounts and names of counterparties become places.
struct Parser<'a> {
    file: &'a str,
    ledger: Ledger,
    accounts: HashMap<u64, usize>,
    counterparties: HashMap<&'a str, usize>,
    moved: i64,
}

impl<'a> Parser<'a> {
    fn new(file: &'a str) -> Self {
        Parser {
            file,
            ledger: Ledger::default(),
            accounts: HashMap::new(),
            counterparties: HashMap::new(),
            moved: 0,
        }
    }

    fn parse(mut self, bytes: &'a [u8]) -> Result<Ledger, BadLedger> {
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let (good, bad) = bytes.split_at(error.valid_up_to());
            let line = good.iter().filter(|&&byte| byte == b'\n').count() + 1;
            let before = good.rsplit(|&byte| byte == b'\n').next().unwrap_or(good);
            let column = before.iter().filter(|&&byte| byte == b',').count();
            self.bad(line, column, "UTF-8", format!("the byte {:#04x}", bad[0]))
        })?;
        let mut lines = (1..).zip(text.strip_prefix('\u{feff}').unwrap_or(text).lines());
        let (_, header) = lines.next().unwrap_or((1, ""));
        let names: Vec<&str> = header.split(',').collect();
        for (column, name) in COLUMNS.iter().enumerate() {
            if names.get(column) != Some(name) {
                let found = quote_or(names.get(column), "the end of the line");
                let expected = format!("the column {name} of the header {}", COLUMNS.join(","));
                return Err(self.bad(1, column, &expected, found));
            }
        }
        self.fields(1, header)?;
        for (line, row) in lines {
            let fields = self.fields(line, row)?;
            self.entry(line, fields)?;
        }
        Ok(self.ledger)
    }

    fn fields<'t>(&self, line: usize, row: &'t str) -> Result<[&'t str; 6], BadLedger> {
        let fields: Vec<&str> = row.split(',').collect();
        fields.try_into().map_err(|fields: Vec<&str>| {
            let column = fields.len().min(COLUMNS.len());
            self.bad(line, column, "6 fields", fields.len().to_string())
        })
    }

    fn entry(&mut self, line: usize, fields: [&'a str; 6]) -> Result<(), BadLedger> {
        let [date, number, kind, counterparty, amount, balance] = fields;
        let wrong = |column: usize, expected: &str| {
            self.bad(line, column, expected, format!("{:?}", fields[column]))
        };
        if !is_date(date) {
            return Err(wrong(0, "a date such as 1993-01-31"));
        }
        let number: u64 = number
            .parse()
            .map_err(|_| wrong(1, "the number of an account"))?;
        if !KINDS.contains(&kind) {
            return Err(wrong(2, &format!("one of {}", KINDS.join(", "))));
        }
        if counterparty.is_empty() {
            return Err(wrong(3, "CASH, BANK or the code of another bank"));
        }
        let amount = money::parse(amount).map_err(|expected| wrong(4, expected))?;
        let balance = money::parse(balance).map_err(|expected| wrong(5, expected))?;
        self.moved = self
            .moved
            .checked_add(amount.abs())
            .filter(|&moved| moved <= MOST)
            .ok_or_else(|| {
                let most = Crowns(MOST);
                wrong(4, &format!("amounts that come to at most {most} together"))
            })?;

        let accounts = &mut self.ledger.accounts;
        let account = *self.accounts.entry(number).or_insert_with(|| {
            accounts.push(Recorded {
                number,
                last_balance: 0,
                lowest_balance: balance,
                deposits: 0,
            });
            accounts.len() - 1
        });
        let recorded = &mut accounts[account];
        recorded.last_balance = balance;
        recorded.lowest_balance = recorded.lowest_balance.min(balance);
        recorded.deposits += usize::from(amount >= 0);

        let counterparties = &mut self.ledger.counterparties;
        let counterparty = *self.counterparties.entry(counterparty).or_insert_with(|| {
            counterparties.push(counterparty.to_string());
            counterparties.len() - 1
        });
        self.ledger.entries.push(Entry {
            line,
            account,
            counterparty,
            amount,
            // Money from another bank takes its time.
            turns_on_its_way: if kind == "transfer-in" { 5 } else { 1 },
        });
        Ok(())
    }

    fn bad(&self, line: usize, column: usize, expected: &str, found: String) -> BadLedger {
        BadLedger {
            file: self.file.to_string(),
            line: Some(line),
            column: Some(column),
            expected: expected.to_string(),
            found,
        }
    }
}

fn quote_or(text: Option<&&str>, otherwise: &str) -> String {
    match text {
        Some(&text) if !text.is_empty() => format!("{text:?}"),
        _ => otherwise.to_string(),
    }
}

/// Whether it has the shape of an ISO date, with a month and a day that exist somewhere.
fn is_date(text: &str) -> bool {
    let is_number = |part: &str, length: usize, most: u32| {
        part.len() == length
            && part.bytes().all(|byte| byte.is_ascii_digit())
            && part
                .parse()
                .is_ok_and(|number| (1..=most).contains(&number))
    };
    match *text.split('-').collect::<Vec<_>>() {
        [year, month, day] => {
            is_number(year, 4, 9999) && is_number(month, 2, 12) && is_number(day, 2, 31)
        }
        _ => false,
    }
}

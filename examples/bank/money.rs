//! Money as whole hundredths of a crown: exact, where floating point would lose some.
use std::fmt;

/// An amount of hundredths, shown with two decimals.
pub struct Crowns(pub i64);

impl fmt::Display for Crowns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let hundredths = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:02}", hundredths / 100, hundredths % 100)
    }
}

/// Reads an amount such as `-12.50`, `12.5` or `12`, in hundredths; otherwise says what was expected.
pub fn parse(text: &str) -> Result<i64, &'static str> {
    const NUMBER: &str = "a number such as -12.50";
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let (whole, decimals) = digits.split_once('.').unwrap_or((digits, "0"));
    let are_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !are_digits(whole) || !are_digits(decimals) {
        return Err(NUMBER);
    }
    if decimals.len() > 2 {
        return Err("a number with at most two decimals");
    }
    format!("{whole}{decimals:0<2}")
        .parse::<i64>()
        .map(|hundredths| if is_negative { -hundredths } else { hundredths })
        .map_err(|_| "a number no further from zero than 92233720368547758.07")
}

//! Reads numbers with a point, exactly: in thousandths.

use toml::Spanned;
use toml::de::DeValue;

use crate::raw::reader::Reader;
use crate::raw::table::Value;
use crate::values::{self, Wrong};

impl Reader<'_> {
    pub(super) fn decimal(
        &mut self,
        value: &Spanned<DeValue<'_>>,
        field: &str,
        min: u64,
        max: u64,
    ) -> Value {
        let number = match value.get_ref() {
            DeValue::Integer(number) => {
                let number = i64::from_str_radix(number.as_str(), number.radix()).ok();
                number.and_then(|number| u64::try_from(number).ok()?.checked_mul(1_000))
            }
            DeValue::Float(number) => values::thousandths(number.as_str()),
            _ => match self.env_text(value, field) {
                Some(None) => return Value::Broken,
                Some(Some(text)) => values::thousandths(&text),
                None => {
                    self.wrong_type(value, field, "a number");
                    return Value::Broken;
                }
            },
        };
        match number.filter(|number| (min..=max).contains(number)) {
            Some(number) => Value::Thousandths(number),
            None => {
                let [min, max] = [min, max].map(values::thousandths_text);
                let wrong = Wrong::new("this is no such number");
                let help = format!("from {min} to {max}, at most three digits behind the point");
                self.wrong(value, field, wrong.help(help))
            }
        }
    }
}

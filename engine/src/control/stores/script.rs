//! What a store is asked: one script, which counts one key of one limit at a time.
//!
//! A key is a hash: `e` is when its window ends by the store's clock, `b` what was counted in the window before, and
//! each gateway has a field of its own. A gateway says what it has taken in all, so nothing is counted twice. Two
//! windows of one key run at the same time only after a store has forgotten one: what was taken in it counts in the other.
//! A clock that went back makes no window longer than it is.

use redis::{Cmd, Value};

use crate::limits::LimitOffer;

/// In: the key; the gateway, the length of the window in milliseconds, 1 if it slides, when the gateway thinks it
/// ends (0: it does not know), what the gateway has taken in it. Out: when it ends, how long that is, what the
/// gateway has, what the others have, what all had before.
const COUNT: &str = "\
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local window, slides = tonumber(ARGV[2]), ARGV[3] == '1'
local known, used = tonumber(ARGV[4]), tonumber(ARGV[5])
local ends, before, sum, own = 0, 0, 0, 0
local fields = redis.call('HGETALL', KEYS[1])
for at = 1, #fields, 2 do
  local name, number = fields[at], tonumber(fields[at + 1])
  if name == 'e' then ends = number
  elseif name == 'b' then before = number
  else
    sum = sum + number
    if name == ARGV[1] then own = number end
  end
end
if ends > now + window then
  ends = now + window
  redis.call('HSET', KEYS[1], 'e', ends)
end
if now >= ends then
  redis.call('DEL', KEYS[1])
  if slides and ends > 0 and now < ends + window then
    before, ends = sum, ends + window
  else
    before = 0
    if known > now and known <= now + window then ends = known else ends = now + window end
  end
  sum, own = 0, 0
  redis.call('HSET', KEYS[1], 'e', ends, 'b', before)
end
if (known == 0 or known > now) and used > own then
  sum, own = sum + used - own, used
  redis.call('HSET', KEYS[1], ARGV[1], own)
end
redis.call('PEXPIREAT', KEYS[1], slides and ends + window or ends)
return {ends, ends - now, own, sum - own, before}";

/// The script, with the digest that servers know it by.
#[derive(Debug)]
pub(super) struct CountScript(redis::Script);

impl CountScript {
    pub(super) fn new() -> Self {
        Self(redis::Script::new(COUNT))
    }

    /// Tells a server the script.
    pub(super) fn load() -> Cmd {
        let mut command = redis::cmd("SCRIPT");
        command.arg("LOAD").arg(COUNT);
        command
    }

    /// Runs it for an offer, whose key in the store is `key`.
    pub(super) fn count(&self, offer: &LimitOffer, key: &str) -> Cmd {
        let mut command = redis::cmd("EVALSHA");
        command.arg(self.0.get_hash()).arg(1).arg(key);
        command.arg(offer.instance()).arg(offer.window_ms()).arg(u8::from(offer.is_sliding()));
        command.arg(offer.offer().ends_ms).arg(offer.offer().used);
        command
    }
}

/// The five numbers of an answer; `None` if it is another.
pub(super) fn numbers(answer: &Value) -> Option<[i64; 5]> {
    let Value::Array(values) = answer else { return None };
    let mut numbers = [0; 5];
    if values.len() != numbers.len() {
        return None;
    }
    for (to, value) in numbers.iter_mut().zip(values) {
        let Value::Int(number) = value else { return None };
        *to = *number;
    }
    Some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_five_numbers() {
        let int = |numbers: &[i64]| Value::Array(numbers.iter().copied().map(Value::Int).collect());
        assert_eq!(numbers(&int(&[1, 2, 3, -4, 5])), Some([1, 2, 3, -4, 5]));
        for other in [
            int(&[1, 2, 3, 4]),
            int(&[1, 2, 3, 4, 5, 6]),
            Value::Int(1),
            Value::Nil,
            Value::Okay,
            Value::Array(vec![Value::BulkString(b"1".to_vec()); 5]),
            Value::Array(vec![Value::Nil; 5]),
        ] {
            assert_eq!(numbers(&other), None, "{other:?}");
        }
    }
}

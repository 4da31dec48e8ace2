//! The tokens of JSON (RFC 8259), taken from bytes that may end before the document does.

/// Why a document cannot be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The bytes end within the document.
    Incomplete,
    /// This is not JSON.
    Syntax {
        /// Bytes before the one that does not fit.
        at: usize,
        /// What was expected there.
        expected: &'static str,
    },
}

/// As deep as Go's reader follows arrays and objects.
const DEEPEST: usize = 10_000;

/// A string between its quotes, with its escapes still in it.
#[derive(Clone, Copy)]
pub(super) struct RawString<'a> {
    pub(super) body: &'a [u8],
    pub(super) escaped: bool,
}

/// A place in the bytes.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'a> {
    input: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(input: &'a [u8]) -> Self {
        Self { input, at: 0 }
    }

    /// Bytes passed so far.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    fn rest(&self) -> &'a [u8] {
        self.input.get(self.at..).unwrap_or_default()
    }

    pub(super) fn syntax<T>(&self, expected: &'static str) -> Result<T, Stop> {
        let at = self.at;
        Err(Stop::Syntax { at, expected })
    }

    /// Passes exactly these bytes, if they come next.
    #[inline(always)]
    pub(super) fn eat<const N: usize>(&mut self, bytes: &[u8; N]) -> bool {
        let found = self.rest().first_chunk::<N>() == Some(bytes);
        if found {
            self.at += N;
        }
        found
    }

    /// The next byte after white space, which is passed.
    #[inline]
    pub(super) fn peek(&mut self) -> Result<u8, Stop> {
        loop {
            match self.input.get(self.at) {
                Some(b' ' | b'\t' | b'\r' | b'\n') => self.at += 1,
                Some(&byte) => return Ok(byte),
                None => return Err(Stop::Incomplete),
            }
        }
    }

    /// Passes white space and this one byte.
    #[inline]
    pub(super) fn expect(&mut self, byte: u8, expected: &'static str) -> Result<(), Stop> {
        if self.peek()? != byte {
            return self.syntax(expected);
        }
        self.at += 1;
        Ok(())
    }

    /// After an element: passes a comma (`true`) or the end of the list (`false`).
    #[inline]
    pub(super) fn more(&mut self, end: u8, expected: &'static str) -> Result<bool, Stop> {
        let byte = self.peek()?;
        if byte != b',' && byte != end {
            return self.syntax(expected);
        }
        self.at += 1;
        Ok(byte == b',')
    }

    /// After the opening bracket: passes the end of the list, if it is empty.
    pub(super) fn empty(&mut self, end: u8) -> Result<bool, Stop> {
        let found = self.peek()? == end;
        if found {
            self.at += 1;
        }
        Ok(found)
    }

    /// What is between two quotes `len` bytes apart, if they come next. Whether that is
    /// one string is not known yet.
    #[inline]
    pub(super) fn quoted(&self, len: usize) -> Option<&'a [u8]> {
        let (&first, rest) = self.rest().split_first()?;
        let (body, after) = rest.split_at_checked(len)?;
        (first == b'"' && after.first() == Some(&b'"')).then_some(body)
    }

    /// Passes bytes that have been looked at.
    #[inline]
    pub(super) fn pass(&mut self, count: usize) {
        self.at += count;
    }

    /// Passes a string, whose opening quote comes next.
    #[inline]
    pub(super) fn string(&mut self) -> Result<RawString<'a>, Stop> {
        if !self.eat(b"\"") {
            self.expect(b'"', "a string")?;
        }
        let start = self.at;
        let mut escaped = false;
        loop {
            self.at += plain_len(self.rest());
            match self.input.get(self.at) {
                Some(b'"') => {
                    let body = self.input.get(start..self.at).unwrap_or_default();
                    self.at += 1;
                    return Ok(RawString { body, escaped });
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(_) => return self.syntax("no bare control character in a string"),
                None => return Err(Stop::Incomplete),
            }
        }
    }

    fn escape(&mut self) -> Result<(), Stop> {
        self.at += 1;
        let Some(kind) = self.input.get(self.at) else {
            return Err(Stop::Incomplete);
        };
        match kind {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {
                self.at += 1;
                Ok(())
            }
            b'u' => {
                self.at += 1;
                for _ in 0..4 {
                    match self.input.get(self.at) {
                        Some(digit) if digit.is_ascii_hexdigit() => self.at += 1,
                        Some(_) => return self.syntax("four hexadecimal digits after \\u"),
                        None => return Err(Stop::Incomplete),
                    }
                }
                Ok(())
            }
            _ => self.syntax("a known escape after \\"),
        }
    }

    /// Passes a number. One that ends where the bytes end is incomplete unless `at_end`.
    pub(super) fn number(&mut self, at_end: bool) -> Result<&'a [u8], Stop> {
        let start = self.at;
        if self.input.get(self.at) == Some(&b'-') {
            self.at += 1;
        }
        if self.input.get(self.at) == Some(&b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.input.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.input.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = self.input.get(self.at) {
                self.at += 1;
            }
            self.digits()?;
        }
        if self.at >= self.input.len() && !at_end {
            return Err(Stop::Incomplete);
        }
        Ok(self.input.get(start..self.at).unwrap_or_default())
    }

    fn digits(&mut self) -> Result<(), Stop> {
        let count = self.rest().iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        match (count, self.input.get(self.at)) {
            (0, None) => Err(Stop::Incomplete),
            (0, Some(_)) => self.syntax("a digit"),
            _ => Ok(()),
        }
    }

    /// Passes `true`, `false` or `null`.
    pub(super) fn word(&mut self, word: &'static str) -> Result<(), Stop> {
        for &byte in word.as_bytes() {
            match self.input.get(self.at) {
                Some(&found) if found == byte => self.at += 1,
                Some(_) => return self.syntax("true, false or null"),
                None => return Err(Stop::Incomplete),
            }
        }
        Ok(())
    }

    /// Passes any value. `depth` counts the arrays and objects around it.
    pub(super) fn skip_value(&mut self, depth: usize, at_end: bool) -> Result<(), Stop> {
        // The brackets that will close what is open.
        let mut open = Vec::new();
        loop {
            match self.peek()? {
                b'"' => drop(self.string()?),
                b'-' | b'0'..=b'9' => drop(self.number(at_end)?),
                b't' => self.word("true")?,
                b'f' => self.word("false")?,
                b'n' => self.word("null")?,
                bracket @ (b'{' | b'[') => {
                    if depth + open.len() >= DEEPEST {
                        return self.syntax("no more than 10000 arrays and objects within another");
                    }
                    self.at += 1;
                    let end = if bracket == b'{' { b'}' } else { b']' };
                    if !self.empty(end)? {
                        open.push(end);
                        self.name_in(end)?;
                        continue;
                    }
                }
                _ => return self.syntax("a value"),
            }
            // A value has ended; so may what is around it.
            loop {
                let Some(&end) = open.last() else {
                    return Ok(());
                };
                if self.more(end, "a comma or a closing bracket")? {
                    self.name_in(end)?;
                    break;
                }
                open.pop();
            }
        }
    }

    /// Within an object, passes the next name and its colon.
    fn name_in(&mut self, end: u8) -> Result<(), Stop> {
        if end == b'}' {
            self.string()?;
            self.expect(b':', "a colon")?;
        }
        Ok(())
    }
}

/// Length of the part before the first quote, backslash or control character.
#[inline]
fn plain_len(bytes: &[u8]) -> usize {
    let special = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\';
    let mut at = 0;
    // Sixteen bytes are looked at together, without a branch, in one vector register.
    for block in bytes.as_chunks::<16>().0 {
        let any = block.iter().fold(0, |any, &byte| any | u8::from(special(byte)));
        if any != 0 {
            break;
        }
        at += 16;
    }
    let rest = bytes.get(at..).unwrap_or_default();
    // The lowest zero byte of a word shows exactly in the usual test for one.
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word;
    for word in rest.as_chunks::<8>().0.iter().take(2) {
        let word = u64::from_le_bytes(*word);
        let quotes = zeros(word ^ (ONES * b'"' as u64));
        let backslashes = zeros(word ^ (ONES * b'\\' as u64));
        let controls = word.wrapping_sub(ONES * 0x20) & !word;
        let found = (quotes | backslashes | controls) & HIGH;
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    let tail = bytes.get(at..).unwrap_or_default();
    at + tail.iter().position(|&byte| special(byte)).unwrap_or(tail.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_string_is_found_wherever_it_is() {
        for length in 0..40 {
            for special in [b'"', b'\\', 0x1f, 0] {
                let mut bytes = vec![b'\x80'; length];
                bytes.push(special);
                bytes.extend_from_slice(b"\"\\\x01  !!");
                assert_eq!(plain_len(&bytes), length);
            }
        }
        assert_eq!(plain_len(b" !#[]\x7f\xff\xa2\xdc\x9f"), 10);
    }

    #[test]
    fn values_are_passed_whole() {
        for text in [
            "null",
            "true",
            "false",
            "\"\"",
            "-0",
            "0.5e-7",
            "[]",
            "{}",
            "[1,[2,{}],{\"a\":[]}]",
            " [ 1 , { \"a\" : null } ] ",
        ] {
            let mut cursor = Cursor::new(text.as_bytes());
            assert_eq!(cursor.skip_value(0, true), Ok(()), "{text}");
            assert_eq!(cursor.at(), text.trim_end().len());
            for cut in 0..text.trim_end().len() {
                let stop = Cursor::new(&text.as_bytes()[..cut]).skip_value(0, false);
                assert_eq!(stop, Err(Stop::Incomplete), "{text} cut to {cut}");
            }
        }
        for text in [
            "nul ",
            "tru,",
            "01x",
            "-x",
            "1.x",
            "1ex",
            "[1 2]",
            "[,",
            "{1",
            "{\"a\",",
            "]",
            "[}",
            "\"\n\"",
            r#""\x""#,
            r#""\u12g4""#,
            "'a'",
        ] {
            let stop = Cursor::new(text.as_bytes()).skip_value(0, true);
            // A number may end before what follows is found to be wrong.
            let digits = text == "01x";
            assert_eq!(matches!(stop, Err(Stop::Syntax { .. })), !digits, "{text}");
        }
    }

    #[test]
    fn nesting_ends_at_ten_thousand() {
        let nested = |depth: usize| [b"[".repeat(depth), b"]".repeat(depth)].concat();
        assert_eq!(Cursor::new(&nested(10_000)).skip_value(0, true), Ok(()));
        let stop = Cursor::new(&nested(10_001)).skip_value(0, true);
        assert!(matches!(stop, Err(Stop::Syntax { at: 10_000, .. })));
    }
}

//! Strings as Go's `encoding/json` writes them, with HTML escaping on.

/// Bytes that may not stand as they are. 0xE2 begins U+2028 and U+2029, among others.
static SPECIAL: [bool; 256] = special();

#[expect(clippy::indexing_slicing, reason = "runs at compile time only")]
const fn special() -> [bool; 256] {
    let mut table = [false; 256];
    let mut control = 0;
    while control < 0x20 {
        table[control] = true;
        control += 1;
    }
    table[b'"' as usize] = true;
    table[b'\\' as usize] = true;
    table[b'<' as usize] = true;
    table[b'>' as usize] = true;
    table[b'&' as usize] = true;
    table[0xe2] = true;
    table
}

/// Appends a string with its quotes.
pub(super) fn push_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    push_escaped(text.as_bytes(), out);
    out.push(b'"');
}

/// Appends bytes as a string with its quotes. Each byte that is no part of UTF-8 becomes
/// `\ufffd`.
pub(super) fn push_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for chunk in bytes.utf8_chunks() {
        push_escaped(chunk.valid().as_bytes(), out);
        for _ in chunk.invalid() {
            out.extend_from_slice(b"\\ufffd");
        }
    }
    out.push(b'"');
}

fn push_escaped(mut rest: &[u8], out: &mut Vec<u8>) {
    let is_special = |&byte: &u8| SPECIAL.get(usize::from(byte)).copied().unwrap_or(true);
    while let Some(at) = rest.iter().position(is_special) {
        let (plain, from) = rest.split_at(at);
        out.extend_from_slice(plain);
        let mut taken = 1;
        match from {
            [0xe2, 0x80, last @ (0xa8 | 0xa9), ..] => {
                taken = 3;
                out.extend_from_slice(if *last == 0xa8 { b"\\u2028" } else { b"\\u2029" });
            }
            [byte, ..] => push_special(*byte, out),
            [] => {}
        }
        rest = from.get(taken..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}

fn push_special(byte: u8, out: &mut Vec<u8>) {
    let short = match byte {
        b'"' => b'"',
        b'\\' => b'\\',
        0x08 => b'b',
        0x0c => b'f',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0xe2 => return out.push(byte),
        _ => {
            let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('0') as u8;
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte & 15)]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(bytes: &[u8]) -> String {
        let mut out = Vec::new();
        push_bytes(bytes, &mut out);
        if let Ok(text) = std::str::from_utf8(bytes) {
            let mut again = Vec::new();
            push_string(text, &mut again);
            assert_eq!(again, out);
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn strings_are_escaped_as_in_go() {
        assert_eq!(written(b""), r#""""#);
        assert_eq!(written(b"a\"b\\c/d"), r#""a\"b\\c/d""#);
        assert_eq!(written(b"\x08\x0c\n\r\t\x00\x1f\x7f"), "\"\\b\\f\\n\\r\\t\\u0000\\u001f\x7f\"");
        assert_eq!(written(b"<a&b>"), r#""\u003ca\u0026b\u003e""#);
        assert_eq!(
            written("\u{2028}\u{2029}\u{2027}\u{feff}é\u{1f4cc}\u{fffd}".as_bytes()),
            "\"\\u2028\\u2029\u{2027}\u{feff}é\u{1f4cc}\u{fffd}\""
        );
        assert_eq!(written(b"a\xffb\xe2\x82"), r#""a\ufffdb\ufffd\ufffd""#);
        assert_eq!(written(b"\xed\xa0\x80"), r#""\ufffd\ufffd\ufffd""#);
    }
}

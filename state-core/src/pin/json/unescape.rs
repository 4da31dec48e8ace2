//! What JSON's strings stand for, as Go's `encoding/json` reads them.

use super::lex::RawString;

/// Appends what a string stands for. `false` if some of it had to be replaced by U+FFFD:
/// half of a surrogate pair, or a byte that is no part of UTF-8.
pub(super) fn unescape(raw: RawString<'_>, out: &mut Vec<u8>) -> bool {
    if !raw.escaped {
        return push_utf8(raw.body, out);
    }
    let mut whole = true;
    let mut rest = raw.body;
    loop {
        let plain = rest.iter().position(|&byte| byte == b'\\').unwrap_or(rest.len());
        let (text, escape) = rest.split_at(plain);
        whole &= push_utf8(text, out);
        let [_, kind, after @ ..] = escape else {
            return whole;
        };
        rest = after;
        match kind {
            b'b' => out.push(0x08),
            b'f' => out.push(0x0c),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'u' => {
                let character = code_point(&mut rest);
                whole &= character.is_some();
                push_char(character.unwrap_or(char::REPLACEMENT_CHARACTER), out);
            }
            other => out.push(*other),
        }
    }
}

fn push_utf8(text: &[u8], out: &mut Vec<u8>) -> bool {
    if std::str::from_utf8(text).is_ok() {
        out.extend_from_slice(text);
        return true;
    }
    let mut whole = true;
    for chunk in text.utf8_chunks() {
        out.extend_from_slice(chunk.valid().as_bytes());
        for _ in chunk.invalid() {
            whole = false;
            push_char(char::REPLACEMENT_CHARACTER, out);
        }
    }
    whole
}

fn push_char(character: char, out: &mut Vec<u8>) {
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
}

/// The character of the four digits after `\u`, and of the second half of a pair.
fn code_point(rest: &mut &[u8]) -> Option<char> {
    let unit = hex4(rest)?;
    *rest = rest.get(4..)?;
    if let Some(character) = char::from_u32(unit) {
        return Some(character);
    }
    let after = rest.strip_prefix(b"\\u")?;
    let mut pair = char::decode_utf16([unit as u16, hex4(after)? as u16]);
    let character = pair.next()?.ok()?;
    *rest = after.get(4..)?;
    Some(character)
}

fn hex4(digits: &[u8]) -> Option<u32> {
    digits
        .first_chunk::<4>()?
        .iter()
        .try_fold(0, |unit, &digit| Some(unit << 4 | char::from(digit).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::super::lex::Cursor;
    use super::*;

    fn decoded(body: &[u8]) -> (Vec<u8>, bool) {
        let quoted = [b"\"", body, b"\""].concat();
        let raw = Cursor::new(&quoted).string().unwrap();
        let mut out = Vec::new();
        let whole = unescape(raw, &mut out);
        (out, whole)
    }

    #[test]
    fn strings_are_unescaped() {
        let text = |text: &str| (text.as_bytes().to_vec(), true);
        assert_eq!(decoded(b""), text(""));
        assert_eq!(decoded(br#"a\"\\\/\b\f\n\r\t"#), text("a\"\\/\u{8}\u{c}\n\r\t"));
        assert_eq!(decoded(br"\u00e9\uD83D\uDCCC\u0000"), text("é📌\0"));
        let lossy = |text: &str| (text.as_bytes().to_vec(), false);
        assert_eq!(decoded(br"\ud83dx"), lossy("\u{fffd}x"));
        assert_eq!(decoded(br"\ud83d\u0041"), lossy("\u{fffd}A"));
        assert_eq!(decoded(br"\udccc\ud83d"), lossy("\u{fffd}\u{fffd}"));
        assert_eq!(decoded(b"a\xffb"), lossy("a\u{fffd}b"));
        assert_eq!(decoded(b"\xe2\x82"), lossy("\u{fffd}\u{fffd}"));
    }
}

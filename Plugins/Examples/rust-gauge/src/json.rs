//! Reads members of JSON objects, which is all that many channels need; for more there are crates.

// A channel uses what it needs.
#![allow(dead_code)]

/// The value of an object's member as JSON: a string with its quotes, an object to look into in the same way.
///
/// A name that is written with escapes is not found. The host has checked that the text is JSON.
pub fn member<'a>(json: &'a str, name: &str) -> Option<&'a str> {
    let bytes = json.as_bytes();
    let (mut at, mut depth) = (0, 0);
    let (mut comes_name, mut is_it, mut start) = (false, false, None);
    while at < bytes.len() {
        match bytes[at] {
            b'"' => {
                let first = at + 1;
                at = first;
                while at < bytes.len() && bytes[at] != b'"' {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
                if depth == 1 && comes_name {
                    is_it = json.get(first..at) == Some(name);
                    comes_name = false;
                }
            }
            b'{' | b'[' => {
                depth += 1;
                if depth == 1 {
                    comes_name = bytes[at] == b'{';
                }
            }
            b':' if depth == 1 => start = Some(at + 1),
            byte @ (b',' | b'}' | b']') => {
                if let (1, true, Some(start)) = (depth, is_it, start) {
                    return json.get(start..at).map(str::trim);
                }
                if byte != b',' {
                    depth -= 1;
                }
                comes_name = byte == b',' && depth == 1;
            }
            _ => {}
        }
        at += 1;
    }
    None
}

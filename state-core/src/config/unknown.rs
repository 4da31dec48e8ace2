//! The nearest known word to an unknown one.

/// The known word that a misspelt one most likely stands for, if any is near enough.
#[must_use]
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len().max(word.len()) / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// ": did you mean …" or a list of what there is.
pub(super) fn hint(word: &str, known: &[&str]) -> String {
    match nearest(word, known.iter().copied()) {
        Some(near) => format!("; nearest known key: '{near}'"),
        None if known.is_empty() => "; no key is known here".to_owned(),
        None => format!("; known keys: {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_found_and_far_ones_are_not() {
        let known = ["path", "cache_bytes", "durability"];
        assert_eq!(nearest("pth", known), Some("path"));
        assert_eq!(nearest("Durabilty", known), Some("durability"));
        assert_eq!(nearest("cache", known), None);
        assert_eq!(nearest("zzz", known), None);
    }
}

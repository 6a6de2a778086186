//! Names of entries: where an archive would put a file.

/// An entry's path with `/` between its components; `.` and empty components are gone.
///
/// Both slashes count as separators, as they do where packages are installed. A trailing one marks a folder.
///
/// # Errors
/// What is wrong, for a name that would leave the folder it is extracted to, or is no path at all.
pub(super) fn normalised(name: &str) -> Result<String, &'static str> {
    if name.is_empty() {
        return Err("is empty");
    }
    if name.starts_with(['/', '\\']) {
        return Err("is absolute");
    }
    if let Some((drive, _)) = name.split_once(':')
        && drive.len() == 1
        && drive.starts_with(|c: char| c.is_ascii_alphabetic())
    {
        return Err("starts with a drive");
    }
    if name.contains('\0') {
        return Err("holds a NUL character");
    }
    let mut path = String::with_capacity(name.len());
    for component in name.split(['/', '\\']) {
        match component {
            "" | "." => {}
            // Windows drops trailing dots and spaces: '.. ' is '..' there.
            _ if component.starts_with("..") && component.trim_end_matches(['.', ' ']).is_empty() => {
                return Err("leads out of the archive");
            }
            _ => {
                if !path.is_empty() {
                    path.push('/');
                }
                path.push_str(component);
            }
        }
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_that_stay_inside_are_normalised() {
        for (name, path) in [
            ("a.txt", "a.txt"),
            ("a/b/", "a/b"),
            ("a\\b", "a/b"),
            ("./a/.//b", "a/b"),
            ("..a/b..", "..a/b.."),
            (".hidden", ".hidden"),
            ("ab:c", "ab:c"),
            ("./", ""),
        ] {
            assert_eq!(normalised(name), Ok(path.into()), "{name}");
        }
    }

    #[test]
    fn paths_that_lead_outside_are_refused() {
        for name in [
            "",
            "/etc/passwd",
            "\\\\host\\share",
            "C:\\x",
            "c:x",
            "..",
            "../x",
            "a/../../x",
            "a\\..\\x",
            "a/.. /x",
            "a/.../x",
            "a\0b",
        ] {
            assert!(normalised(name).is_err(), "{name:?}");
        }
    }

    proptest! {
        #[test]
        fn a_normalised_path_is_relative_and_stays_so(name in "([a.:/\\\\ ]|\\PC){0,12}") {
            if let Ok(path) = normalised(&name) {
                prop_assert!(!path.starts_with('/') && path.split('/').all(|component| component != ".."));
                if !path.is_empty() && !path.contains(':') {
                    prop_assert_eq!(normalised(&path), Ok(path.clone()));
                }
            }
        }
    }
}

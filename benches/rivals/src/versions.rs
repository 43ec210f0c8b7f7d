//! Which versions are compared: what the lock file says, which is what this was built from.

const LOCK: &str = include_str!("../Cargo.lock");

/// The sides and the parts of smol that do the work.
const NAMES: &[&str] = &["evloop", "tokio", "smol", "async-executor", "async-io", "async-channel"];

pub(crate) fn line() -> String {
    let named = NAMES.iter().map(|name| format!("{name} {}", version(name).unwrap_or("?")));
    named.collect::<Vec<_>>().join(", ")
}

fn version(name: &str) -> Option<&'static str> {
    let (_, rest) = LOCK.split_once(&format!("name = \"{name}\"\nversion = \""))?;
    rest.split('"').next()
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_name_has_a_version() {
        for name in super::NAMES {
            assert!(super::version(name).is_some(), "{name} is not in the lock file");
        }
    }
}

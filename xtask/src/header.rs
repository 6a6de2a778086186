//! `include/uss.h`: made from `src/ffi`, committed, compared.
//!
//! cbindgen reads the functions and their manual; the library itself tells its commands. What three places name must
//! be the same functions: the header, the library's exported symbols, and the script side's table.

use std::{collections::BTreeSet, path::Path, process::Command};

use cbindgen::{Builder, Config, Language, Style};

use crate::{
    Result, process,
    workspace::{self, Built, Profile},
};

/// Gives a pointer into native memory, which a script has no use for.
const NOT_FOR_SCRIPTS: &str = "uss_buffer_view";

/// Builds what the header is made from and compared with: the library, and the program that tells its commands.
pub(crate) fn build() -> Result<Built> {
    workspace::build(Profile::Dev, &["-p", "uss", "--lib", "--example", "commands"])
}

/// Writes include/uss.h.
pub(crate) fn write(built: &Built) -> Result<()> {
    let path = workspace::root().join("include/uss.h");
    std::fs::write(&path, generate(built)?).map_err(|error| format!("cannot write {}: {error}", path.display()).into())
}

/// Compares include/uss.h with what it should be, and the exported symbols and the script side's table with it.
pub(crate) fn check(built: &Built) -> Result<()> {
    let text = generate(built)?;
    let committed = std::fs::read_to_string(workspace::root().join("include/uss.h")).unwrap_or_default();
    if committed.replace("\r\n", "\n") != text {
        return Err("include/uss.h is not what src/ffi says; run cargo xtask header and commit it".into());
    }
    let declared = functions(&text);
    let table = workspace::root().join("powershell/Native/Native.psm1");
    let script =
        std::fs::read_to_string(&table).map_err(|error| format!("cannot read {}: {error}", table.display()))?;
    let mut for_scripts = declared.clone();
    for_scripts.remove(NOT_FOR_SCRIPTS);
    same("powershell/Native/Native.psm1", &table_names(&script), &for_scripts)?;
    if cfg!(target_os = "linux") {
        same("the library", &exported(&built.library()?)?, &declared)?;
    }
    Ok(())
}

fn generate(built: &Built) -> Result<String> {
    let folder = workspace::root().join("src/ffi");
    let conventions = std::fs::read_to_string(folder.join("mod.rs"))?;
    let commands = process::output(&mut Command::new(built.program("commands")?))?;
    let mut config = Config {
        language: Language::C,
        style: Style::Both,
        cpp_compat: true,
        documentation: true,
        include_guard: Some("USS_H".into()),
        header: Some(comment(&preface(&conventions))),
        trailer: Some(comment(&format!("Fields of connections and commands.\n\n{commands}"))),
        line_length: 110,
        ..Config::default()
    };
    config.export.rename.insert("Out".into(), "uss_out".into());
    config.no_includes = true;
    config.sys_includes = vec!["stdint.h".into()];
    // It follows the module declarations from there, in their order.
    let source = Builder::new().with_config(config).with_src(folder.join("mod.rs"));
    let bindings = source.generate().map_err(|error| format!("cbindgen cannot read src/ffi: {error}"))?;
    let mut text = Vec::new();
    bindings.write(&mut text);
    Ok(String::from_utf8(text)?.replace("# Safety", "The caller promises:"))
}

/// The conventions: the module's own documentation.
fn preface(source: &str) -> String {
    let lines = source.lines().map_while(|line| line.strip_prefix("//!"));
    let text: Vec<&str> = lines.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
    format!("{}\n\nMade by cargo xtask header from src/ffi. Don't edit.", text.join("\n").replace("**", ""))
}

fn comment(text: &str) -> String {
    let lines = text.trim_end().lines().map(|line| format!(" * {}", line.replace("*/", "* /")));
    let lines: Vec<String> = lines.map(|line| line.trim_end().to_owned()).collect();
    format!("/*\n{}\n */", lines.join("\n"))
}

/// The functions that include/uss.h declares.
pub(crate) fn declared() -> Result<BTreeSet<String>> {
    Ok(functions(&std::fs::read_to_string(workspace::root().join("include/uss.h"))?))
}

/// The functions that a header declares.
fn functions(header: &str) -> BTreeSet<String> {
    let code: String = header.split("/*").map(|part| part.split_once("*/").map_or(part, |(_, code)| code)).collect();
    let calls = code.split('(').filter_map(|before| before.rsplit(|c: char| !(c.is_alphanumeric() || c == '_')).next());
    calls.filter(|name| name.starts_with("uss_")).map(str::to_owned).collect()
}

/// The functions that the script side's table names: `uss_op_free = [int], [long]`.
fn table_names(script: &str) -> BTreeSet<String> {
    let named = script.lines().filter_map(|line| line.trim().split_once('='));
    named.map(|(name, _)| name.trim().to_owned()).filter(|name| name.starts_with("uss_")).collect()
}

/// The symbols that a shared library gives to those who load it.
fn exported(library: &Path) -> Result<BTreeSet<String>> {
    let symbols = process::output(Command::new("nm").args(["-D", "--defined-only", "--format=posix"]).arg(library))?;
    Ok(symbols.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
}

pub(crate) fn same(place: &str, found: &BTreeSet<String>, declared: &BTreeSet<String>) -> Result<()> {
    let differences: Vec<&str> = found.symmetric_difference(declared).map(String::as_str).collect();
    if differences.is_empty() {
        return Ok(());
    }
    Err(format!("{place} and include/uss.h do not name the same functions; they differ in {}", differences.join(", "))
        .into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
        names.map(str::to_owned).into()
    }

    #[test]
    fn declared_functions_are_found_beside_comments_that_name_others() {
        let header =
            "/* uss_no(1) */\nint32_t uss_a(uint64_t op);\n/** see uss_b(). */\nint32_t\nuss_c(void);\n#define X 1\n";
        assert_eq!(functions(header), names(["uss_a", "uss_c"]));
    }

    #[test]
    fn the_scripts_table_is_read_by_its_names() {
        assert_eq!(
            table_names("$x = @{\n    uss_a = [int], [long]\n    uss_b=[uint32]\n}\nuss = 1"),
            names(["uss_a", "uss_b"])
        );
    }

    #[test]
    fn a_function_that_one_place_misses_is_named() {
        let error = same("here", &names(["uss_a"]), &names(["uss_a", "uss_b"])).map_err(|error| error.to_string());
        assert_eq!(error, Err("here and include/uss.h do not name the same functions; they differ in uss_b".into()));
    }
}

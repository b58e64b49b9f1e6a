//! `residual.h` declares what the library exports, with the same types.

use std::collections::BTreeMap;
use std::path::Path;

/// A function: its name, the types of its arguments, the type of its result.
type Functions = BTreeMap<String, (Vec<String>, String)>;

/// A type of the header in Rust.
fn rust_type(c: &str) -> String {
    let c = c.replace('*', " * ");
    let words: Vec<&str> = c.split_whitespace().filter(|word| *word != "struct").collect();
    let (is_const, words) = match words.split_first() {
        Some((&"const", rest)) => (true, rest),
        _ => (false, &words[..]),
    };
    let (name, pointers) = words.split_first().unwrap();
    assert!(pointers.iter().all(|&word| word == "*"), "{c}");
    let name = match *name {
        "char" => "c_char",
        "uint8_t" => "u8",
        "size_t" => "usize",
        "float" => "f32",
        "void" => "()",
        "residual_status" => "Status",
        "residual_network" => "Network",
        "residual_image" => "Image",
        "residual_maps" => "Maps",
        other => panic!("{other} has no counterpart"),
    };
    // `const T **` is a mutable place for a pointer to constant values; there is none.
    let pointer = if is_const { "*const " } else { "*mut " };
    pointer.repeat(pointers.len()) + name
}

fn header() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("include/residual.h");
    let text = std::fs::read_to_string(path).unwrap();
    // Without comments.
    let mut bare = String::new();
    let mut rest = text.as_str();
    while let Some((before, comment)) = rest.split_once("/*") {
        bare.push_str(before);
        rest = comment.split_once("*/").unwrap().1;
    }
    bare.push_str(rest);
    let lines: Vec<&str> = bare.lines().filter(|line| !line.starts_with('#')).collect();
    lines.join("\n")
}

fn sources() -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let text: String = files.map(|file| std::fs::read_to_string(file).unwrap()).collect();
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    lines.join("\n")
}

/// The type of an argument, `const char *path`, without its name.
fn unnamed(argument: &str) -> String {
    let end = argument.trim().rfind(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap();
    argument.trim()[..=end].to_owned()
}

fn declared(header: &str) -> Functions {
    let flat = header.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut functions = Functions::new();
    for statement in flat.split(';') {
        let Some((start, arguments)) = statement.split_once('(') else { continue };
        let start = start.rsplit(['}', '{', '"']).next().unwrap().trim();
        let Some(at) = start.rfind("residual_") else { continue };
        let (result, name) = start.split_at(at);
        let arguments = arguments.trim_end().trim_end_matches(')');
        let arguments: Vec<String> = match arguments {
            "void" => Vec::new(),
            all => all.split(',').map(|argument| rust_type(&unnamed(argument))).collect(),
        };
        functions.insert(name.to_owned(), (arguments, rust_type(result)));
    }
    functions
}

fn exported(sources: &str) -> Functions {
    let flat = sources.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut functions = Functions::new();
    for function in flat.split("#[unsafe(no_mangle)]").skip(1) {
        let start = function.split_once("extern \"C\" fn ").unwrap().1;
        let (name, rest) = start.split_once('(').unwrap();
        let (arguments, rest) = rest.split_once(')').unwrap();
        let result = rest.split_once('{').unwrap().0.trim().trim_start_matches("->").trim();
        let types = arguments.split(',').map(str::trim).filter(|argument| !argument.is_empty());
        let types = types.map(|argument| argument.split_once(": ").unwrap().1.to_owned()).collect();
        let result = if result.is_empty() { "()" } else { result };
        functions.insert(name.to_owned(), (types, result.to_owned()));
    }
    functions
}

#[test]
fn every_function_is_declared_as_it_is_exported() {
    let (declared, exported) = (declared(&header()), exported(&sources()));
    assert!(declared.len() >= 12, "{declared:?}");
    assert_eq!(declared, exported);
}

/// Names of the fields of a struct, or of the variants of an enum with their values, in order.
fn members(text: &str, opening: &str, separator: char) -> Vec<String> {
    let body =
        text.split_once(opening).unwrap_or_else(|| panic!("no {opening}")).1.split_once('}').unwrap().0;
    body.split(separator).map(str::trim).filter(|member| !member.is_empty()).map(str::to_owned).collect()
}

#[test]
fn structs_and_codes_are_the_same() {
    let (header, sources) = (header(), sources());
    let code = |line: &str| line.lines().rfind(|line| line.contains(" = ")).unwrap().trim().to_owned();
    let upper = |name: &str| {
        let split = name.chars().enumerate().map(|(at, c)| match at > 0 && c.is_uppercase() {
            true => format!("_{c}"),
            false => c.to_string(),
        });
        split.collect::<String>().to_uppercase()
    };
    let in_c: Vec<String> =
        members(&header, "enum residual_status {", ',').iter().map(|line| code(line)).collect();
    let in_rust = members(&sources, "pub enum Status {", ',');
    let in_rust: Vec<String> = in_rust
        .iter()
        .map(|line| code(line))
        .map(|line| {
            let (name, value) = line.split_once(" = ").unwrap();
            format!("RESIDUAL_{} = {value}", upper(name))
        })
        .collect();
    assert_eq!(in_c, in_rust);
    assert!(in_c.len() == 6);
    for (c, rust) in [("residual_image", "Image"), ("residual_maps", "Maps")] {
        let fields = members(&header, &format!("struct {c} {{"), ';');
        let in_c = fields.iter().map(|field| {
            let type_of = unnamed(field);
            format!("pub {}: {}", field[type_of.len()..].trim(), rust_type(&type_of))
        });
        let fields = members(&sources, &format!("pub struct {rust} {{"), ',');
        let in_rust = fields.iter().map(|field| field.lines().last().unwrap().trim().to_owned());
        assert_eq!(in_c.collect::<Vec<_>>(), in_rust.collect::<Vec<_>>(), "{c}");
    }
}

#[cfg(unix)]
#[test]
fn the_library_has_these_symbols() {
    let folder = std::env::current_exe().unwrap().parent().unwrap().to_owned();
    let library = folder.join(format!("libresidual_c{}", std::env::consts::DLL_SUFFIX));
    let bytes = std::fs::read(&library).unwrap_or_else(|error| panic!("{}: {error}", library.display()));
    for name in declared(&header()).keys() {
        let symbol = [&[0], name.as_bytes(), &[0]].concat();
        // On macOS names begin with an underscore.
        let with_underscore = [&[0, b'_'], name.as_bytes(), &[0]].concat();
        let has = |symbol: &[u8]| bytes.windows(symbol.len()).any(|found| found == symbol);
        assert!(has(&symbol) || has(&with_underscore), "{name}");
    }
}

//! What is done to two blocks of one kind, and whether both are still there.

/// Makes one text of two blocks with this label.
type Change = fn(&str, &str, &str) -> String;

/// One line of the table.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) change: Change,
}

const fn case(name: &'static str, change: Change) -> Case {
    Case { name, change }
}

/// Both blocks are seen.
pub(crate) const TAKEN: [Case; 8] = [
    case("as they are", |one, two, _| format!("{one}{two}")),
    case("CRLF", |one, two, _| format!("{one}{two}").replace('\n', "\r\n")),
    case("no final newline", |one, two, _| format!("{one}{two}").trim_end().to_owned()),
    case("a byte-order mark first", |one, two, _| format!("\u{feff}{one}{two}")),
    case("comments", |one, two, _| {
        format!("# one\nCN = a - b\n{one}\n\n# --- end of two\n{two}\nbye\n")
    }),
    case("a tab behind the dashes", |one, two, _| {
        format!("{one}{two}").replace("-----\n", "-----\t\n")
    }),
    case("blanks behind the dashes", |one, two, _| {
        format!("{one}{two}").replace("-----\n", "-----  \n")
    }),
    case("white space in base64", |one, two, _| {
        format!("{one}{}", two.replacen("\nMI", "\n M\tI \n\n", 1))
    }),
];

/// The second block is not what it was, and that is told.
pub(crate) const REFUSED: [Case; 37] = [
    case("joined without a newline", |one, two, _| format!("{}{two}", one.trim_end())),
    case("joined by a blank", |one, two, _| format!("{} {two}", one.trim_end())),
    case("joined by a carriage return", |one, two, _| format!("{}\r{two}", one.trim_end())),
    case("a byte-order mark in between", |one, two, _| format!("{one}\u{feff}{two}")),
    case("an indented block", |one, two, _| format!("{one}{}", each_line(two, "  "))),
    case("a block behind tabs", |one, two, _| format!("{one}{}", each_line(two, "\t"))),
    case("an indented beginning", |one, two, _| format!("{one} {two}")),
    case("a block in a comment", |one, two, _| format!("{one}{}", each_line(two, "# "))),
    case("lower case", |one, two, _| {
        format!("{one}{}", two.replace("BEGIN", "begin").replace("END", "end"))
    }),
    case("four dashes", |one, two, _| format!("{one}{}", two.replace("-----", "----"))),
    case("six dashes", |one, two, _| format!("{one}{}", two.replace("-----", "------"))),
    case("dashes of a text processor", |one, two, _| {
        format!("{one}{}", two.replace("-----", "\u{2014}\u{2013}"))
    }),
    case("a blank without width behind the dashes", |one, two, _| {
        format!("{one}{}", narrow(two).replace("-----", "-----\u{200b}"))
    }),
    case("a blank without width in the label", |one, two, label| {
        format!(
            "{one}{}",
            narrow(two).replace(label, &format!("\u{2060}{label}")).replace("----- ", "-----")
        )
    }),
    case("a line separator in front", |one, two, _| {
        format!(
            "{one}{}",
            narrow(two).replace("-----B", "\u{2028}----B").replace("-----E", "\u{2028}----E")
        )
    }),
    case("a blank that does not break", |one, two, _| {
        format!(
            "{one}{}",
            narrow(two).replace("BEGIN ", "BEGIN\u{a0}").replace("END ", "END\u{a0}")
        )
    }),
    case("minus signs", |one, two, _| {
        format!("{one}{}", narrow(two).replace("-----", "\u{2212}\u{2212}\u{2212}\u{2212}\u{2212}"))
    }),
    case("dashes of full width", |one, two, _| {
        format!("{one}{}", narrow(two).replace('-', "\u{ff0d}"))
    }),
    case("letters of full width", |one, two, _| {
        let wide = |word: &str| -> String {
            word.bytes().filter_map(|byte| char::from_u32(u32::from(byte) + 0xfee0)).collect()
        };
        format!(
            "{one}{}",
            narrow(two).replace("BEGIN", &wide("BEGIN")).replace("END", &wide("END"))
        )
    }),
    case("a letter of another script", |one, two, _| {
        let two = narrow(two).replace("BEGIN", "B\u{415}GIN").replace("-----END", "-----\u{415}ND");
        format!("{one}{two}")
    }),
    case("soft hyphens", |one, two, _| {
        format!("{one}{}", narrow(two).replace("-----", "\u{ad}\u{ad}\u{ad}\u{ad}\u{ad}"))
    }),
    case("no blank behind BEGIN", |one, two, _| format!("{one}{}", two.replace("BEGIN ", "BEGIN"))),
    case("no beginning", |one, two, _| format!("{one}{}", behind_first_line(two))),
    case("neither beginning nor end", |one, two, _| {
        let body = behind_first_line(two);
        format!("{one}{}", body.split("-----").next().unwrap_or_default())
    }),
    case("CR alone", |one, two, _| format!("{one}{two}").replace('\n', "\r")),
    case("no end", |one, two, _| format!("{one}{}", without_end(two))),
    case("no end of the first", |one, two, _| format!("{}{two}", without_end(one))),
    case("another end", |one, two, label| {
        format!("{one}{}", two.replace(&format!("END {label}"), "END PKCS7"))
    }),
    case("an end too many", |one, two, label| format!("{one}-----END {label}-----\n{two}")),
    case("a NUL in between", |one, two, _| format!("{one}\0{two}")),
    case("UTF-16", |one, two, _| {
        format!("{one}{two}").chars().flat_map(|letter| [letter, '\0']).collect()
    }),
    case("a letter that is none", |one, two, _| {
        format!("{one}{}", two.replacen("\nMI", "\nM*I", 1))
    }),
    case("an empty block", |one, two, label| {
        format!("{one}-----BEGIN {label}-----\n-----END {label}-----\n{two}")
    }),
    case("data behind the padding", |one, two, _| {
        format!("{one}{}", two.replace("\n-----END", "\nAA==\nAA==\n-----END"))
    }),
    case("headers of an encrypted key", |one, two, label| {
        let first = format!("BEGIN {label}-----\n");
        let more = "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n";
        format!("{one}{}", two.replace(&first, &format!("{first}{more}")))
    }),
    case("a header", |one, two, label| {
        let first = format!("BEGIN {label}-----\n");
        format!("{one}{}", two.replace(&first, &format!("{first}Comment: mine\n\n")))
    }),
    case("a kind that nobody knows", |one, two, label| {
        format!("{one}{}", two.replace(label, &format!("MY {label}")))
    }),
];

fn each_line(block: &str, front: &str) -> String {
    block.lines().map(|line| format!("{front}{line}\n")).collect()
}

/// In lines too short to be told from words.
fn narrow(block: &str) -> String {
    let mut out = String::new();
    for line in block.lines() {
        if line.contains('-') {
            out.push_str(line);
            out.push('\n');
            continue;
        }
        let letters: Vec<char> = line.chars().collect();
        for part in letters.chunks(32) {
            out.extend(part);
            out.push('\n');
        }
    }
    out
}

fn behind_first_line(block: &str) -> &str {
    block.split_once('\n').map_or("", |(_, rest)| rest)
}

fn without_end(block: &str) -> &str {
    block.split("-----END").next().unwrap_or_default()
}

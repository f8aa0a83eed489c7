// AttributeSpec+Listing.swift: options as a table for people and as JSON for programs; operators and architectures list theirs alike.
// Not here: who has which options.

extension AttributeSpec {
    /// Options as a table: name, default, bounds, sentence; a line each.
    package static func table(_ specs: [AttributeSpec], indent: String) -> String {
        let rows = specs.map { ["\($0.name)=\($0.defaultText ?? "…")", "\($0.kind.words)", $0.documentation] }
        return TextTable(rows: rows, indent: indent).text
    }

    /// The option as JSON: {"name", "kind", "default", "minimum", "maximum", "choices", "documentation"}; null where it has none.
    package var json: JSON {
        var (word, minimum, maximum, choices) = ("", JSON.null, JSON.null, JSON.null)
        switch kind {
        case .integer(let bounds):
            (word, minimum, maximum) = ("integer", .integer(bounds.lowerBound), .integer(bounds.upperBound))
        case .number(let bounds):
            (word, minimum, maximum) = ("number", .number(bounds.lowerBound), .number(bounds.upperBound))
        case .flag: (word, choices) = ("flag", ["yes", "no"])
        case .choice(let words): (word, choices) = ("choice", .list(words.map { .text($0) }))
        case .size: word = "size"
        case .numbers: word = "numbers"
        }
        return [
            "name": .text(name), "kind": .text(word), "default": defaultText.map { .text($0) } ?? .null,
            "minimum": minimum, "maximum": maximum, "choices": choices, "documentation": .text(documentation),
        ]
    }
}

extension OperatorTable {
    /// All operators with their options as JSON: {"operators": [{"name", "inputs", "options": […]}]}.
    public static var listJSONText: String {
        let operators = all.map { type -> JSON in
            [
                "name": .text(type.name), "inputs": .text(type.arity.words),
                "options": .list(type.attributes.map(\.json)),
            ]
        }
        let list: JSON = ["operators": .list(operators)]
        return list.description
    }
}

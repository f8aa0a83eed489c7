// Listing.swift: what there is, for people and programs: operators with their options, as JSON.
// Not here: what any of them means (each documents itself).
import RengaNetwork

/// The tables of the engine as documents.
public enum Listing {
    /// `{"operators":[{"name","inputs","options":[…]}]}`; "inputs" in words.
    public static var operators: String {
        let operators = OperatorTable.all.map { type -> JSON in
            ["name": .text(type.name), "inputs": .text(type.arity.words), "options": options(type.attributes)]
        }
        return JSON.object([.init("operators", .list(operators))]).description
    }

    /// `[{"name","kind","default","minimum","maximum","choices","documentation"}]`: bounds for numbers, choices for choices; a default of null
    /// means that a value must be given.
    package static func options(_ specs: [AttributeSpec]) -> JSON {
        .list(
            specs.map { spec in
                var members: [JSON.Member] = [.init("name", .text(spec.name))]
                members += kind(spec.kind)
                members.append(.init("default", spec.defaultText.map { .text($0) } ?? .null))
                members.append(.init("documentation", .text(spec.documentation)))
                return .object(members)
            })
    }

    private static func kind(_ kind: AttributeKind) -> [JSON.Member] {
        switch kind {
        case .integer(let bounds):
            [
                .init("kind", "integer"), .init("minimum", .integer(bounds.lowerBound)),
                .init("maximum", .integer(bounds.upperBound)),
            ]
        case .number(let bounds):
            [
                .init("kind", "number"), .init("minimum", .number(bounds.lowerBound)),
                .init("maximum", .number(bounds.upperBound)),
            ]
        case .flag: [.init("kind", "flag"), .init("choices", ["yes", "no"])]
        case .choice(let words): [.init("kind", "choice"), .init("choices", .list(words.map { .text($0) }))]
        case .size: [.init("kind", "size")]
        }
    }
}

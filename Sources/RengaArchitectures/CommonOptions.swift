// CommonOptions.swift: the options that all or most families have, said once.
// Not here: options of one family.
import RengaNetwork

/// Option specifications that families put in their lists.
enum CommonOptions {
    static let classes = AttributeSpec("classes", .integer(2...1_000_000), default: "10", "Outputs of the network.")
    static let input = AttributeSpec("input", .size, default: "32x32x3", "Rows, columns and channels of one image.")
    static let widen = AttributeSpec("widen", .integer(1...64), default: "1", "Factor on the width of every stage.")

    /// The rule for first weights.
    static func initialization(_ defaultName: String) -> AttributeSpec {
        AttributeSpec(
            "init", .choice(Initialization.named.map(\.name)), default: defaultName,
            "First values of the convolutions; the last layer begins uniform in ± 1 / sqrt(inputs), biases at 0.")
    }
}

extension AttributeReader {
    /// The rule that the option "init" names, for a classifier.
    func initialization() throws(RengaError) -> Initialization {
        var rule = try Initialization(named: choice("init"))
        rule.linear = .uniformFanIn
        return rule
    }
}

// Attributes.swift: what an option is: name, kind, bounds, default, sentence; for operators and architectures alike.
// Not here: reading one (AttributeReader.swift), what any option means.

/// What an attribute may hold.
public enum AttributeKind: Sendable, Equatable {
    /// A whole number within bounds.
    case integer(ClosedRange<Int>)
    /// A finite number within bounds.
    case number(ClosedRange<Double>)
    /// yes/no (also true/false, 1/0).
    case flag
    /// One of these words.
    case choice([String])
    /// The size of an image, "HxWxC": three whole numbers of at least 1.
    case size
    /// So many numbers between ±1e6, separated by spaces or semicolons: "0.5 0.5; 0.5 0.5".
    case numbers(ClosedRange<Int>)
}

/// One attribute: its name, kind, default and a sentence that says what it does.
public struct AttributeSpec: Sendable, Equatable {
    /// The name, lower case with underscores.
    public let name: String
    /// Kind and bounds.
    public let kind: AttributeKind
    /// The default in text form, or the name of another attribute whose value it takes, or nil where a value must be given or follows
    /// from another's.
    public let defaultText: String?
    /// What it does, in one sentence.
    public let documentation: String

    /// Describes an attribute.
    public init(_ name: String, _ kind: AttributeKind, default defaultText: String?, _ documentation: String) {
        self.name = name
        self.kind = kind
        self.defaultText = defaultText
        self.documentation = documentation
    }
}

/// Named values in text form: `kernel=3,stride=2`.
public typealias Attributes = [String: String]

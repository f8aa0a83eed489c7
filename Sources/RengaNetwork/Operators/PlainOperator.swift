// PlainOperator.swift: what all operators without options share.
// Not here: operators with options.

/// An operator without options: it is what its name says.
public protocol PlainOperator: Operator {
    /// Makes it.
    init()
}

// The protocol documents these.
// swift-format-ignore: AllPublicDeclarationsHaveDocumentation
extension PlainOperator {
    public static var attributes: [AttributeSpec] { [] }

    public init(attributes: Attributes) throws(RengaError) {
        _ = try AttributeReader(attributes, Self.attributes, owner: Self.name)
        self.init()
    }

    public var encoded: Attributes { [:] }
}

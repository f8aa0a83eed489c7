// Add.swift: the sum of maps: shape rule.
// Not here: how it runs (kernels).

/// Sum: dst = src[0] + src[1] + …, elementwise. 2 to ``Network/mostInputs`` inputs and dst, all `[N,H,W,C]`.
public struct Add {
    /// Makes a sum.
    public init() {}
}

// The protocol documents these.
// swift-format-ignore: AllPublicDeclarationsHaveDocumentation
extension Add: PlainOperator {
    public static let name = "add"
    public static let arity = Arity.atLeast(2)

    public func outputShape(_ inputs: [Shape]) throws(RengaError) -> Shape { try Self.common(inputs) }
}

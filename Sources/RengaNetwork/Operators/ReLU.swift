// ReLU.swift: the rectifier: shape rule.
// Not here: how it runs (kernels).

/// Rectifier: dst = max(src, 0), elementwise; NaN stays NaN. src, dst `[N,H,W,C]`.
public struct ReLU {
    /// Makes a rectifier.
    public init() {}
}

// The protocol documents these.
// swift-format-ignore: AllPublicDeclarationsHaveDocumentation
extension ReLU: PlainOperator {
    public static let name = "relu"
    public static let arity = Arity.exactly(1)

    public func outputShape(_ inputs: [Shape]) throws(RengaError) -> Shape { try Self.single(inputs) }
}
